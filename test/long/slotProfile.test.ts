// slotProfile.test.ts: the profile of a slot through which run after run goes, in a real headless Chromium: what the browser
// stores of finished runs is gone with them, so that a grid of weeks does not fill the disk; a stopped run stays until it is
// finished.
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { pupil } from '../cli/process';
import { STUDENTS } from '../support/gridWorkers';
import { writeTinyGrid } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-slot-profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Bytes under a folder, of the parts whose path has this word. */
function bytesIn(path: string, word: string, found = false): number {
  if (!existsSync(path)) return 0;
  let sum = 0;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    const inside = found || entry.name.includes(word);
    if (entry.isDirectory()) sum += bytesIn(below, word, inside);
    else if (inside && entry.isFile()) sum += statSync(below, { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

it('keeps nothing of finished runs, however many go through it', { timeout: 1_500_000 }, async () => {
  const grid = writeTinyGrid(folder, [{ ...STUDENTS, values: STUDENTS.values.slice(0, 1) }], 5);
  const out = join(folder, 'out');
  const args = ['full', grid, '--local', '--out', out, '--json'];
  const stored = (): number => bytesIn(join(out, '.slot-1', '.profile'), 'IndexedDB');
  const after: number[] = [];
  let during = 0;
  let asked = false;
  const onLine = (line: Record<string, unknown>, signal: (name: NodeJS.Signals) => void): void => {
    if (line['type'] === 'checkpoint') during = Math.max(during, stored());
    if (line['type'] === 'grid-job' && line['state'] === 'done') after.push(stored());
    if (after.length === 2 && !asked && line['type'] === 'metrics') {
      asked = true;
      signal('SIGTERM');
    }
  };
  const first = await pupil(args, { onLine });
  expect(first.code, first.err).toBe(130);
  const stopped = stored();
  const second = await pupil(args, { onLine });
  expect(second.code, second.err).toBe(0);
  console.log(JSON.stringify({ after, during, stopped, end: stored() }));
});
