// answerLines.ts: a run's predictions.jsonl as verdicts, for tables and comparisons. Texts are left behind: they are long, and no
// table needs them.
import { PupilError } from '../base/errors';
import { readRows } from '../formats/rows';
import type { AnswerRow } from '../report/answers';

export const PREDICTIONS = 'predictions.jsonl';

/** @throws PupilError `format` naming the first damaged line */
export function answersOf(text: string): AnswerRow[] {
  const { rows, rejected } = readRows({ path: PREDICTIONS, text });
  if (rejected.length > 0) {
    throw new PupilError(
      'format',
      `its ${PREDICTIONS} is damaged at line ${rejected[0]!.line}: ${rejected[0]!.reason}`,
    );
  }
  return rows.map(({ value }) => {
    const { system, taskId, prompt, itemId, target, correct, probed, content, question } = value as AnswerRow;
    return {
      system,
      taskId,
      prompt,
      itemId,
      target,
      correct: correct ?? {},
      ...(probed === undefined ? {} : { probed }),
      ...(content === undefined ? {} : { content }),
      ...(question === undefined ? {} : { question }),
    };
  });
}
