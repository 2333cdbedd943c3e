// verbsKill.test.ts: a run whose browser is killed three times at random moments ends with the same bytes as an undisturbed
// one. Ten times: test/long/killedRuns.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildForRuns, results, runKilled, runOnce, writeShortExperiment } from './killedRuns';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-killed-'));
  buildForRuns();
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

it('a run killed three times at random moments ends as if it never was', { timeout: 1_800_000 }, async () => {
  const experiment = writeShortExperiment(folder);
  const undisturbed = await runOnce(experiment, join(folder, 'undisturbed'), { resume: false });
  expect(undisturbed.code, undisturbed.err).toBe(0);

  const { kills, last, moments } = await runKilled(experiment, join(folder, 'killed'), 3, undisturbed.events);
  const told = `killed after ${moments.join(', ')}`;
  expect(kills.length, told).toBe(3);
  for (const kill of kills) {
    expect(kill.code, told).not.toBe(0);
    expect(kill.err, told).toContain('--resume');
  }
  expect(last.code, `${told}\n${last.err}`).toBe(0);
  expect(results(join(folder, 'killed')), told).toEqual(results(join(folder, 'undisturbed')));
});
