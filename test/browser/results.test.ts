// results.test.ts: the table of results by task: which were trained on, in which order, and what stands in a row.
import { flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import type { EvaluationRow } from '../../src/session/protocol';
import { FakeSession, button, removePages, settle, show } from './fakePage';

afterEach(removePages);

const evaluation = (
  taskId: string,
  change: Partial<EvaluationRow> = {},
): { type: 'evaluation'; row: EvaluationRow } => ({
  type: 'evaluation',
  row: {
    system: 'Baseline',
    taskId,
    prompt: 'plain',
    scorer: 'strict',
    correct: 5,
    n: 10,
    low: 0.24,
    high: 0.76,
    cutOff: 0,
    ...change,
  },
});

it('puts the rows of a task together and says whether it was trained on', async () => {
  const session = new FakeSession();
  const { root, playground } = show(session, '?experiment=smoke');
  await playground.open();
  flushSync();
  button(root, 'Run').click();
  await settle();
  const trained = playground.run.trainedTasks[0]!;
  session.emit(evaluation(trained));
  session.emit(evaluation('elsewhere'));
  session.emit(evaluation(trained, { system: 'Self-refined', prompt: 'cot', correct: 9 }));
  await settle();
  const bodies = [...root.querySelectorAll('[aria-labelledby="results-title"] tbody')];
  const cells = (row: Element): string =>
    [...row.children]
      .map((cell) => cell.textContent!.replace(/\s+/g, ' ').trim())
      .filter((text) => text !== '')
      .join(' | ');
  const words = bodies.map((body) => [...body.querySelectorAll('tr')].map(cells));
  expect(words).toEqual([
    [
      `${trained} trained on`,
      'Baseline | plain | 50.0 | 24.0 – 76.0 | 10',
      'Self-refined | CoT | 90.0 | 24.0 – 76.0 | 10',
    ],
    ['elsewhere tested only', 'Baseline | plain | 50.0 | 24.0 – 76.0 | 10'],
  ]);
  // A second scorer gets a column.
  session.emit(evaluation(trained, { scorer: 'probing' }));
  await settle();
  expect([...root.querySelectorAll('th[scope="col"]')].map((th) => th.textContent)).toContain('Scorer');
});
