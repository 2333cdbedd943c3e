// math.ts: MATH (Hendrycks et al. 2021): competition mathematics, 7500 to train and 5000 to test. The answer is an expression
// in LaTeX and is compared as the benchmark does (extract/expression.ts). Text only: [asy] figures stay source text.
// Files: the original {problem, level, type, solution}, one object a file or one a line, with the answer in the solution's last
// \boxed; the Hub's MATH and MATH-500 with `answer` beside it and `subject` for `type`.
import { lastBoxed } from './extract/boxed';
import { itemId, type Row } from './fields';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

function target(row: Row): string {
  const { answer } = row;
  if (typeof answer === 'number') return String(answer);
  if (typeof answer === 'string' && answer.trim() !== '') return answer.trim();
  if (typeof row['solution'] !== 'string') throw new RowProblem('expected a text in answer or solution, got neither');
  const boxed = lastBoxed(row['solution'])?.trim();
  if (boxed === undefined || boxed === '')
    throw new RowProblem('expected the answer in a \\boxed of the solution, got none');
  return boxed;
}

export const math: Task = {
  id: 'math',
  title: 'MATH',
  ...taskOfKind('expression'),
  load: (sources) =>
    loadItems('MATH', sources, (row, place) => ({
      id: itemId('math', row, ['unique_id', 'id'], place),
      question: requiredText(row, 'problem'),
      target: target(row),
    })),
};
