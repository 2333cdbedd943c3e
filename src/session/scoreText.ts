// scoreText.ts: one text against one target, by every scorer side by side: the session's hand on tasks/score.ts. It asks no
// student and opens no device.
import { PupilError } from '../base/errors';
import { SCORERS, TASK_IDS, type ScorerName } from '../config/experiment';
import { TASKS } from '../tasks/registry';
import { judge } from '../tasks/score';
import type { ScoreTextRequest, TextVerdict } from './scoreProtocol';

/**
 * The verdict of each scorer.
 * @throws PupilError `data` where the target is no answer of this task; `usage` for a task that does not exist.
 */
export function scoreText({ task, text, target, choices }: ScoreTextRequest): Record<ScorerName, TextVerdict> {
  const known = TASK_IDS.find((id) => id === task);
  if (known === undefined) {
    throw new PupilError('usage', `scoreText: expected one of ${TASK_IDS.join(', ')} as the task, got ${task}`);
  }
  for (const [name, value] of Object.entries({ text, target, ...choices })) {
    if (typeof value === 'string') continue;
    throw new PupilError(
      'data',
      `scoreText: expected texts as text, target and choices, got ${JSON.stringify(value) ?? 'nothing'} as ${name}`,
    );
  }
  const row = { text, target, ...(choices === undefined ? {} : { choices }) };
  const verdictOf = (scorer: ScorerName): TextVerdict => {
    const { correct, answer, rule } = judge(TASKS[known].kind, row, scorer);
    return { correct, ...(answer === undefined ? {} : { extracted: answer }), rule };
  };
  return Object.fromEntries(SCORERS.map((scorer) => [scorer, verdictOf(scorer)])) as Record<ScorerName, TextVerdict>;
}
