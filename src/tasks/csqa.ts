// csqa.ts: CommonsenseQA (Talmor et al. 2019): questions with five options; 9741 to train, 1221 to validate. Its test set is
// published without answers, so the paper and others test on the validation set.
// Files: the original JSON lines, the Hub's tau/commonsense_qa (choices: {label: [], text: []}), and distilling-step-by-step's
// {question, choices, answer} with the option's text.
import { itemId, letteredQuestion } from './fields';
import { loadItems, taskOfKind } from './task';
import type { Task } from './task';

export const csqa: Task = {
  id: 'csqa',
  title: 'CommonsenseQA',
  ...taskOfKind('choice'),
  load: (sources) =>
    loadItems('CommonsenseQA', sources, (row, place) => ({
      id: typeof row['id'] === 'string' ? row['id'] : itemId('csqa', row, [], place),
      ...letteredQuestion(row),
    })),
};
