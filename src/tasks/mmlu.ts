// mmlu.ts: MMLU (Hendrycks et al. 2021): four options, 57 subjects; 285 examples (dev), 1531 to validate (val), 14042 to test.
// Files: one CSV a subject, without a header and with line breaks inside quotes: question, four options, a letter; the subject
// and the part are in the file's name (abstract_algebra_test.csv). The Hub's cais/mmlu: {question, subject, choices, answer},
// the answer as 0 to 3 or a letter. The paper's prompt does not name the subject.
import { LETTERS } from './extract/choice';
import { choiceTexts, indexTarget, itemId, letterTarget } from './fields';
import { readTable } from '../formats/table';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

/** The six columns, by the names of the Hub's fields. */
const COLUMNS = ['question', 'A', 'B', 'C', 'D', 'answer'];

export const mmlu: Task = {
  id: 'mmlu',
  title: 'MMLU',
  ...taskOfKind('choice'),
  load: (sources) =>
    loadItems(
      'MMLU',
      sources,
      (row, place) => {
        const columns = row['choices'] === undefined;
        const choices = columns
          ? LETTERS.slice(0, 4)
              .split('')
              .map((letter) => requiredText(row, letter))
          : choiceTexts(row['choices'], 'choices');
        if (choices.length !== 4) throw new RowProblem(`expected four options, got ${choices.length}`);
        const isLetter = typeof row['answer'] === 'string' && /^[A-Z]$/.test(row['answer']);
        const subject = typeof row['subject'] === 'string' && row['subject'] !== '' ? `-${row['subject']}` : '';
        return {
          id: itemId(`mmlu${subject}`, row, [], place),
          question: requiredText(row, 'question'),
          choices,
          target: isLetter ? letterTarget(row, 'answer', 4) : indexTarget(row['answer'], 'answer', 0, 4),
        };
      },
      (source) => readTable(source, COLUMNS),
    ),
};
