// supervise.test.ts: what supervision decides and in which order it acts, against a session that only pretends: which failure
// is mended how, how often, what is refused, and what a stop does in between. Real faults: supervisedFaults.test.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlainError } from '../../src/base/errors';
import { PupilError } from '../../src/base/errors';
import { loadExperiment } from '../../src/cli/experimentFile';
import { HangWatch } from '../../src/cli/full/hangWatch';
import { removeLeftovers } from '../../src/cli/full/leftovers';
import { Patience, PATIENCE, type Stage } from '../../src/cli/full/patience';
import { RunLog } from '../../src/cli/full/runLog';
import { SessionPlace } from '../../src/cli/full/sessionPlace';
import { superviseRun, type Supervised, type SuperviseOptions } from '../../src/cli/full/supervise';
import type { Host } from '../../src/cli/host';
import { Output } from '../../src/cli/output';
import type { SessionApi, SessionEvent } from '../../src/session/protocol';
import { Kept } from './fakeSession';
import { logOf } from './faults';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-supervise-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const failure = (code: PlainError['code']): PlainError => ({ code, message: `it failed: ${code}` });

describe('patience', () => {
  const decide = (code: PlainError['code'], stage: Stage = 'running', disk: 'full' | 'has room' = 'has room'): string =>
    new Patience().after(failure(code), stage, disk).do;

  it.each([
    'browser',
    'hung',
    'gpu-device-lost',
    'gpu-unavailable',
    'gpu-out-of-memory',
    'internal',
    'source',
  ] as const)('%s is mended by a relaunch', (code) => expect(decide(code)).toBe('relaunch'));
  it.each([
    'config',
    'usage',
    'data',
    'checkpoint',
    'training',
    'gpu-software-only',
    'gpu-limit',
    'cancelled',
  ] as const)('%s is not', (code) => expect(decide(code)).toBe('give up'));
  it('what could not be started at all is given up; what was open before is tried again', () => {
    expect(decide('browser', 'first opening')).toBe('give up');
    expect(decide('browser', 'opening')).toBe('relaunch');
  });
  it('a full disk is waited for and not counted; storage that is full for another reason is borne once', () => {
    const patience = new Patience();
    for (let i = 0; i < 10; i++)
      expect(patience.after(failure('storage-full'), 'running', 'full').do).toBe('wait for room');
    expect(patience.relaunches).toBe(0);
    expect(patience.after(failure('storage-full'), 'running', 'has room').do).toBe('relaunch');
    expect(patience.after(failure('storage-full'), 'running', 'has room').do).toBe('give up');
  });
  it('a browser that dies of a full disk waits for room as well; a lost device does not', () => {
    expect(decide('browser', 'running', 'full')).toBe('wait for room');
    expect(decide('gpu-device-lost', 'running', 'full')).toBe('relaunch');
  });
  it('relaunches three times in vain, then no more; a checkpoint begins the count anew; the wait doubles', () => {
    const patience = new Patience({ ...PATIENCE, baseMs: 10, longestMs: 25 });
    const next = (): unknown => {
      const remedy = patience.after(failure('browser'), 'running');
      return remedy.do === 'relaunch' ? remedy.afterMs : remedy.do;
    };
    expect([next(), next(), next(), next()]).toEqual([10, 20, 25, 'give up']);
    patience.progressed();
    expect([next(), next(), next(), next()]).toEqual([10, 20, 25, 'give up']);
    expect(patience.relaunches).toBe(6);
  });
  it('memory that runs out twice without a checkpoint in between is given up, with one in between not', () => {
    const patience = new Patience();
    const next = (): string => patience.after(failure('gpu-out-of-memory'), 'running').do;
    expect(next()).toBe('relaunch');
    patience.progressed();
    expect([next(), next()]).toEqual(['relaunch', 'give up']);
  });
  it('has an end, whatever progress is made', () => {
    const patience = new Patience({ ...PATIENCE, most: 5 });
    const done: string[] = [];
    for (let i = 0; i < 6; i++) {
      done.push(patience.after(failure('browser'), 'running').do);
      patience.progressed();
    }
    expect(done).toEqual([...Array<string>(5).fill('relaunch'), 'give up']);
  });
  it('--retries 0 mends nothing', () => {
    expect(new Patience({ ...PATIENCE, retries: 0 }).after(failure('browser'), 'running').do).toBe('give up');
    expect(new Patience({ ...PATIENCE, retries: 0 }).after(failure('storage-full'), 'running', 'full').do).toBe(
      'give up',
    );
  });
  it('a browser that dies again and again gets a new profile', () => {
    const patience = new Patience();
    const afresh = (): unknown => patience.after(failure('browser'), 'opening');
    expect([afresh(), afresh()]).toMatchObject([{ afresh: false }, { afresh: true }]);
  });
});

