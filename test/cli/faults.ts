// faults.ts: a short supervised run to which something real happens: its renderer, GPU process, browser or device ends or
// stands still, its disk fills up, its files are damaged. In this process, through the real host; the claims are in the
// tests that use it.
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ROOT } from '../../scripts/build.mjs';
import { vulkanEnvironment } from '../../scripts/vulkan.mjs';
import { browserGroups } from '../../src/cli/browserProcesses';
import { loadExperiment } from '../../src/cli/experimentFile';
import { superviseRun, type Supervised, type SuperviseOptions } from '../../src/cli/full/supervise';
import type { Host, HostOptions } from '../../src/cli/host';
import { openNodeHost } from '../../src/cli/nodeHost';
import { Output } from '../../src/cli/output';
import { openPageHost } from '../../src/cli/pageHost';
import { prepareRunFolder } from '../../src/cli/runFolder';
import type { SessionEvent } from '../../src/session/protocol';
import { Kept } from './fakeSession';
import { results, writeShortExperiment } from './killedRuns';

/** Quick to give up and to begin again, slow to believe that something hangs: the machine may be busy. */
export const QUICK: NonNullable<SuperviseOptions['limits']> = {
  patience: { baseMs: 50, longestMs: 200 },
  hang: { leastMs: 300_000, everyMs: 250 },
  room: { spareBytes: 8 * 2 ** 20, everyMs: 200, longestMs: 60_000 },
  ends: { stopMs: 30_000, closeMs: 20_000 },
};

export type Part = 'browser' | 'renderer' | 'gpu-process';

/** Processes of a part of the browser that runs on the run's profile. */
export function processesOf(out: string, part: Part): number[] {
  const groups = browserGroups(join(out, '.profile'));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
        if (!groups.includes(group)) return [];
        const type = /--type=([\w-]+)/.exec(readFileSync(`/proc/${name}/cmdline`, 'utf8'))?.[1] ?? 'browser';
        return type === part && (part !== 'browser' || Number(name) === group) ? [Number(name)] : [];
      } catch {
        return []; // gone meanwhile
      }
    });
}

/** Sends a signal to a part of the run's browser. @throws where there is no such process: a test must not pass by that */
export function strike(out: string, part: Part, signal: NodeJS.Signals): void {
  const found = processesOf(out, part);
  if (found.length === 0) throw new Error(`no ${part} runs in ${out}`);
  for (const pid of found) process.kill(pid, signal);
}

export interface Story extends Supervised {
  /** Lines of run.log. */
  log: Record<string, unknown>[];
  /** What was said on stderr and stdout. */
  said: string;
  results: Record<string, string>;
}

export interface StoryOptions {
  host?: 'chrome' | 'node';
  resume?: boolean;
  retries?: number;
  limits?: SuperviseOptions['limits'];
  patience?: HostOptions['patience'];
  signal?: AbortSignal;
  /** A line of run.log was cut off: it is no JSON, and left out. */
  cutLog?: boolean;
  /** Takes what is said. */
  text?: Kept;
  /** Told of every event with its number; what it throws fails the story. */
  onEvent?: (event: SessionEvent, n: number) => void;
  /** Replaces the opening of hosts. */
  openHost?: (options: HostOptions, open: (options: HostOptions) => Promise<Host>) => Promise<Host>;
}

