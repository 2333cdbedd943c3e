// pairs.ts: preference pairs from what the instructed student said (METHOD.md, phase 2; the paper's appendix B, eq. 3–5),
// with a count of every case. Pure: no GPU, no generation, no training.
//
//     DPO_CoT     y_w = ŷ where the target is in ŷ, else the demonstration's answer â;  y_l = y;  both scored under x̂
//     DPO_answer  y_w = y;  y_l = ŷ;  both scored under x
import { RandomStream } from '../base/random';
import { PAIR_CASES, type PairCase } from '../config/pairCases';
import type { Generation } from '../model/generator';

export interface PromptTokens {
  text: string;
  ids: readonly number[];
}

/** A demonstration as phase 2 sees it. */
export interface RefineItem {
  taskId: string;
  itemId: string;
  target: string;
  /** x */
  plain: PromptTokens;
  /** x̂ */
  cot: PromptTokens;
  /** â: ids end with the end of text. */
  teacher: { label: string; text: string; ids: readonly number[] };
  /** Whether the target is in a text, by the scorer that the experiment chose. */
  isCorrect(text: string): boolean;
}

/** One answer as it is trained on. */
export interface Completion {
  text: string;
  /** With the end of text, unless the answer was cut off by the token limit. */
  ids: readonly number[];
  from: 'student' | 'teacher';
}

/** (prompt, y_w, y_l); one line of pairs.jsonl. */
export interface PreferencePair {
  taskId: string;
  itemId: string;
  /** Which of the k samples of this prompt, from 0. */
  sample: number;
  target: string;
  prompt: PromptTokens;
  chosen: Completion;
  rejected: Completion;
  /** Names of the counts that this pair went into. */
  cases: string[];
  // What follows is for readers; pairs of earlier versions lack it.
  /** Whose demonstration â is. */
  teacher?: string;
  /** ŷ, where the teacher's answer was chosen in its place. */
  replaced?: { text: string; cutOff: boolean };
}

export interface PairRules {
  direction: 'cot' | 'answer';
  samplesPerPrompt: number;
  /** Where ŷ and the teacher both miss the target: train towards the teacher all the same, or make no pair. */
  wrongTeacher: 'keep' | 'drop';
  /** Make no pair where the rejected answer is right. */
  rejectOnlyWrong: boolean;
  /** Longest prompt plus answer, in tokens: the student's context. */
  maxTokens: number;
  /** The id that ends an answer. */
  eosId: number;
  /** Ids → text as the scorers see it. */
  decode(ids: readonly number[]): string;
}

export type PairCounts = Record<PairCase, number>;

/** "More than 12 words" tells a direct answer ("The answer is 42.") from reasoning; it only names a count. */
const REASONING_WORDS = 12;

function completion(answer: Generation, rules: PairRules): Completion {
  return {
    text: rules.decode(answer.ids),
    ids: answer.stopped === 'eos' ? [...answer.ids, rules.eosId] : answer.ids,
    from: 'student',
  };
}

/**
 * Pairs of all items, with counts.
 *
 * @param plain y: item i's samples are entries k·i … k·i + k − 1.
 * @param cot ŷ, in the same order.
 */
export function buildPairs(
  items: readonly RefineItem[],
  plain: readonly Generation[],
  cot: readonly Generation[],
  rules: PairRules,
): { pairs: PreferencePair[]; counts: PairCounts } {
  const counts = Object.fromEntries(Object.keys(PAIR_CASES).map((name) => [name, 0])) as PairCounts;
  const pairs: PreferencePair[] = [];
  const k = rules.samplesPerPrompt;
  items.forEach((item, i) => {
    for (let sample = 0; sample < k; sample++) {
      const cases: PairCase[] = ['prompts'];
      const pair = pairOf(item, sample, plain[i * k + sample]!, cot[i * k + sample]!, rules, cases);
      if (pair !== undefined) {
        cases.push('pairs');
        pairs.push({ ...pair, cases: cases.filter((name) => name !== 'prompts' && name !== 'pairs') });
      }
      for (const name of cases) counts[name]++;
    }
  });
  counts.training_pairs = counts.pairs;
  return { pairs, counts };
}