describe('the watch over a run that says nothing', () => {
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('gives it up, names the limit, and lets an earlier long silence count', async () => {
    const watch = new HangWatch({ leastMs: 150, factor: 8, everyMs: 20 });
    await expect(watch.over('run', new Promise(() => undefined))).rejects.toMatchObject({ code: 'hung' });
    const talking = (async () => {
      await sleep(100);
      watch.heard();
      await sleep(300); // longer than at the beginning, shorter than 8 × 100 ms
      return 'done';
    })();
    expect(await watch.over('run', talking)).toBe('done');
    expect(watch.limitMs).toBeGreaterThan(300);
  });
  it('lets a paused run be silent', async () => {
    const watch = new HangWatch({ leastMs: 100, factor: 1, everyMs: 20 });
    const work = sleep(400);
    const over = watch.over('run', work);
    watch.suspend(true);
    await expect(over).resolves.toBeUndefined();
  });
});

describe('the log of a run', () => {
  it('is appended to, survives a line that was cut off, and does not grow for ever', () => {
    const log = new RunLog(folder);
    log.write({ event: 'start' }, { relaunches: 0 });
    writeFileSync(join(folder, 'run.log'), `${readFileSync(join(folder, 'run.log'), 'utf8')}{"time":"20`);
    log.write({ event: 'failed', what: 'x'.repeat(9000) }, { relaunches: 1, phase: 'instruct', step: 3 });
    const lines = readFileSync(join(folder, 'run.log'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[2]!)).toMatchObject({ event: 'failed', relaunches: 1, phase: 'instruct', step: 3 });
    for (let i = 0; i < 1200; i++) log.write({ event: 'failed', what: 'x'.repeat(9000) }, { relaunches: i });
    expect(readFileSync(join(folder, 'run.log')).length).toBeLessThan(2 ** 20 + 4096);
    expect(readFileSync(join(folder, 'run.log.1')).length).toBeLessThan(2 ** 20 + 4096);
  });
});

it('half-written files are removed, whole ones stay', () => {
  const names = ['.part-0.bin.0123456789ab.part', 'run-folder.json.writing-77', 'report.json', '.profile', 'run.log'];
  for (const name of names) writeFileSync(join(folder, name), 'x');
  removeLeftovers(folder);
  for (const name of names.slice(2)) expect(readFileSync(join(folder, name), 'utf8')).toBe('x');
  for (const name of names.slice(0, 2)) expect(() => readFileSync(join(folder, name))).toThrow();
});

/** What one launch does. */
interface Launch {
  adapter?: Record<string, string>;
  opens?: () => Promise<void>;
  run?: (on: (event: SessionEvent) => void, request: { resume?: boolean }) => Promise<unknown>;
  close?: () => Promise<void>;
}

const NVIDIA = { vendor: 'nvidia', architecture: 'ampere', device: 'a6000', description: '' };
const checkpoint = (step: number): SessionEvent => ({ type: 'checkpoint', phase: 'instruct', step, sizeBytes: 10 });
const fails = (code: PlainError['code'], ...events: SessionEvent[]): Launch => ({
  run: (on) => {
    events.forEach(on);
    return Promise.resolve({ runId: 'r', state: 'failed', report: {}, artefacts: [], error: failure(code) });
  },
});

/**
 * A supervised run whose n-th launch does the n-th thing; further ones finish. `heeds`: this process's signals stop it.
 * `outlived`: by its place, as a worker's is for the next run.
 */
