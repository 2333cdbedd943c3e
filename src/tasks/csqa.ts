// csqa.ts: CommonsenseQA (Talmor et al. 2019): questions with five options, in the original JSON lines. Rows without
// answerKey (the published test set) cannot be scored and are reported as rejected.
import { LETTERS } from './extract/choice';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

export const csqa: Task = {
  id: 'csqa',
  title: 'CommonsenseQA',
  ...taskOfKind('choice'),
  load: (sources) =>
    loadItems('CommonsenseQA', sources, (row, place) => {
      const question = row['question'] as { stem?: unknown; choices?: unknown } | undefined;
      if (typeof question !== 'object' || question === null) throw new RowProblem('expected an object in question');
      if (!Array.isArray(question.choices)) throw new RowProblem('expected a list in question.choices');
      const choices = (question.choices as { label?: unknown; text?: unknown }[]).map((choice, i) => {
        if (choice?.label !== LETTERS[i] || typeof choice.text !== 'string') {
          throw new RowProblem(
            `expected {label: "${LETTERS[i]}", text} as choice ${i + 1}, got ${JSON.stringify(choice)}`,
          );
        }
        return choice.text.trim();
      });
      const target = row['answerKey'];
      if (typeof target !== 'string' || target.length !== 1 || !LETTERS.slice(0, choices.length).includes(target)) {
        throw new RowProblem(`expected a letter in answerKey, got ${JSON.stringify(target) ?? 'nothing'}`);
      }
      return {
        id: typeof row['id'] === 'string' ? row['id'] : `csqa-${place.path}-${place.line}`,
        question: requiredText(question as Record<string, unknown>, 'stem'),
        choices,
        target,
      };
    }),
};
