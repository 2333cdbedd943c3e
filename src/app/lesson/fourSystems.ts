// fourSystems.ts: the students that the lesson compares, in the order in which they come to be, and which row of an evaluation is
// whose. Names only; nothing is measured here.
import type { EvaluationRow, PromptKind, SystemName } from '../../session/protocol';

export interface Compared {
  id: string;
  label: string;
  system: SystemName;
  prompt: PromptKind;
}

export const FOUR: readonly Compared[] = [
  { id: 'baseline', label: 'Baseline', system: 'Baseline', prompt: 'plain' },
  { id: 'baseline-cot', label: 'Baseline CoT', system: 'Baseline', prompt: 'cot' },
  { id: 'instructed', label: 'Instruction-tuned', system: 'Instruction-tuned', prompt: 'cot' },
  { id: 'refined', label: 'Self-refined', system: 'Self-refined', prompt: 'cot' },
];

export interface TaskRows {
  taskId: string;
  rows: (Compared & { row?: EvaluationRow })[];
}

/** A block for each task in the order in which they came: by string matching, the run's own scorer. */
export function comparedRows(all: readonly EvaluationRow[]): TaskRows[] {
  const scorer = all[0]?.scorer; // answers are judged before anything is probed or voted on
  const own = all.filter((row) => row.scorer === scorer);
  return [...new Set(own.map(({ taskId }) => taskId))].map((taskId) => ({
    taskId,
    rows: FOUR.map((one) => {
      const row = own.find((r) => r.taskId === taskId && r.system === one.system && r.prompt === one.prompt);
      return row === undefined ? one : { ...one, row };
    }),
  }));
}