async function supervised(
  launches: Launch[],
  options: Partial<SuperviseOptions> = {},
  { heeds = false, outlived = false } = {},
): Promise<Supervised & { resumes: boolean[]; hosts: number; closed: number; said: string }> {
  const resumes: boolean[] = [];
  let hosts = 0;
  let closed = 0;
  const openHost = (): Promise<Host> => {
    const launch = launches[hosts++] ?? {};
    const session = {
      open: launch.opens ?? (() => Promise.resolve()),
      doctor: () => Promise.resolve({ adapter: launch.adapter ?? NVIDIA }),
      stop: () => Promise.resolve(),
      run: (request: { resume?: boolean }, on: (event: SessionEvent) => void) => {
        resumes.push(request.resume === true);
        if (launch.run !== undefined) return launch.run(on, request);
        return Promise.resolve({ runId: 'r', state: 'finished', report: {}, artefacts: [] });
      },
    } as unknown as SessionApi;
    const root = () => ({ kind: 'disk' as const, directory: folder });
    const close = async (): Promise<void> => {
      closed++;
      await launch.close?.();
    };
    return Promise.resolve({ session, about: {}, reads: root, writes: root, folder: root, own: root, close });
  };
  const { experiment, inputs } = loadExperiment('smoke', {});
  const text = new Kept();
  const output = new Output(true, { out: text, err: text });
  const run = { runId: 'r', experiment, inputs, folder, resume: false, force: false, cache: {} };
  const limits: SuperviseOptions['limits'] = {
    patience: { baseMs: 5, longestMs: 20 },
    hang: { leastMs: 300, everyMs: 20 },
    room: { spareBytes: 0, everyMs: 20, longestMs: 200 },
    ends: { stopMs: 200, closeMs: 200 },
  };
  const flags = { host: 'node', gpu: 'software' } as const;
  const ended = await superviseRun({ openHost }, flags, output, run, {
    retries: 3,
    limits,
    ...(outlived ? { place: new SessionPlace({ openHost }, flags, output, folder) } : {}),
    ...(heeds ? {} : { signal: new AbortController().signal }),
    ...options,
  });
  return { ...ended, resumes, hosts, closed, said: text.text };
}