export const logOf = (out: string, cut = false): Record<string, unknown>[] =>
  readFileSync(join(out, 'run.log'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && (!cut || line.endsWith('}')))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Runs the experiment in its folder, supervised, and tells what came of it. */
export async function story(experimentFile: string, out: string, options: StoryOptions = {}): Promise<Story> {
  const { host = 'chrome', resume = false, retries = 3, signal, patience } = options;
  const flags = { host, gpu: 'software', tier: 'f32' as const };
  const { experiment, inputs } = loadExperiment(experimentFile, flags);
  const { folder, record, release } = prepareRunFolder(out, experiment, resume, inputs);
  const text = options.text ?? new Kept();
  const open = (wanted: HostOptions): Promise<Host> =>
    wanted.kind === 'node'
      ? openNodeHost(wanted)
      : openPageHost({ ...wanted, ...(patience === undefined ? {} : { patience }) });
  let events = 0;
  let broken: unknown;
  const onEvent = (event: SessionEvent): void => {
    try {
      options.onEvent?.(event, ++events);
    } catch (error) {
      broken ??= error;
    }
  };
  const context = {
    openHost: (wanted: HostOptions) => (options.openHost === undefined ? open(wanted) : options.openHost(wanted, open)),
  };
  const run = {
    runId: record.runId,
    experiment,
    inputs,
    folder,
    resume,
    force: false,
    cache: { cache: 'off' as const },
  };
  const output = new Output(true, { out: text, err: text });
  try {
    const ended = await superviseRun(context, flags, output, run, {
      retries,
      limits: options.limits ?? QUICK,
      signal: signal ?? new AbortController().signal,
      onEvent,
    });
    if (broken !== undefined) throw broken;
    const done = ended.summary.state === 'finished';
    return { ...ended, log: logOf(out, options.cutLog), said: text.text, results: done ? results(out) : {} };
  } finally {
    output.close();
    release();
  }
}

/** The bytes of the experiment's run that nothing happens to, on a host; made once each, in a folder below. */
export function undisturbedRuns(
  experimentFile: string,
  below: string,
): (host: 'chrome' | 'node') => Promise<Record<string, string>> {
  const made = new Map<string, Promise<Record<string, string>>>();
  return (host) => {
    const make = async (): Promise<Record<string, string>> => {
      const ended = await story(experimentFile, join(below, `undisturbed-${host}`), { host });
      expect(ended).toMatchObject({ relaunches: 0, summary: { state: 'finished' } });
      return ended.results;
    };
    const found = made.get(host) ?? make();
    made.set(host, found);
    return found;
  };
}

/** Calls `act` at the first event that fits, once. */
export function once(
  fits: (event: SessionEvent) => boolean,
  act: (event: SessionEvent) => void,
): (event: SessionEvent) => void {
  let done = false;
  return (event) => {
    if (done || !fits(event)) return;
    done = true;
    act(event);
  };
}

/** The n-th optimiser step of a phase was made. */
export const step =
  (phase: 'instruct' | 'self-refine', n: number) =>
  (event: SessionEvent): boolean =>
    event.type === 'metrics' && event.phase === phase && event.step === n;

/** The short experiment, cut to a step less of everything, for tests of every day. */
export function writeBriefExperiment(folder: string): string {
  const file = writeShortExperiment(folder);
  const experiment = JSON.parse(readFileSync(file, 'utf8')) as {
    phases: { instruct: { maxSteps: number }; selfRefine: { maxSteps: number; sampling: { maxNewTokens: number } } };
    evaluation: { maxNewTokens: number };
  };
  experiment.phases.instruct.maxSteps = 3;
  experiment.phases.selfRefine.maxSteps = 2;
  experiment.phases.selfRefine.sampling.maxNewTokens = 16;
  experiment.evaluation.maxNewTokens = 8;
  writeFileSync(file, JSON.stringify(experiment));
  return file;
}

/** Cuts off the newest commit of a folder of checkpoints, as a power failure does; its number. */
export function damageNewest(checkpoints: string): number {
  const commits = [0, 1].flatMap((slot) => {
    const file = join(checkpoints, `commit-${slot}.json`);
    if (!existsSync(file)) return [];
    const sequence = Number(/"sequence":\s*(\d+)/.exec(readFileSync(file, 'utf8'))?.[1]);
    return [{ file, sequence }];
  });
  const newest = commits.reduce((a, b) => (b.sequence > a.sequence ? b : a));
  if (!(commits.length === 2 && newest.sequence > 1)) throw new Error(`expected two commits in ${checkpoints}`);
  truncateSync(newest.file, Math.floor(statSync(newest.file).size / 2));
  return newest.sequence;
}

/** Whether this user may mount a small file system of its own. */
export function mayMount(): boolean {
  if (process.platform !== 'linux') return false;
  const place = mkdtempSync(join(tmpdir(), 'pupil-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place], { stdio: 'ignore' });
    execFileSync('umount', [place]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(place);
  }
}

const FILLER = 'filler.bin';

/** Leaves so little room that a small file still fits and a checkpoint does not. */
export function fillDisk(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  try {
    writeFileSync(join(folder, FILLER), Buffer.alloc(Math.max(0, bavail * bsize - 64 * 1024)));
  } catch (error) {
    // Whoever else wrote meanwhile has filled it with us.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Takes away what {@link fillDisk} wrote a moment after the words are said. */
export async function emptiedWhenSaid(folder: string, text: Kept, words: string): Promise<void> {
  const moment = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const end = Date.now() + 300_000; // a test whose run fails must not wait for ever
  while (!text.text.includes(words) && Date.now() < end) await moment(50);
  await moment(1000);
  rmSync(join(folder, FILLER), { force: true });
}

/** The command line's own process with a run, as it is started by a person. */
export interface Launched {
  until: (fits: (event: SessionEvent) => boolean) => Promise<void>;
  untilSaid: (words: string) => Promise<void>;
  /** Calls `act` at each event from now on that fits. */
  each: (fits: (event: SessionEvent) => boolean, act: () => void) => void;
  signal: (name: NodeJS.Signals) => void;
  ended: Promise<{ code: number | null; err: string }>;
}

/** Starts `pupil run`; the command line must be built. */
export function launched(experimentFile: string, out: string, flags: readonly string[]): Launched {
  const args = [join(ROOT, 'dist/cli/pupil.js'), 'run', experimentFile, '--out', out, '--json', ...flags];
  const env = { ...process.env, ...(flags.includes('node') ? vulkanEnvironment() : {}) };
  const child = spawn(process.execPath, args, { cwd: ROOT, env });
  let err = '';
  let said = '';
  const waiting = new Set<() => void>();
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    for (const look of waiting) look();
  });
  const ended = new Promise<{ code: number | null; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, err }));
  });
  const lines = (): string[] => said.split('\n').slice(0, -1);
  const heard = (fits: (line: string) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!lines().some(fits)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      void ended.then(() => reject(new Error(`the run ended before: ${err}`)));
    });
  const isEvent =
    (fits: (event: SessionEvent) => boolean) =>
    (line: string): boolean =>
      line.startsWith('{') && fits(JSON.parse(line) as SessionEvent);
  return {
    until: (fits) => heard(isEvent(fits)),
    untilSaid: (words) => heard((line) => line.includes(words)),
    each: (fits, act) => {
      let seen = lines().length;
      waiting.add(() => {
        for (const line of lines().slice(seen)) {
          seen++;
          if (isEvent(fits)(line)) act();
        }
      });
    },
    signal: (name) => child.kill(name),
    ended,
  };
}
