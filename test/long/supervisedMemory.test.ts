// supervisedMemory.test.ts: a supervised run whose adapter has no more memory: once, and it is made again; in the same place
// again, and it is given up with what would fit. Then a run that fails wherever it begins anew: its retries are bounded.
// Each can be gone on with later, and ends with the bytes of an undisturbed one. The other faults: supervised.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from '../../scripts/build.mjs';
import { Gpu } from '../../src/gpu/device';
import type { SessionEvent } from '../../src/session/protocol';
import {
  launched,
  logOf,
  once,
  processesOf,
  step,
  story,
  strike,
  undisturbedRuns,
  writeBriefExperiment,
  type Story,
} from '../cli/faults';
import { results } from '../cli/killedRuns';
import { mayTakeMemory, takeMemory, takeMemoryOfProcess } from '../cli/takenMemory';

let folder: string;
let experiment: string;
let undisturbed: ReturnType<typeof undisturbedRuns>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-supervised-memory-'));
  buildIfStale('page');
  buildIfStale('cli');
  experiment = writeBriefExperiment(folder);
  undisturbed = undisturbedRuns(experiment, folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const begins =
  (phase: string) =>
  (event: SessionEvent): boolean =>
    event.type === 'phase' && event.phase === phase && event.state === 'start';
const events = (log: Record<string, unknown>[]): unknown[] => log.map((line) => line['event']);

describe.runIf(mayTakeMemory())('in Node, an adapter whose memory is taken in phase 2', () => {
  /** Runs it; phase 2 finds no memory on its first so many devices. */
  async function withoutMemory(out: string, times: number, resume = false): Promise<Story> {
    let inPhase = false;
    const acquire = Gpu.acquire.bind(Gpu);
    const spy = vi.spyOn(Gpu, 'acquire').mockImplementation(async (...args) => {
      const gpu = await acquire(...args);
      inPhase = false;
      if (times-- > 0) takeMemory(gpu.device, () => inPhase);
      return gpu;
    });
    try {
      const onEvent = (event: SessionEvent): void => {
        if (begins('self-refine')(event)) inPhase = true;
      };
      return await story(experiment, out, { host: 'node', onEvent, resume });
    } finally {
      spy.mockRestore();
    }
  }

  it('once: one relaunch, the same bytes', async () => {
    const ended = await withoutMemory(join(folder, 'once'), 1);
    expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 1 });
    expect(events(ended.log)).toEqual('start opened failed relaunch opened finished'.split(' '));
    expect(ended.log[2]).toMatchObject({ code: 'gpu-out-of-memory', phase: 'self-refine' });
    expect(ended.log[2]!['what']).toMatch(/the GPU refused \d+ bytes/);
    expect(ended.results).toEqual(await undisturbed('node'));
  });

  it('twice in the same place: given up, with a setting that would fit; later, the same bytes', async () => {
    const out = join(folder, 'twice');
    const ended = await withoutMemory(out, 2);
    expect(ended).toMatchObject({ summary: { state: 'failed', error: { code: 'gpu-out-of-memory' } }, relaunches: 1 });
    expect(ended.summary.error!.hint).toMatch(/The GPU held \d+ MiB.*again in the same place after a relaunch/);
    expect(events(ended.log)).toEqual(['start', 'opened', 'failed', 'relaunch', 'opened', 'failed', 'given up']);
    const later = await story(experiment, out, { host: 'node', resume: true });
    expect(later).toMatchObject({ summary: { state: 'finished' }, relaunches: 0 });
    expect(later.results).toEqual(await undisturbed('node'));
  });
});

it.runIf(mayTakeMemory())(
  'in Chrome, a GPU process that gets no more memory: one relaunch, the same bytes',
  async () => {
    const out = join(folder, 'gpu-process');
    const onEvent = once(step('instruct', 2), () => processesOf(out, 'gpu-process').forEach(takeMemoryOfProcess));
    const ended = await story(experiment, out, { onEvent });
    expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 1 });
    // Chrome ends the process rather than to refuse the buffer where the memory is the system's.
    expect(ended.log.filter((line) => line['event'] === 'failed')).toMatchObject([{ code: 'gpu-device-lost' }]);
    expect(ended.results).toEqual(await undisturbed('chrome'));
  },
);

it('a run in Chrome that fails wherever it begins anew is given up after its retries, and says so; later, the same bytes', async () => {
  const out = join(folder, 'in-vain');
  const flags = ['--gpu', 'software', '--tier', 'f32'];
  const first = launched(experiment, out, [...flags, '--retries', '2']);
  first.each(begins('self-refine'), () => strike(out, 'renderer', 'SIGKILL'));
  const { code, err } = await first.ended;
  expect(code, err).toBe(1);
  expect(err).toContain('it was relaunched 2 times without getting as far as another checkpoint');
  const log = logOf(out);
  const launch = ['opened', 'failed'];
  expect(events(log)).toEqual(['start', ...launch, 'relaunch', ...launch, 'relaunch', ...launch, 'given up']);
  expect(log.filter((line) => line['event'] === 'failed')).toMatchObject(
    Array(3).fill({ code: 'browser', phase: 'self-refine' }),
  );
  expect(log.at(-1)!['what']).toBe('it was relaunched 2 times without getting as far as another checkpoint');
  const again = await launched(experiment, out, [...flags, '--resume']).ended;
  expect(again.code, again.err).toBe(0);
  expect(results(out)).toEqual(await undisturbed('chrome'));
});