function pairOf(
  item: RefineItem,
  sample: number,
  plainAnswer: Generation,
  cotAnswer: Generation,
  rules: PairRules,
  cases: PairCase[],
): Omit<PreferencePair, 'cases'> | undefined {
  const y = completion(plainAnswer, rules);
  const yHat = completion(cotAnswer, rules);
  const cotCorrect = item.isCorrect(yHat.text);
  const plainCorrect = item.isCorrect(y.text);
  if (cotCorrect) cases.push('cot_correct');
  if (plainCorrect) cases.push('plain_correct');
  if (y.text.split(/\s+/).filter(Boolean).length > REASONING_WORDS) cases.push('plain_reasons');
  if (cotAnswer.stopped === 'length') cases.push('cot_cut_off');
  if (plainAnswer.stopped === 'length') cases.push('plain_cut_off');
  if (y.text === '' || yHat.text === '') cases.push('empty');

  let chosen: Completion;
  let rejected: Completion;
  if (rules.direction === 'answer') {
    [chosen, rejected] = [y, yHat]; // eq. 5: no condition on the target, no teacher
  } else {
    rejected = y;
    chosen = yHat;
    if (!cotCorrect) {
      cases.push('teacher_fallback');
      chosen = { text: item.teacher.text, ids: item.teacher.ids, from: 'teacher' }; // eq. 4, second line
      if (!item.isCorrect(item.teacher.text)) {
        cases.push('teacher_wrong');
        if (rules.wrongTeacher === 'drop') {
          cases.push('teacher_wrong_dropped');
          return undefined;
        }
      }
    }
    if (plainCorrect && rules.rejectOnlyWrong) {
      cases.push('plain_correct_skipped');
      return undefined;
    }
  }
  if (chosen.text === rejected.text) {
    cases.push('identical_skipped');
    return undefined;
  }
  const prompt = rules.direction === 'cot' ? item.cot : item.plain; // eq. 3: x̂ for both answers, also for y
  const longest = Math.max(chosen.ids.length, rejected.ids.length);
  if (prompt.ids.length + longest > rules.maxTokens || Math.min(chosen.ids.length, rejected.ids.length) === 0) {
    cases.push('too_long');
    return undefined;
  }
  if (chosen.from === 'student' && chosen.ids.at(-1) !== rules.eosId) cases.push('chosen_cut_off');
  return {
    taskId: item.taskId,
    itemId: item.itemId,
    sample,
    target: item.target,
    prompt,
    chosen,
    rejected,
    teacher: item.teacher.label,
    ...(chosen.from === 'teacher' ? { replaced: { text: yHat.text, cutOff: cotAnswer.stopped === 'length' } } : {}),
  };
}

/**
 * Holds pairs out for validation: `fraction` of them, at least `least`, never more than half, seeded. All pairs of one
 * question fall on the same side, so validation never scores what was trained on.
 *
 * @returns indices into `pairs`, ascending.
 */
export function splitValidation(
  pairs: readonly PreferencePair[],
  o: { fraction: number; least: number; seed: number },
): { training: number[]; validation: number[] } {
  const wanted = Math.min(Math.max(Math.round(o.fraction * pairs.length), o.least), Math.floor(pairs.length / 2));
  const byItem = new Map<string, number[]>();
  pairs.forEach((pair, i) => {
    const key = `${pair.taskId} ${pair.itemId}`;
    byItem.set(key, [...(byItem.get(key) ?? []), i]);
  });
  const held = new Set<number>();
  for (const key of new RandomStream(o.seed, 'validation pairs').shuffled([...byItem.keys()])) {
    const group = byItem.get(key)!;
    if (held.size + group.length > Math.floor(pairs.length / 2)) continue;
    if (held.size >= wanted) break;
    for (const i of group) held.add(i);
  }
  const all = pairs.map((_, i) => i);
  return { training: all.filter((i) => !held.has(i)), validation: all.filter((i) => held.has(i)) };
}

/** The counts as lines of the run log, zeros of rare cases included: a count that is missing cannot be told from 0. */
export function describeCounts(counts: PairCounts): string[] {
  return Object.entries(PAIR_CASES).map(([name, meaning]) => `${counts[name as PairCase]} ${name}: ${meaning}`);
}
