// demonstrationRows.ts: the lines of demonstrations.jsonl as the page needs them, which of them a filter lets through, and what a
// report says of those that were left out. It reads no file.
import * as v from 'valibot';
import { formatNumber } from '../format';
import { parseLine } from './parseLine';

const DemonstrationLine = v.object({
  id: v.string(),
  taskId: v.string(),
  itemId: v.string(),
  instruction: v.string(),
  question: v.string(),
  answer: v.string(),
  target: v.string(),
  teacher: v.string(),
  family: v.picklist(['in-family', 'out-family']),
  correct: v.boolean(),
  original: v.exactOptional(v.object({ answer: v.string(), correct: v.boolean() })),
  // Runs of earlier versions say nothing of tokens.
  promptTokens: v.exactOptional(v.number()),
  answerTokens: v.exactOptional(v.number()),
});

export type DemonstrationRow = v.InferOutput<typeof DemonstrationLine> & { searched: string };

/** @throws Error that says what is wrong with the line */
export function readDemonstration(value: unknown): DemonstrationRow {
  const row = parseLine(DemonstrationLine, value);
  const { itemId, question, answer, target, teacher, original } = row;
  const searched = [itemId, question, answer, target, teacher, original?.answer ?? ''].join('\n').toLowerCase();
  return { ...row, searched };
}

export const VERDICTS = ['right', 'wrong', 'edited'] as const;
export type DemonstrationVerdict = (typeof VERDICTS)[number];

export interface DemonstrationFilter {
  search: string;
  /** '' in these: all. */
  task: string;
  teacher: string;
  verdict: DemonstrationVerdict | '';
}

const HAS: Record<DemonstrationVerdict, (row: DemonstrationRow) => boolean> = {
  right: ({ correct }) => correct,
  wrong: ({ correct }) => !correct,
  edited: ({ original }) => original !== undefined,
};

export function filterDemonstrations(
  rows: readonly DemonstrationRow[],
  { search, task, teacher, verdict }: DemonstrationFilter,
): readonly DemonstrationRow[] {
  const sought = search.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (task === '' || row.taskId === task) &&
      (teacher === '' || row.teacher === teacher) &&
      (verdict === '' || HAS[verdict](row)) &&
      (sought === '' || row.searched.includes(sought)),
  );
}

/** What became of a teacher's demonstrations of a task, as a report counts them. */
export interface LeftOut {
  label: string;
  taskId: string;
  read: number;
  used: number;
  /** Why the others were not used, with counts above 0. */
  reasons: string[];
}

const REASONS: readonly [name: string, words: string][] = [
  ['rejectedLines', 'lines that cannot be used'],
  ['notInTraining', 'not of the training split'],
  ['beyondShare', 'beyond the share that was asked for'],
  ['tooLong', 'too long'],
  ['unknownWords', 'with words that the student lacks'],
  ['droppedWrong', 'wrong, dropped'],
  ['excludedByHand', 'left out by hand'],
];

/** Of report.json's `demonstrations`; what is no such row is left out. */
export function leftOutOf(summaries: unknown): LeftOut[] {
  if (!Array.isArray(summaries)) return [];
  return (summaries as Record<string, unknown>[]).map((row) => ({
    label: String(row['label']),
    taskId: String(row['taskId']),
    read: Number(row['read'] ?? 0),
    used: Number(row['used'] ?? 0),
    reasons: REASONS.flatMap(([name, words]) => {
      const count = Number(row[name] ?? 0);
      return count > 0 ? [`${formatNumber(count)} ${words}`] : [];
    }),
  }));
}
