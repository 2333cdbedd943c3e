// killedRuns.test.ts: a run whose browser is killed ten times at random moments, and which is resumed by hand each time, ends with the
// same bytes as an undisturbed one. What mends itself: test/cli/supervisedFaults.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildForRuns, results, runKilled, runOnce, writeShortExperiment } from '../cli/killedRuns';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-killed-long-'));
  buildForRuns();
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

it('a run killed ten times at random moments ends as if it never was', { timeout: 3_600_000 }, async () => {
  const experiment = writeShortExperiment(folder);
  const undisturbed = await runOnce(experiment, join(folder, 'undisturbed'), { resume: false });
  expect(undisturbed.code, undisturbed.err).toBe(0);

  const { kills, last, moments } = await runKilled(experiment, join(folder, 'killed'), 10, undisturbed.events);
  const told = `killed after ${moments.join(', ')}`;
  expect(kills.length, told).toBe(10);
  for (const kill of kills) expect(kill.code, told).not.toBe(0);
  expect(last.code, `${told}\n${last.err}`).toBe(0);
  expect(results(join(folder, 'killed')), told).toEqual(results(join(folder, 'undisturbed')));
});
