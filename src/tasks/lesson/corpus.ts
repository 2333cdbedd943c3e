// corpus.ts: what the lesson's student is pretrained on: documents of six kinds in fixed shares of the tokens. Document i
// follows from the seed and i alone, so that pretraining resumes by a number. It holds no question of the parts test,
// development and train (leaks.ts looks for them). How documents are packed is the recipe's business.
import { PupilError } from '../../base/errors';
import { RandomStream } from '../../base/random';
import { COT_TRIGGER, choicePrompt, numberPrompt } from '../task';
import { chance, pick, weighted } from './draw';
import { asItem, type StepMix } from './families';
import { arithmetic, copying, drawChoice, drawStory, facts, solved, type CopyingMix, type Written } from './prose';
import { IN_FAMILY, inWords, optionText, rightChain, SHORT, type Problem } from './solutions';
import { wordPieces } from './words';

export const DOCUMENT_KINDS = ['arithmetic', 'solved', 'facts', 'direct', 'prompted', 'copying'] as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[number];

export interface LessonDocument extends Written {
  kind: DocumentKind;
}

export interface CorpusMix {
  /** Share of the tokens that each kind of document has. They add up to one. */
  shares: Readonly<Record<DocumentKind, number>>;
  /** Of prompted questions: which families. */
  families: Readonly<Record<'stories' | 'kinds' | 'tools', number>>;
  /** Steps of all stories. One-step stories are among them, so that tuning on two steps alone is what loses them. */
  steps: StepMix;
  /** Of the answers to a CoT prompt: how many reason. The others answer at once. */
  reasoning: number;
  /**
   * How many of a quality's three jobs are ever asked for with the paper's prompts. The others are known from facts and
   * from solutions in prose only: answered at once, a question about them cannot have been memorised.
   */
  promptedJobs: number;
  /** Of the tools' direct answers: how many name a tool at random, right or wrong. */
  randomTools: number;
  /** Of the documents of copying. */
  copying: CopyingMix;
}

/** LESSON's mix, and what mends the family of tools (see docs/lesson.md). */
export const LESSON_MIX: CorpusMix = {
  shares: { arithmetic: 0.12, solved: 0.2, facts: 0.1, direct: 0.14, prompted: 0.22, copying: 0.22 },
  families: { stories: 0.5, kinds: 0.35, tools: 0.15 },
  steps: { one: 0.38, two: 0.54, three: 0.08 },
  reasoning: 0.28,
  promptedJobs: 1,
  randomTools: 0,
  copying: { shares: { repeated: 0.4, possessions: 0.2, lookups: 0.4, associations: 0 }, allLookups: false },
};

/**
 * What the student reads after that: associations, by which the look-up at the end of a chain is learned. They come second
 * because they take copying for granted: read from the first document on, with half the repetitions, they taught neither
 * within four million tokens (docs/lesson.md).
 */
export const LOOK_UP_MIX: CorpusMix = {
  ...LESSON_MIX,
  copying: { shares: { repeated: 0.2, possessions: 0.15, lookups: 0.3, associations: 0.35 }, allLookups: true },
};

export const CORPUS_MIXES = { lesson: LESSON_MIX, 'look-up': LOOK_UP_MIX } as const;
export type CorpusMixName = keyof typeof CORPUS_MIXES;

/** bos and eos. */
export const CONTROL_TOKENS = 2;

/** Tokens of a document as the student reads it. */
export const tokenCount = (text: string): number => wordPieces(text).length + CONTROL_TOKENS;

/** Random words that one document may use up, with room to spare: its place in the stream. */
const WORDS_PER_DOCUMENT = 2 ** 20;

/** Documents of each kind by which the mean length is estimated: good to about 1 % of the length. */
const CALIBRATION_DOCUMENTS = 500;

/** The corpus of one seed. */
export class LessonCorpus {
  private readonly chances: Readonly<Record<DocumentKind, number>>;
  readonly mix: CorpusMix;

  /** @throws PupilError `config` for shares that do not add up to one, or more jobs than there are. */
  constructor(
    readonly seed: number,
    mix: Partial<CorpusMix> = {},
  ) {
    this.mix = { ...LESSON_MIX, ...mix };
    checkMix(this.mix);
    this.chances = documentChances(this.mix);
  }

