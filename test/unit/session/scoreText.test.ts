// Claims about scoreText: its verdicts are those of `pupil score`, it opens no device and answers beside other work, and bad input
// is an error that says what is wrong.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../../src/cli/program';
import { SCORERS, type TaskId } from '../../../src/config/experiment';
import type { ScoreTextRequest } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { SESSION_METHODS } from '../../../src/worker/answering';
import { Kept } from '../../cli/fakeSession';

/** A session whose GPU must not be asked for. */
const session = new Session(() => {
  throw new Error('a device was asked for');
}, new MemoryRunStore());

const lesson = (task: 'A' | 'C'): { target: string; text: string; choices?: string[] }[] =>
  readFileSync(`test/fixtures/lesson/task-${task}-train-in-seed0.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .slice(0, 12)
    .map((line) => JSON.parse(line) as Record<string, string>)
    .map((row) => ({ target: row['target']!, text: row['teacher_answer']! }));

const OPTIONS = ['bank', 'library', 'department store', 'mall', 'new york'];
const ROWS: Partial<Record<TaskId, Omit<ScoreTextRequest, 'task'>[]>> = {
  gsm8k: [
    { target: '18', text: 'The answer is 180.' },
    { target: '12', text: '5 + 7 = 12. Then 12 - 3 = 9. The answer is 9.' },
    { target: '39.0', text: 'The answer is 39.' },
    { target: '7', text: '' },
    { target: '7', text: 'The answer is 7 + 5.' },
    { target: '-3', text: '#### -3' },
  ],
  csqa: [
    { target: 'E', text: 'The answer is E) new york.', choices: OPTIONS },
    { target: 'A', text: 'It could be A or B.', choices: OPTIONS },
    { target: 'library', text: 'A library, since (B) fits.', choices: OPTIONS },
    { target: 'D) mall', text: 'The answer is B. Wait, no: the answer is D.', choices: OPTIONS },
  ],
  strategyqa: [
    { target: 'no', text: 'I know it: the answer is yes.' },
    { target: 'yes', text: 'Yes.' },
  ],
  math: [{ target: '\\frac{1}{2}', text: 'So $\\boxed{\\frac12}$.' }],
  'lesson-stories': lesson('A'),
  'lesson-kinds': lesson('C'),
};

describe('scoreText', () => {
  it.each(Object.entries(ROWS))('says of %s what `pupil score` says, by every scorer', async (task, rows) => {
    const folder = mkdtempSync(join(tmpdir(), 'pupil-score-text-'));
    try {
      const file = join(folder, 'in.jsonl');
      writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
      const said = await Promise.all(rows.map((row) => session.scoreText({ task: task as TaskId, ...row })));
      for (const scorer of SCORERS) {
        const [out, err] = [new Kept(), new Kept()];
        expect(
          await main(['score', '--task', task, '--input', file, '--scorer', scorer, '--json'], {}, { out, err }),
        ).toBe(0);
        const verdicts = out.text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .filter(({ type }) => type === 'verdict');
        expect(verdicts).toHaveLength(rows.length);
        verdicts.forEach(({ correct, answer, rule }, i) => {
          expect(said[i]![scorer]).toEqual({ correct, rule, ...(answer === undefined ? {} : { extracted: answer }) });
        });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is among what the worker offers', () => {
    expect(SESSION_METHODS).toContain('scoreText');
  });

  it('rejects a target that is no answer of the task, and a task that does not exist', async () => {
    await expect(session.scoreText({ task: 'gsm8k', text: 'x', target: 'many' })).rejects.toMatchObject({
      code: 'data',
    });
    await expect(session.scoreText({ task: 'csqa', text: 'x', target: 'F', choices: OPTIONS })).rejects.toThrow(
      /letter of the options/,
    );
    await expect(session.scoreText({ task: 'gsm8k', target: '1' } as ScoreTextRequest)).rejects.toThrow(
      /expected texts .* got nothing/,
    );
    await expect(session.scoreText({ task: 'nope' as TaskId, text: 'x', target: '1' })).rejects.toMatchObject({
      code: 'usage',
    });
  });
});
