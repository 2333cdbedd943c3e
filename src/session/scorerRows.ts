// scorerRows.ts: a run's answers judged by every scorer, whichever the run itself goes by: strict against lenient, side by
// side. It asks no student and changes no verdict: predictions, rows and checkpoints stay as they are.
import { SCORERS, type ScorerName } from '../config/experiment';
import type { ScorerRow } from '../report/types';
import { judgeItem } from '../tasks/score';
import type { PreparedTask } from './preparedQuestions';
import type { PredictionSet } from './runState';

/** One row a system, task and prompt, in the order in which they were evaluated. */
export function scorerRows(
  sets: readonly PredictionSet[],
  tasks: readonly Pick<PreparedTask, 'config' | 'task' | 'items'>[],
): ScorerRow[] {
  return sets.flatMap(({ system, taskId, prompt, predictions }) => {
    const prepared = tasks.find(({ config }) => config.name === taskId);
    if (prepared === undefined) return [];
    const items = new Map(prepared.items.map((item) => [item.id, item]));
    const judged = predictions.flatMap(({ itemId, text }) => {
      const item = items.get(itemId);
      return item === undefined
        ? []
        : [SCORERS.filter((scorer) => judgeItem(prepared.task.kind, item, text, scorer).correct)];
    });
    const count = (isCounted: (right: readonly ScorerName[]) => boolean): number => judged.filter(isCounted).length;
    return [
      {
        system,
        taskId,
        prompt,
        n: judged.length,
        correct: {
          strict: count((right) => right.includes('strict')),
          literal: count((right) => right.includes('literal')),
          'paper-compat': count((right) => right.includes('paper-compat')),
        },
        literalOnly: count((right) => right.includes('literal') && !right.includes('strict')),
        strictOnly: count((right) => right.includes('strict') && !right.includes('literal')),
      },
    ];
  });
}
