// multiarith.ts: MultiArith (Roy and Roth 2015): 600 arithmetic stories in several steps, 20 of them twice.
// Source form: MultiArith.json of zero-shot-CoT and LLM-Adapters: sQuestion with spaces around it, lSolutions [39.0].
import { numberText } from './extract/number';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

export const multiarith: Task = {
  id: 'multiarith',
  title: 'MultiArith',
  ...taskOfKind('number'),
  load: (sources) =>
    loadItems('MultiArith', sources, (row, place) => {
      const solutions = row['lSolutions'];
      if (!Array.isArray(solutions) || solutions.length !== 1 || !Number.isFinite(solutions[0])) {
        throw new RowProblem(`expected one number in lSolutions, got ${JSON.stringify(solutions) ?? 'nothing'}`);
      }
      return {
        id: `multiarith-${typeof row['iIndex'] === 'number' ? row['iIndex'] : place.line - 1}`,
        question: requiredText(row, 'sQuestion'),
        target: numberText(solutions[0] as number),
      };
    }),
};
