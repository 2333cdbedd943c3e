// stages.ts: the stages of the method in the order of the paper's Figure 1: what each is called, what it is in two sentences, its
// equation, and the chapter that goes on from there; and which of them a run is in. Words and a rule; no state, no drawing.
import type { RunView } from '../state/run.svelte';

export type StageName = 'teacher' | 'demonstrations' | 'instruct' | 'sample' | 'pairs' | 'refine' | 'evaluate';

export interface Stage {
  name: StageName;
  label: string;
  says: string;
  closer: {
    /** In the language of chapters/maths.ts. */
    formula: string;
    says: string;
  };
  /** Ids of chapters. */
  chapters: readonly { id: string; label: string }[];
}

export const STAGES: readonly Stage[] = [
  {
    name: 'teacher',
    label: 'Teacher',
    says: 'A teacher that reasons well is asked questions whose right answers are known, and is told to think step by step. In this lesson it is a small program with three ways of putting things; in the Lab it can be a large language model, or a file of answers.',
    closer: {
      formula: 'x̂ = x + “Let’s think step by step”',
      says: 'x is the plain prompt: an instruction, the question, its options if there are any. The CoT prompt x̂ (chain of thought) only adds the words that ask for reasoning (the paper’s Tables 2 and 3).',
    },
    chapters: [],
  },
  {
    name: 'demonstrations',
    label: 'Demonstrations',
    says: 'Each worked answer is a demonstration: an instruction, a question, and an answer that reasons its way to the target. They are all that the student is shown of this task.',
    closer: {
      formula: 'd = (i, q, a)',
      says: 'Instruction i, question q, and the teacher’s answer a; the target t is kept beside it, to judge answers by. Whether a reaches t is counted, since teachers are wrong at times.',
    },
    chapters: [{ id: 'how-little-data', label: 'How little data is enough' }],
  },
  {
    name: 'instruct',
    label: 'Instruct',
    says: 'The student reads the demonstrations again and again, and each time becomes a little more likely to write these answers. Its own weights stay as they are: only a small adapter beside them learns.',
    closer: {
      formula: 'L = − Σ_t log π(w_t | s_t, i)',
      says: 'The loss counts the tokens w of the answer only, each given the question and the tokens s before it. On top of the frozen weight W every layer learns two thin matrices: W + (α/r)·B·A.',
    },
    chapters: [
      { id: 'lora', label: 'What a LoRA is' },
      { id: 'nf4', label: 'What NF4 does to a weight' },
    ],
  },
  {
    name: 'sample',
    label: 'Sample y and ŷ',
    says: 'Now the student answers the same questions by itself, twice: y when it is asked plainly, ŷ when it is told to think step by step. Some of it will be right and some wrong; that is the material for the next stage.',
    closer: {
      formula: 'y ~ π_{inst}(· | x) ,   ŷ ~ π_{inst}(· | x̂)',
      says: 'Answers are drawn with a temperature, so that another seed gives others. π_inst is the student as instruction-tuning left it.',
    },
    chapters: [],
  },
  {
    name: 'pairs',
    label: 'Pairs',
    says: 'From the two answers a pair is made: ŷ is preferred to y if it reaches the target, else the teacher’s answer takes its place. No person judges anything; the target decides.',
    closer: {
      formula: 'y_w = ŷ  if  t ∈ ŷ ,  else  y_w = a ;   y_l = y',
      says: 'Equation 4 of the paper; w is the winner, l the loser. “t ∈ ŷ” is decided by an extractor that reads the answer a text commits to; looking for the bare letters would be fooled.',
    },
    chapters: [{ id: 'string-matching', label: 'Why string matching lies' }],
  },
  {
    name: 'refine',
    label: 'Refine',
    says: 'Direct preference optimisation (DPO) makes the chosen answer more likely and the rejected one less, compared with the student as it was before. The gap between the two is the margin, and it should grow.',
    closer: {
      formula: 'L = − log σ(β·log \\frac{π(y_w|x̂)}{π_{inst}(y_w|x̂)} − β·log \\frac{π(y_l|x̂)}{π_{inst}(y_l|x̂)})',
      says: 'Equation 3 of the paper. The two terms are the rewards of the chosen and of the rejected answer; before the first step both are 0 and the loss is log 2 = 0.693.',
    },
    chapters: [{ id: 'dpo', label: 'What DPO pushes up and down' }],
  },
  {
    name: 'evaluate',
    label: 'Evaluate',
    says: 'The same test questions for each of the four: the student untouched, asked plainly and step by step, then instructed, then refined. A bar is the share of right answers, the thin line over it its 95 % interval: with few questions it is long.',
    closer: {
      formula: '\\frac{p + z^2/2n ± z·\\sqrt{p·(1−p)/n + z^2/4n^2}}{1 + z^2/n}',
      says: 'The interval is Wilson’s, with z = 1.96; p is the share of n answers that are right. Where two intervals overlap widely, the difference may be chance.',
    },
    chapters: [
      { id: 'string-matching', label: 'Why string matching lies' },
      { id: 'how-little-data', label: 'How little data is enough' },
    ],
  },
];

export const isStage = (name: string): name is StageName => STAGES.some((stage) => stage.name === name);

/**
 * The stage that a run is in. The untouched student is tested while the demonstrations are read: the method has no stage of
 * its own for that.
 */
export function stageOf(run: RunView): StageName {
  switch (run.phase) {
    case undefined:
    case 'load':
      return 'teacher';
    case 'baseline':
      return 'demonstrations';
    case 'instruct':
    case 'control':
      return 'instruct';
    case 'generate-pairs':
      return run.story.pairs.length > 0 ? 'pairs' : 'sample';
    case 'self-refine':
      return (run.revisions.get('self-refine') ?? 0) > 0 ? 'refine' : 'pairs'; // the points themselves tell nobody
    case 'evaluate':
    case 'report':
      return 'evaluate';
  }
}