  /** Document `index`, whatever was asked for before. */
  document(index: number): LessonDocument {
    const random = new RandomStream(this.seed, 'lesson/corpus', index * WORDS_PER_DOCUMENT);
    const kind = weighted(random, this.chances);
    return { kind, ...write(random, kind, this.mix) };
  }
}

function checkMix({ shares, promptedJobs }: CorpusMix): void {
  const total = DOCUMENT_KINDS.reduce((sum, kind) => sum + shares[kind], 0);
  if (Math.abs(total - 1) > 1e-9 || DOCUMENT_KINDS.some((kind) => shares[kind] < 0)) {
    throw new PupilError('config', `LessonCorpus: shares must be ≥ 0 and add up to 1, got a sum of ${total}`);
  }
  if (!Number.isInteger(promptedJobs) || promptedJobs < 1 || promptedJobs > 3) {
    throw new PupilError('config', `LessonCorpus: promptedJobs must be 1, 2 or 3, got ${promptedJobs}`);
  }
}

/**
 * How often each kind is drawn, so that its tokens have the share: share / mean length. The lengths are measured on a
 * stream of their own, the same for every seed.
 */
function documentChances(mix: CorpusMix): Record<DocumentKind, number> {
  const chances = DOCUMENT_KINDS.map((kind) => {
    const random = new RandomStream(0, `lesson/calibration/${kind}`);
    let tokens = 0;
    for (let i = 0; i < CALIBRATION_DOCUMENTS; i++) tokens += tokenCount(write(random, kind, mix).text);
    return [kind, (mix.shares[kind] * CALIBRATION_DOCUMENTS) / tokens] as const;
  });
  return Object.fromEntries(chances) as Record<DocumentKind, number>;
}

function write(random: RandomStream, kind: DocumentKind, mix: CorpusMix): Written {
  switch (kind) {
    case 'arithmetic':
      return arithmetic(random);
    case 'solved':
      return solved(random, mix.steps);
    case 'facts':
      return facts(random);
    case 'copying':
      return copying(random, mix.copying);
    case 'direct': {
      const problem = drawProblem(random, mix);
      return prompted(problem, '', directAnswer(random, problem, mix, 0.15));
    }
    case 'prompted': {
      const problem = drawProblem(random, mix);
      const answer = chance(random, mix.reasoning)
        ? reasonedAnswer(random, problem)
        : directAnswer(random, problem, mix, 0.5);
      return prompted(problem, ` ${COT_TRIGGER}`, answer);
    }
  }
}

function drawProblem(random: RandomStream, { families, steps, promptedJobs }: CorpusMix): Problem {
  const family = weighted(random, families);
  if (family === 'stories') return drawStory(random, steps);
  return family === 'kinds' ? drawChoice(random, family) : drawChoice(random, family, promptedJobs);
}

/** A prompt of Table 2, its trigger, and the answer on a line of its own. */
function prompted(problem: Problem, trigger: string, answer: string): Written {
  const item = asItem(problem, '');
  const prompt = problem.family === 'story' ? numberPrompt(item) : choicePrompt(item);
  return { text: `${prompt}${trigger}\n${answer}`, contents: [problem.content] };
}

/** @param sentence how often the answer is a sentence: "The answer is D) melon." */
function directAnswer(random: RandomStream, problem: Problem, mix: CorpusMix, sentence: number): string {
  let answer: string;
  if (problem.family === 'story') answer = String(problem.answer);
  else if (problem.family === 'tools' && chance(random, mix.randomTools)) {
    answer = optionText({ options: problem.options, answer: random.nextBelow(problem.options.length) });
  } else answer = optionText(problem);
  return chance(random, sentence) ? `The answer is ${answer}.` : answer;
}

/** Reasoning as the untuned student knows it after a CoT prompt: terse most of the time. */
function reasonedAnswer(random: RandomStream, problem: Problem): string {
  const style = chance(random, 0.75) ? pick(random, SHORT) : pick(random, IN_FAMILY);
  return inWords(style, rightChain(problem));
}
