// supervisedFaults.test.ts: a supervised run to which real things happen ends by itself with the bytes of an undisturbed one:
// the renderer and the GPU process are killed, the newest checkpoint is damaged wherever it lies and the device is lost,
// the disk is full. All other faults: test/long/supervised.test.ts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from '../../scripts/build.mjs';
import { Gpu } from '../../src/gpu/device';
import { Kept } from './fakeSession';
import {
  damageNewest,
  emptiedWhenSaid,
  fillDisk,
  logOf,
  mayMount,
  once,
  step,
  story,
  strike,
  writeBriefExperiment,
} from './faults';

let folder: string;
let experiment: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-faults-'));
  experiment = writeBriefExperiment(folder);
  buildIfStale('page');
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const events = (out: string): unknown[] => logOf(out).map((line) => line['event']);

it('in Chrome: renderer and GPU process are killed one after the other', { timeout: 600_000 }, async () => {
  const undisturbed = await story(experiment, join(folder, 'chrome'));
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
  expect(ended.results).toEqual(undisturbed.results);
  const failed = ended.log.filter((line) => line['event'] === 'failed');
  expect(failed).toMatchObject([
    { code: 'browser', phase: 'instruct', adapter: 'google swiftshader' },
    { code: 'gpu-device-lost', phase: 'self-refine' },
  ]);
});

describe('in Node', { timeout: 600_000 }, () => {
  let undisturbed: Record<string, string>;
  beforeAll(async () => {
    undisturbed = (await story(experiment, join(folder, 'node'), { host: 'node' })).results;
  }, 600_000);

  it('the newest checkpoint is damaged in both places: the one before it is used, and the log says so; then the device is lost', async () => {
    const out = join(folder, 'damaged');
    const stop = new AbortController();
    const onEvent = once(step('instruct', 3), () => stop.abort());
    const first = await story(experiment, out, { host: 'node', onEvent, signal: stop.signal });
    expect(first.summary.state).toBe('stopped');
    const newest = damageNewest(join(out, 'checkpoints'));
    expect(damageNewest(join(out, '.store', first.summary.runId, 'checkpoints'))).toBe(newest);

    const devices: GPUDevice[] = [];
    const acquire = Gpu.acquire.bind(Gpu);
    const spy = vi.spyOn(Gpu, 'acquire').mockImplementation(async (...args) => {
      const gpu = await acquire(...args);
      devices.push(gpu.device);
      return gpu;
    });
    try {
      const destroy = once(step('self-refine', 1), () => devices.at(-1)!.destroy());
      const ended = await story(experiment, out, { host: 'node', resume: true, onEvent: destroy });
      expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 1 });
      expect(ended.results).toEqual(undisturbed);
      expect(devices).toHaveLength(2);
      const warned = ended.log.filter((line) => line['event'] === 'warning').map((line) => String(line['what']));
      expect(warned.join('\n')).toMatch(
        new RegExp(`commit \\d is damaged; the run goes on from checkpoint ${newest - 1} `),
      );
      expect(ended.log.find((line) => line['event'] === 'failed')).toMatchObject({ code: 'gpu-device-lost' });
    } finally {
      spy.mockRestore();
    }
  });

  it.runIf(mayMount())(
    'the disk is full: it waits, says how much is needed, and goes on when there is room',
    async () => {
      const out = join(folder, 'full');
      mkdirSync(out);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', out]);
      try {
        const text = new Kept();
        const onEvent = once(step('instruct', 2), () => fillDisk(out));
        const emptied = emptiedWhenSaid(out, text, 'waiting until there is room');
        const ended = await story(experiment, out, { host: 'node', onEvent, text });
        await emptied;
        expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 0 });
        expect(ended.results).toEqual(undisturbed);
        expect(ended.said).toMatch(/the next checkpoint needs \d+ MiB: waiting/);
        expect(events(out)).toEqual(['start', 'opened', 'failed', 'waiting', 'room', 'opened', 'finished']);
      } finally {
        execFileSync('umount', [out]);
      }
    },
  );
});
