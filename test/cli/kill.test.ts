// kill.test.ts: a run in headless Chromium whose browser is killed at random moments ends with the bytes of one that was left
// alone. Three kills here, ten in test/long.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { adapterBytes, pupil, runWithKills, writeTinyRun } from './process';

const KILLS = process.env.PUPIL_KILLS === undefined ? 3 : Number(process.env.PUPIL_KILLS);
const folder = mkdtempSync(join(tmpdir(), 'pupil-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it(
  `a browser killed ${KILLS} times at random moments, resumed each time, ends with the same adapter bytes`,
  { timeout: 300_000 + 240_000 * KILLS },
  async () => {
    const experiment = writeTinyRun(folder);
    const undisturbed = await pupil(['run', experiment, '--out', join(folder, 'whole'), '--json']);
    expect(undisturbed.err + undisturbed.out, undisturbed.err).toContain('"finished"');
    expect(undisturbed.code).toBe(0);
    const lines = undisturbed.lines.length;
    expect(lines).toBeGreaterThan(20);

    // Each kill falls somewhere in the first lines of its sitting, so that the run is cut all over and does end.
    const killAfter = Array.from({ length: KILLS }, () => 1 + Math.floor((Math.random() * lines) / (KILLS * 0.75)));
    const killed = await runWithKills(experiment, join(folder, 'killed'), killAfter);
    const story = `killed at ${killed.kills.join('; ')} of ${lines}\n${killed.last.err}`;
    expect(killed.kills.length, story).toBeGreaterThan(0);
    expect(killed.last.code, story).toBe(0);
    expect(Buffer.compare(adapterBytes(join(folder, 'killed')), adapterBytes(join(folder, 'whole'))), story).toBe(0);
  },
);

it('a run folder is not overwritten by a second run without --resume', async () => {
  const experiment = join(folder, 'tiny.json');
  const again = await pupil(['run', experiment, '--out', join(folder, 'whole'), '--json']);
  expect(again.code).not.toBe(0);
  expect(again.err).toMatch(/--resume|--out/);
});
