// math.ts: MATH (Hendrycks et al. 2021): competition mathematics, 7500 to train and 5000 to test. The answer is an expression
// in LaTeX and is compared as the benchmark does (extract/expression.ts). Text only: [asy] figures stay source text.
// Files: the original {problem, level, type, solution}, one object a file or one a line, with the answer in the solution's last
// \boxed; the Hub's EleutherAI/hendrycks_math with the same fields; MATH-500 with `answer` and `subject` for `type`.
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

/** With the row's subject: the Hub's hendrycks_math has a folder a subject, with files of the same names. */
function idPrefix({ type }: Row): string {
  const words = typeof type === 'string' ? type.toLowerCase().split(/[^a-z]+/) : [];
  return ['math', ...words.filter(Boolean)].join('-');
}

export const math: Task = {
  id: 'math',
  title: 'MATH',
  ...taskOfKind('expression'),
  load: (sources) =>
    loadItems('MATH', sources, (row, place) => ({
      id: itemId(idPrefix(row), row, ['unique_id', 'id'], place),
      question: requiredText(row, 'problem'),
      target: target(row),
    })),
};
