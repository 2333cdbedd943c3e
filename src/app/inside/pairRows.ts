// pairRows.ts: the lines of pairs.jsonl as the page needs them, without their token ids; which of them a filter lets through;
// and in words why a pair came out as it did. It reads no file.
import * as v from 'valibot';
import { PAIR_CASES, type PairCase } from '../../config/pairCases';

const Ids = v.custom<number[]>(Array.isArray, 'expected a list of token ids');
const Completion = v.object({ text: v.string(), ids: Ids, from: v.picklist(['student', 'teacher']) });

/** As far as it is read here; runs of earlier versions have neither teacher nor replaced. */
const PairLine = v.object({
  taskId: v.string(),
  itemId: v.string(),
  sample: v.number(),
  target: v.string(),
  prompt: v.object({ text: v.string(), ids: Ids }),
  chosen: Completion,
  rejected: Completion,
  cases: v.array(v.string()),
  split: v.exactOptional(v.picklist(['training', 'validation']), 'training'),
  teacher: v.exactOptional(v.string()),
  replaced: v.exactOptional(v.object({ text: v.string(), cutOff: v.boolean() })),
});

export interface PairAnswer {
  text: string;
  from: 'student' | 'teacher';
  tokens: number;
}

export interface PairRow {
  /** Its line in pairs.jsonl, from 0: its name in the address and for the session. */
  index: number;
  taskId: string;
  itemId: string;
  sample: number;
  target: string;
  prompt: string;
  chosen: PairAnswer;
  rejected: PairAnswer;
  cases: PairCase[];
  split: 'training' | 'validation';
  teacher?: string;
  replaced?: { text: string; cutOff: boolean };
  /** What is searched, in lower case. */
  searched: string;
}

const isCase = (name: string): name is PairCase => Object.hasOwn(PAIR_CASES, name);
const answerOf = ({ text, from, ids }: v.InferOutput<typeof Completion>): PairAnswer => ({
  text,
  from,
  tokens: ids.length,
});

/** @throws Error that says what is wrong with the line */
export function readPair(value: unknown, line: number): PairRow {
  const { prompt, chosen, rejected, cases, ...rest } = v.parse(PairLine, value);
  return {
    ...rest,
    index: line,
    prompt: prompt.text,
    chosen: answerOf(chosen),
    rejected: answerOf(rejected),
    cases: cases.filter(isCase),
    searched: [rest.itemId, rest.target, prompt.text, chosen.text, rejected.text].join('\n').toLowerCase(),
  };
}

/** Cases that a pair can have come from; the others count what became no pair, or all of them. */
export const PAIR_FILTER_CASES = [
  'cot_correct',
  'teacher_fallback',
  'teacher_wrong',
  'plain_correct',
  'plain_reasons',
  'cot_cut_off',
  'plain_cut_off',
  'chosen_cut_off',
  'empty',
] as const satisfies readonly PairCase[];

/** Counts of what was sampled and became no pair. */
export const SKIPPED_CASES = [
  'identical_skipped',
  'too_long',
  'teacher_wrong_dropped',
  'plain_correct_skipped',
] as const satisfies readonly PairCase[];

export interface PairFilter {
  search: string;
  /** '' in these: any. */
  task: string;
  from: string;
  split: string;
  case: string;
}

export function filterPairs(rows: readonly PairRow[], filter: PairFilter): readonly PairRow[] {
  const search = filter.search.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (filter.task === '' || row.taskId === filter.task) &&
      (filter.from === '' || row.chosen.from === filter.from) &&
      (filter.split === '' || row.split === filter.split) &&
      (filter.case === '' || (row.cases as string[]).includes(filter.case)) &&
      (search === '' || row.searched.includes(search)),
  );
}

/** Why this pair came out so, a sentence each. */
export function reasonsOf(row: PairRow, direction: 'cot' | 'answer'): string[] {
  const has = (name: PairCase): boolean => row.cases.includes(name);
  const out: string[] = [];
  if (direction === 'answer') {
    out.push(
      'DPO_answer (eq. 5): y, the direct answer, is chosen and ŷ, the one with reasons, rejected, whichever is right.',
    );
    out.push(
      `y ${has('plain_correct') ? 'gives' : 'misses'} the target, ŷ ${has('cot_correct') ? 'gives' : 'misses'} it.`,
    );
  } else {
    if (has('teacher_fallback')) {
      const teacher = row.teacher === undefined ? 'the teacher' : `the teacher (${row.teacher})`;
      out.push(`ŷ, the answer to the CoT prompt, misses the target: the answer of ${teacher} is chosen in its place.`);
      if (has('teacher_wrong')) out.push('That answer misses the target, too; this experiment keeps such pairs.');
    } else out.push('ŷ, the student’s own answer to the CoT prompt, gives the target: it is chosen.');
    out.push(
      has('plain_correct')
        ? 'y, the answer to the plain prompt, gives the target, too. It is rejected all the same: the method rejects direct answers.'
        : 'y, the answer to the plain prompt, misses the target and is rejected.',
    );
  }
  if (has('plain_reasons')) out.push('y reasons although it was not asked to (more than 12 words).');
  if (has('cot_cut_off')) out.push('ŷ was cut off by the token limit: it has no end of text.');
  if (has('plain_cut_off')) out.push('y was cut off by the token limit: it has no end of text.');
  if (has('empty')) out.push('y or ŷ is empty.');
  return out;
}