describe('a supervised run', () => {
  it('that fails is closed, opened again and resumed, and says so in its log', async () => {
    const ended = await supervised([fails('gpu-device-lost', checkpoint(2))]);
    expect(ended).toMatchObject({
      summary: { state: 'finished' },
      relaunches: 1,
      resumes: [false, true],
      hosts: 2,
      closed: 2,
    });
    expect(logOf(folder).map((line) => line['event'])).toEqual([
      'start',
      'opened',
      'failed',
      'relaunch',
      'opened',
      'finished',
    ]);
    expect(logOf(folder).at(-1)).toMatchObject({ adapter: 'nvidia ampere a6000', relaunches: 1 });
  });

  it('that gets nowhere ends after three relaunches with its last error and what was tried', async () => {
    const ended = await supervised(Array<Launch>(9).fill(fails('gpu-device-lost')));
    expect(ended).toMatchObject({
      summary: { state: 'failed', error: { code: 'gpu-device-lost' } },
      relaunches: 3,
      hosts: 4,
    });
    expect(ended.summary.error!.hint).toMatch(/3 times without getting as far as another checkpoint/);
    expect(logOf(folder).at(-1)).toMatchObject({ event: 'given up' });
  });

  it('that gets on between its failures is relaunched more often than that', async () => {
    const ended = await supervised(Array.from({ length: 8 }, (_, i) => fails('browser', checkpoint(i))));
    expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 8 });
  });

  it('stops where a relaunch falls back to another adapter silently', async () => {
    const software = { vendor: 'google', architecture: 'swiftshader', device: '', description: '' };
    const work = supervised([fails('gpu-device-lost', checkpoint(1)), { adapter: software }]);
    await expect(work).rejects.toMatchObject({
      code: 'gpu-software-only',
      message: expect.stringContaining('swiftshader') as string,
    });
    expect(logOf(folder).filter((line) => line['event'] === 'opened')).toHaveLength(1);
  });

  it('that hangs in its first words, while it is opened, or while it is closed, does not hang its launcher', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const ended = await supervised([
      { run: never, close: never },
      { opens: never, close: never },
    ]);
    expect(ended).toMatchObject({ summary: { state: 'finished' }, relaunches: 2 });
    expect(
      logOf(folder)
        .filter((line) => line['event'] === 'failed')
        .map((line) => line['code']),
    ).toEqual(['hung', 'hung']);
  });

  it('that throws an error of its request is not relaunched', async () => {
    const refuses: Launch = { run: () => Promise.reject(new PupilError('config', 'experiment: a bad value')) };
    await expect(supervised([refuses])).rejects.toMatchObject({ code: 'config' });
  });

  it('out of memory twice in one place ends with a setting that would fit', { timeout: 60_000 }, async () => {
    const held: SessionEvent = { type: 'memory', totalBytes: 4e6, peakBytes: 15_000_000, parts: [] };
    const phase: SessionEvent = { type: 'phase', phase: 'instruct', state: 'start' };
    const ended = await supervised([fails('gpu-out-of-memory', phase, held), fails('gpu-out-of-memory', phase, held)]);
    expect(ended).toMatchObject({ summary: { state: 'failed' }, relaunches: 1 });
    expect(ended.summary.error!.hint).toMatch(/microBatchTokens \d+ → \d+ would fit/);
  });

  it('waits for room, and where none comes says how much is needed', async () => {
    const full = fails('storage-full', { ...checkpoint(1), sizeBytes: 2 ** 60 } as SessionEvent);
    const ended = await supervised([full]);
    expect(ended).toMatchObject({
      summary: { state: 'failed', error: { code: 'storage-full' } },
      relaunches: 0,
      hosts: 1,
    });
    expect(ended.summary.error!.hint).toMatch(/the next checkpoint needs \d+\.\d GiB, and no room came/);
    expect(logOf(folder).map((line) => line['event'])).toContain('waiting');
  });

  it.each([
    ['while it waits to be relaunched', [fails('browser')], 'relaunch'],
    ['while it is opened again', [fails('browser'), { opens: () => new Promise<void>(() => undefined) }], 'relaunch'],
    ['while it runs and does not answer', [{ run: () => new Promise<void>(() => undefined) }], 'opened'],
  ] as [string, Launch[], string][])('is stopped %s', async (_, launches, behind) => {
    const stop = new AbortController();
    const timer = setInterval(() => {
      if (readFileSync(join(folder, 'run.log'), 'utf8').includes(`"${behind}"`)) stop.abort();
    }, 10);
    const limits = {
      patience: { baseMs: launches.length > 1 ? 1 : 60_000 },
      hang: { leastMs: 60_000 },
      ends: { stopMs: 200, closeMs: 200 },
    };
    try {
      const ended = await supervised(launches, { signal: stop.signal, limits });
      expect(ended.summary.state).toBe('stopped');
      expect(logOf(folder).at(-1)).toMatchObject({ event: 'stopped' });
    } finally {
      clearInterval(timer);
    }
  });

  it.each([
    ['is closed where it did not stop', () => new Promise<never>(() => undefined), 1],
    ['stays open where it did', () => Promise.resolve({ runId: 'r', state: 'stopped', artefacts: [] }), 0],
  ])('leaves the next one of its place a session that works: it %s', async (_, ends, closings) => {
    const stop = new AbortController();
    const run = (): Promise<unknown> => {
      stop.abort();
      return ends();
    };
    const { summary, closed } = await supervised([{ run }], { signal: stop.signal }, { outlived: true });
    expect([summary.state, closed]).toEqual(['stopped', closings]);
  });

  it('that fails while it is being stopped is stopped, and says what happened', async () => {
    const stop = new AbortController();
    const launch: Launch = {
      run: () => {
        stop.abort();
        const error = failure('storage-full');
        return Promise.resolve({ runId: 'r', state: 'failed', report: {}, artefacts: [], error });
      },
    };
    const ended = await supervised([launch], { signal: stop.signal });
    expect(ended).toMatchObject({ summary: { state: 'stopped' }, hosts: 1, relaunches: 0 });
    expect(ended.said).toContain('it failed: storage-full; stopped, the last checkpoint stands');
    expect(logOf(folder).map((line) => line['event'])).toEqual(['start', 'opened', 'stopping', 'failed', 'stopped']);
  });

  it('is told to stop twice, the second time while it is closed: it ends in order', async () => {
    const before = process.listenerCount('SIGTERM');
    let heard = -1;
    const launch: Launch = {
      run: () => {
        process.emit('SIGTERM');
        return Promise.resolve({ runId: 'r', state: 'stopped', report: {}, artefacts: [] });
      },
      close: () => {
        heard = process.listenerCount('SIGTERM') - before;
        process.emit('SIGTERM');
        return Promise.resolve();
      },
    };
    const ended = await supervised([launch], {}, { heeds: true });
    expect(ended.summary.state).toBe('stopped');
    expect(heard).toBe(1);
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
