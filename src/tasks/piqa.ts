// piqa.ts: PIQA (Bisk et al. 2020): which of two ways reaches a goal. 16113 to train, 1838 to validate; its test set is
// published without answers, so the paper and others test on the validation set.
// Files: {goal, sol1, sol2} in JSON lines with the labels 0 and 1 in valid-labels.lst beside them, or in a field `label` (a
// number or text, −1 for none: the Hub's ybisk/piqa); tinyLLM's {question, choices, answer} with the option's text;
// LLM-Adapters' instruction with "solution1".
import { adaptersChoice, choiceTexts, indexTarget, itemId, textTarget } from './fields';
import { pairLabels } from './labels';
import { loadItems, requiredText, taskOfKind } from './task';
import type { Task } from './task';

export const piqa: Task = {
  id: 'piqa',
  title: 'PIQA',
  ...taskOfKind('choice'),
  load: (sources) => {
    const { rows, labelOf } = pairLabels('PIQA', sources);
    return loadItems('PIQA', rows, (row, place) => {
      const id = itemId('piqa', row, ['id'], place);
      const adapters = adaptersChoice(row);
      if (adapters !== undefined) return { id, ...adapters };
      if (row['choices'] !== undefined) {
        const choices = choiceTexts(row['choices'], 'choices');
        return { id, question: requiredText(row, 'question'), choices, target: textTarget(row, 'answer', choices) };
      }
      return {
        id,
        question: requiredText(row, 'goal'),
        choices: [requiredText(row, 'sol1'), requiredText(row, 'sol2')],
        target: indexTarget(row['label'] ?? labelOf(place), 'label', 0, 2),
      };
    });
  },
};
