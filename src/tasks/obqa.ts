// obqa.ts: OpenBookQA (Mihaylov et al. 2018): elementary science with four options; 4957, 500 and 500 questions. The facts of
// its "open book" are not given to the student: the paper's prompt has no place for them.
// Files: the original JSON lines, Main and Additional ({question: {stem, choices: [{text, label}]}, answerKey}); the Hub's
// allenai/openbookqa (question_stem, choices: {text: [], label: []}); tinyLLM's {question, choices, answer} with the option's
// text; LLM-Adapters' instruction with "answer4". The original .tsv files hold the same rows and are not read.
import { adaptersChoice, itemId, letteredQuestion } from './fields';
import { loadItems, taskOfKind } from './task';
import type { Task } from './task';

export const obqa: Task = {
  id: 'obqa',
  title: 'OpenBookQA',
  ...taskOfKind('choice'),
  load: (sources) =>
    loadItems('OpenBookQA', sources, (row, place) => ({
      id: itemId('obqa', row, ['id'], place),
      ...(adaptersChoice(row) ?? letteredQuestion(row)),
    })),
};
