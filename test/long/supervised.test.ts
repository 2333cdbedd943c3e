// supervised.test.ts: whatever becomes of the browser, its launcher, the disk or the files, a supervised run ends by itself,
// or is gone on with, with the bytes of an undisturbed one. Real faults, one after the other; three of them are told by
// test/cli/supervisedFaults.test.ts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from '../../scripts/build.mjs';
import { browserGroups } from '../../src/cli/browserProcesses';
import { Gpu } from '../../src/gpu/device';
import { Kept } from '../cli/fakeSession';
import {
  damageNewest,
  emptiedWhenSaid,
  fillDisk,
  launched,
  mayMount,
  once,
  QUICK,
  step,
  story,
  strike,
  undisturbedRuns,
  writeBriefExperiment,
  type Part,
} from '../cli/faults';
import { results } from '../cli/killedRuns';

let folder: string;
let experiment: string;
let undisturbed: ReturnType<typeof undisturbedRuns>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-supervised-'));
  buildIfStale('page');
  buildIfStale('cli');
  experiment = writeBriefExperiment(folder);
  undisturbed = undisturbedRuns(experiment, folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const failures = (log: Record<string, unknown>[]): Record<string, unknown>[] =>
  log.filter((line) => line['event'] === 'failed');

describe('a process of the browser that is killed', () => {
  it.each([
    ['renderer', 'browser'],
    ['gpu-process', 'gpu-device-lost'],
    ['browser', 'browser'],
  ] as [Part, string][])('%s: one relaunch, the same bytes', async (part, code) => {
    const out = join(folder, `killed-${part}`);
    const ended = await story(experiment, out, {
      onEvent: once(step('instruct', 2), () => strike(out, part, 'SIGKILL')),
    });
    expect(ended.relaunches).toBe(1);
    expect(ended.results).toEqual(await undisturbed('chrome'));
    expect(failures(ended.log)).toMatchObject([{ code, phase: 'instruct', relaunches: 0 }]);
  });
});

describe('a process of the browser that stands still', () => {
  it.each([
    ['renderer', 'browser', 60_000],
    ['gpu-process', 'hung', 600_000],
    ['browser', 'hung', 600_000],
  ] as const)('%s: noticed, ended by force, relaunched, the same bytes', async (part, code, answerMs) => {
    const out = join(folder, `stopped-${part}`);
    // On a busy machine a page was seen to be silent for 20 s, and a run whose shaders are compiled for 50 s: who takes that for
    // a process that was stopped relaunches more often than once.
    const limits = { ...QUICK, hang: { leastMs: 150_000, factor: 2, everyMs: 250 } };
    const patience = { answerMs, closeMs: 3_000 };
    const onEvent = once(step('self-refine', 1), () => strike(out, part, 'SIGSTOP'));
    const ended = await story(experiment, out, { onEvent, limits, patience });
    expect(ended.relaunches).toBe(1);
    expect(ended.results).toEqual(await undisturbed('chrome'));
    expect(failures(ended.log)).toMatchObject([{ code }]);
    expect(browserGroups(join(out, '.profile'))).toEqual([]);
  });
});

it.runIf(mayMount())('a full disk in Node is waited for', async () => {
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
    expect(ended.results).toEqual(await undisturbed('node'));
    expect(ended.log.map((line) => line['event'])).toEqual(
      'start opened failed waiting room opened finished'.split(' '),
    );
  } finally {
    execFileSync('umount', [out]);
  }
});

it('in Node the newest checkpoint is damaged in both places: the one before it is used, and the log says so; then the device is lost', async () => {
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
    expect(ended.results).toEqual(await undisturbed('node'));
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

describe('a launcher that is killed', () => {
  it.each(['chrome', 'node'] as const)(
    'with the whole machine, half-written files, a damaged checkpoint and no browser storage left (%s)',
    async (host) => {
      const out = join(folder, `reboot-${host}`);
      const first = launched(experiment, out, ['--gpu', 'software', '--host', host, '--tier', 'f32']);
      await first.until(step('self-refine', 1));
      const groups = host === 'chrome' ? browserGroups(join(out, '.profile')) : [];
      for (const group of groups) process.kill(-group, 'SIGKILL');
      first.signal('SIGKILL');
      await first.ended;
      const newest = damageNewest(join(out, 'checkpoints'));
      rmSync(join(out, host === 'chrome' ? '.profile' : '.store'), { recursive: true, force: true });
      truncateSync(join(out, 'run-folder.json'), 0);
      truncateSync(join(out, 'run.log'), readFileSync(join(out, 'run.log')).length - 5);
      writeFileSync(join(out, 'checkpoints', '.part-9.bin.0123456789abcdef.part'), 'half');
      // Something else listens on the browser's port by now.
      const other = createServer();
      if (host === 'chrome') {
        const port = Number(readFileSync(join(out, '.port'), 'utf8'));
        await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
        expect((other.address() as AddressInfo).port).toBe(port);
      }
      try {
        const ended = await story(experiment, out, { host, resume: true, cutLog: true });
        expect(ended.results).toEqual(await undisturbed(host));
        const warned = ended.log.find((line) => line['event'] === 'warning')?.['what'];
        expect(warned).toContain(`the run goes on from checkpoint ${newest - 1} `);
        expect(readdirSync(join(out, 'checkpoints')).filter((name) => name.endsWith('.part'))).toEqual([]);
      } finally {
        other.close();
      }
    },
  );
});

describe('a run that is told to end', () => {
  it.each([
    ['SIGTERM', 'chrome'],
    ['SIGINT', 'chrome'],
    ['SIGTERM', 'node'],
  ] as const)('%s in %s: a checkpoint, exit code 130, and the same bytes later', async (signal, host) => {
    const out = join(folder, `${signal}-${host}`);
    const flags = ['--gpu', 'software', '--host', host, '--tier', 'f32'];
    const first = launched(experiment, out, flags);
    await first.until(step('instruct', 2));
    first.signal(signal);
    expect((await first.ended).code).toBe(130);
    const again = await launched(experiment, out, [...flags, '--resume']).ended;
    expect(again.code, again.err).toBe(0);
    expect(results(out)).toEqual(await undisturbed(host));
  });

  it('while it waits to be relaunched: at once, and goes on later', async () => {
    const out = join(folder, 'relaunching');
    const first = launched(experiment, out, ['--gpu', 'software']);
    await first.until(step('instruct', 2));
    strike(out, 'renderer', 'SIGKILL');
    await first.untilSaid('relaunch 1, 1 of 3 since the last checkpoint, in 5 s');
    first.signal('SIGTERM');
    expect((await first.ended).code).toBe(130);
    const ended = await story(experiment, out, { resume: true });
    expect(ended.results).toEqual(await undisturbed('chrome'));
    expect(ended.log.map((line) => line['event'])).toEqual(
      'start opened failed relaunch stopped start opened finished'.split(' '),
    );
  });
});
