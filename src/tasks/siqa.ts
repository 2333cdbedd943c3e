// siqa.ts: Social IQa (Sap et al. 2019): what people feel and do; three options. 33410 to train, 1954 to validate; its test
// set is published without answers, so the paper and others test on the validation set. The context stands before the
// question, as in the paper's Table 7.
// Files: {context, question, answerA, answerB, answerC} in JSON lines with the labels 1, 2, 3 in dev-labels.lst beside them,
// in a field `label` (the Hub's allenai/social_i_qa), or as the letter `correct`; LLM-Adapters' instruction with "answer1".
import { adaptersChoice, indexTarget, itemId, letterTarget } from './fields';
import { pairLabels } from './labels';
import { loadItems, requiredText, taskOfKind } from './task';
import type { Task } from './task';

export const siqa: Task = {
  id: 'siqa',
  title: 'SIQA',
  ...taskOfKind('choice'),
  load: (sources) => {
    const { rows, labelOf } = pairLabels('SIQA', sources);
    return loadItems('SIQA', rows, (row, place) => {
      const id = itemId('siqa', row, ['id'], place);
      const adapters = adaptersChoice(row);
      if (adapters !== undefined) return { id, ...adapters };
      return {
        id,
        question: `${requiredText(row, 'context')} ${requiredText(row, 'question')}`,
        choices: ['answerA', 'answerB', 'answerC'].map((key) => requiredText(row, key)),
        target:
          row['correct'] === undefined
            ? indexTarget(row['label'] ?? labelOf(place), 'label', 1, 3)
            : letterTarget(row, 'correct', 3),
      };
    });
  },
};
