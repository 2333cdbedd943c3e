// supervisedFaults.test.ts: a supervised run in Chrome to which real things happen ends by itself, or is gone on with, with the
// bytes of an undisturbed one: renderer and GPU process are killed; the disk is full (with the long tests); the launcher is killed, leaves a
// browser behind, and storage is damaged. All other faults, and Node: test/long/supervised.test.ts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildIfStale } from '../../scripts/build.mjs';
import { browserGroups } from '../../src/cli/browserProcesses';
import { Kept } from './fakeSession';
import {
  damageNewest,
  emptiedWhenSaid,
  fillDisk,
  launched,
  mayMount,
  once,
  step,
  story,
  strike,
  writeBriefExperiment,
} from './faults';

const LONG = process.env['PUPIL_TEST_LONG'] !== undefined;
let folder: string;
let experiment: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-faults-'));
  experiment = writeBriefExperiment(folder);
  buildIfStale('page');
  buildIfStale('cli');
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

let made: Promise<Record<string, string>> | undefined;
/** The bytes of a run that nothing happens to; made once. */
const undisturbed = (): Promise<Record<string, string>> =>
  (made ??= story(experiment, join(folder, 'undisturbed')).then(({ results }) => results));

it('renderer and GPU process are killed one after the other', { timeout: 600_000 }, async () => {
  const out = join(folder, 'killed');
  const renderer = once(step('instruct', 2), () => strike(out, 'renderer', 'SIGKILL'));
  const gpu = once(step('self-refine', 1), () => strike(out, 'gpu-process', 'SIGKILL'));
  const ended = await story(experiment, out, {
    onEvent: (event) => {
      renderer(event);
      gpu(event);
    },
  });
  expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 2 });
  expect(ended.results).toEqual(await undisturbed());
  const failed = ended.log.filter((line) => line['event'] === 'failed');
  expect(failed).toMatchObject([
    { code: 'browser', phase: 'instruct', adapter: 'google swiftshader' },
    { code: 'gpu-device-lost', phase: 'self-refine' },
  ]);
});

it.runIf(LONG && mayMount())(
  'a full disk, on which the browser’s profile lies as well, is waited for',
  { timeout: 600_000 },
  async () => {
    const out = join(folder, 'full');
    mkdirSync(out);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', out]);
    try {
      const text = new Kept();
      const onEvent = once(step('instruct', 2), () => fillDisk(out));
      const emptied = emptiedWhenSaid(out, text, 'waiting until there is room');
      const ended = await story(experiment, out, { onEvent, text });
      await emptied;
      expect(ended.summary.state).toBe('finished');
      expect(ended.said).toMatch(/the next checkpoint needs \d+ MiB: waiting/);
      expect(ended.log.map((line) => line['event'])).toEqual(expect.arrayContaining(['waiting', 'room', 'finished']));
      expect(ended.results).toEqual(await undisturbed());
    } finally {
      execFileSync('umount', [out]);
    }
  },
);

it(
  'a killed launcher leaves a lock and a browser that hangs, the browser’s storage is lost, the newest checkpoint is damaged: the run goes on',
  { timeout: 600_000 },
  async () => {
    const out = join(folder, 'orphan');
    const first = launched(experiment, out, ['--gpu', 'software']);
    await first.until(step('instruct', 2));
    strike(out, 'browser', 'SIGSTOP'); // one that runs would end with its launcher
    first.signal('SIGKILL');
    await first.ended;
    const left = browserGroups(join(out, '.profile'));
    expect(left).toHaveLength(1);
    const newest = damageNewest(join(out, 'checkpoints'));
    rmSync(join(out, '.profile', 'Default'), { recursive: true });
    const ended = await story(experiment, out, { resume: true });
    expect(ended.results).toEqual(await undisturbed());
    expect(ended.said).toContain(`earlier run left behind (process ${left[0]})`);
    const warned = ended.log.find((line) => line['event'] === 'warning')?.['what'];
    expect(warned).toMatch(new RegExp(`commit \\d is damaged; the run goes on from checkpoint ${newest - 1} `));
  },
);
