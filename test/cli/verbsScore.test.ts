// verbsScore.test.ts: `pupil score` from a file to verdicts, accuracy and interval; bad lines are named, never dropped.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program';
import { Kept } from './fakeSession';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-score-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function score(
  lines: readonly string[],
  ...flags: string[]
): Promise<{ code: number; out: string; err: string }> {
  const file = join(folder, 'in.jsonl');
  writeFileSync(file, lines.join('\n'));
  const out = new Kept();
  const err = new Kept();
  const code = await main(['score', '--input', file, ...flags], {}, { out, err });
  return { code, out: out.text, err: err.text };
}

const row = (target: string | number, text: string, choices?: string[]): string =>
  JSON.stringify({ target, text, choices });
const OPTIONS = ['apple', 'bread', 'cake', 'date'];

describe('pupil score', () => {
  it('gives a verdict a row, accuracy and its interval', async () => {
    const { code, out } = await score(
      [
        row('B', 'First this, then that. Therefore the answer is B) bread.', OPTIONS),
        row('B', 'The answer is C) cake.', OPTIONS),
        row('B', 'I cannot say.', OPTIONS),
        row('D', '(D)', OPTIONS),
      ],
      '--task',
      'csqa',
      '--json',
    );
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, 4).map((line) => line['correct'])).toEqual([true, false, false, true]);
    expect(lines[4]).toMatchObject({ type: 'score', n: 4, correct: 2, accuracy: 0.5, unanswered: 1, scorer: 'strict' });
    expect(lines[4]?.['low']).toBeCloseTo(0.15, 2); // Wilson 95 % of 2 in 4
    expect(lines[4]?.['high']).toBeCloseTo(0.85, 2);
  });

  it('reads numbers, targets that are numbers, and says the accuracy to people', async () => {
    const { code, out } = await score(
      [row('18', 'So 9 + 9 = 18. The answer is 18.'), row(7, 'The answer is 8.')],
      '--task',
      'multiarith',
    );
    expect(code).toBe(0);
    expect(out).toContain('accuracy 50.0 %');
    expect(out).toContain('correct 1 of n = 2');
    expect(out.split('\n').filter((line) => /right|wrong/.test(line))).toHaveLength(2);
  });

  it('the literal scorer accepts what strict refuses', async () => {
    const rows = [row('8', 'The answer is 180.')];
    const strict = await score(rows, '--task', 'multiarith');
    const literal = await score(rows, '--task', 'multiarith', '--scorer', 'literal');
    expect(strict.out).toContain('correct 0 of n = 1');
    expect(literal.out).toContain('correct 1 of n = 1');
  });

  it('names every line that is not a row and scores nothing', async () => {
    const { code, out, err } = await score(
      [
        row('1', 'The answer is 1.'),
        '{"target": "1", "te',
        '{"text": "no target"}',
        '[1]',
        row('many', 'The answer is 1.'),
      ],
      '--task',
      'multiarith',
    );
    expect(code).toBe(1);
    expect(out).toBe('');
    for (const line of [2, 3, 4, 5]) expect(err).toContain(`in.jsonl:${line}:`);
    expect(err).not.toContain('in.jsonl:1:');
    expect(err).toContain('Nothing was scored');
  });

  it.each([
    ['an empty file', ['']],
    ['a Git-LFS pointer', ['version https://git-lfs.github.com/spec/v1', 'oid sha256:00', 'size 3']],
  ])('%s is an error, not an accuracy', async (_, lines) => {
    const { code, out, err } = await score(lines, '--task', 'multiarith');
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain('in.jsonl');
  });

  it('gives machines the error as an object', async () => {
    const { code, out } = await score(['{}'], '--task', 'multiarith', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ type: 'error', code: 'data' });
  });
});
