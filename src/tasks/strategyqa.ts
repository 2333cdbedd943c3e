// strategyqa.ts: StrategyQA (Geva et al. 2021): yes-or-no questions whose steps are implicit. The paper lists it (Table 9) and
// reports nothing on it, nor a prompt: ours is the first line of Table 2 with the options Yes and No (task.ts).
// Files: BIG-bench's task.json (2290 {input, target_scores: {Yes: 1, No: 0}} under `examples`), the original train.json, and
// the Hub's wics/strategy-qa, ChilleD/StrategyQA and voidful/StrategyQA ({qid, question, answer: true}). Facts and
// decompositions are left out.
import { itemId, type Row } from './fields';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

function target(row: Row): 'yes' | 'no' {
  const scores = row['target_scores'] as { Yes?: unknown; No?: unknown } | undefined;
  if (scores !== undefined) {
    if (scores?.Yes === 1 && scores.No === 0) return 'yes';
    if (scores?.Yes === 0 && scores.No === 1) return 'no';
    throw new RowProblem(`expected {"Yes": 1, "No": 0} or the reverse in target_scores, got ${JSON.stringify(scores)}`);
  }
  const { answer } = row;
  if (answer === true || (typeof answer === 'string' && /^(?:yes|true)$/i.test(answer))) return 'yes';
  if (answer === false || (typeof answer === 'string' && /^(?:no|false)$/i.test(answer))) return 'no';
  throw new RowProblem(`expected true or false in answer, got ${JSON.stringify(answer) ?? 'nothing'}`);
}

export const strategyqa: Task = {
  id: 'strategyqa',
  title: 'StrategyQA',
  ...taskOfKind('yesno'),
  load: (sources) =>
    loadItems('StrategyQA', sources, (row, place) => ({
      id: itemId('strategyqa', row, ['qid'], place),
      question: requiredText(row, row['input'] === undefined ? 'question' : 'input'),
      target: target(row),
    })),
};
