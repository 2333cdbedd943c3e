// gridWorkers.ts: a tiny grid worked on by real worker processes over a real Redis, disturbed as the test says, and what can
// be counted afterwards: how often each job ended, and how often each phase was computed. Tests only.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import type { SeriesReport } from '../../src/report/series';
import type { GridAxes } from './tinyGrid';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LESSON = join(ROOT, 'test/fixtures/lesson');

/** The two students of the lesson's fixtures, and what makes a run short. */
export const STUDENTS: GridAxes[number] = {
  name: 'student',
  values: ['p10', 'p8'].map((label) => ({
    label,
    set: {
      'student.source.path': join(LESSON, `student-${label}`),
      'phases.instruct.maxSteps': 2,
      'tasks[0].split.testLimit': 2,
      'tasks[1].split.testLimit': 1,
    },
  })),
};

export type Line = Record<string, unknown>;

export interface WorkerHost {
  /** Flags that say what its runs are computed in; Dawn in the worker itself where absent. */
  flags?: readonly string[];
  /** The program, with its arguments, inside which the worker is started. */
  inside?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

/** A `pupil worker` process. */
export class WorkerProcess {
  readonly lines: Line[] = [];
  private readonly child: ChildProcess;
  private err = '';
  private readonly waiting: { wanted: (line: Line) => boolean; resolve: (line: Line) => void }[] = [];
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[], { flags = ['--host', 'node'], inside = [], env = {} }: WorkerHost = {}) {
    const worker = [process.execPath, join(ROOT, 'scripts/pupil.mjs'), 'worker', ...args, ...flags, '--json'];
    const [program, ...rest] = [...inside, ...worker] as [string, ...string[]];
    this.child = spawn(program, rest, {
      ...{ cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
      env: { ...process.env, ...env },
    });
    this.child.stderr!.on('data', (text: Buffer) => (this.err += text.toString()));
    createInterface(this.child.stdout!).on('line', (text) => {
      if (!text.startsWith('{')) return;
      const line = JSON.parse(text) as Line;
      this.lines.push(line);
      for (const one of this.waiting) if (one.wanted(line)) one.resolve(line);
    });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** The next line of this kind that comes. */
  until(what: string, wanted: (line: Line) => boolean): Promise<Line> {
    return Promise.race([
      new Promise<Line>((resolve) => this.waiting.push({ wanted, resolve })),
      this.ended.then((code) => {
        throw new Error(`the worker ended with ${code} before ${what}: ${this.err}`);
      }),
    ]);
  }

  /** The launcher and the worker itself. */
  signal(name: NodeJS.Signals): void {
    process.kill(-this.child.pid!, name);
  }

  /** Where it has not ended by itself. */
  kill(): void {
    try {
      this.signal('SIGKILL');
    } catch {
      // it has
    }
  }

  get text(): string {
    return this.err;
  }
}

/** How often each job was told to be completed or failed, by BullMQ's own stream of events. */
export async function endsOf(url: string, namespace: string): Promise<Map<string, string[]>> {
  const redis = new Redis(url);
  const found = new Map<string, string[]>();
  for (const [, fields] of await redis.xrange(`pupil:${namespace}:events`, '-', '+')) {
    const event = Object.fromEntries(fields.flatMap((text, i) => (i % 2 === 0 ? [[text, fields[i + 1]!]] : []))) as {
      event: string;
      jobId?: string;
    };
    if (event.jobId === undefined || !['completed', 'failed'].includes(event.event)) continue;
    found.set(event.jobId, [...(found.get(event.jobId) ?? []), event.event]);
  }
  redis.disconnect();
  return found;
}

/** How often each phase was computed over all jobs of a folder store, by the runs' own logs. */
export function computedIn(store: string, namespace: string): Record<string, number> {
  const counts: Record<string, number> = {};
  const runs = join(store, namespace, 'runs');
  for (const id of readdirSync(runs)) {
    const manifest = readdirSync(join(runs, id, 'manifests'))
      .sort()
      .at(-1)!;
    const { files } = JSON.parse(readFileSync(join(runs, id, 'manifests', manifest), 'utf8')) as {
      files: { path: string; sha256: string }[];
    };
    const report = files.find(({ path }) => path === 'report.json');
    if (report === undefined) continue;
    const { log } = JSON.parse(readFileSync(join(runs, id, 'files', report.sha256), 'utf8')) as {
      log: { message: string }[];
    };
    const taken = new Set(
      log.flatMap(({ message }) => /^(.+): taken from the shared results/.exec(message)?.[1] ?? []),
    );
    const phases = ['baseline Baseline', 'instruct', 'generate-pairs', 'self-refine'];
    const reached = id.startsWith('baseline-') ? 1 : id.startsWith('instruct-') ? 2 : phases.length; // jobs that end early
    for (const phase of phases.slice(0, reached)) {
      if (!taken.has(phase)) counts[phase] = (counts[phase] ?? 0) + 1;
    }
  }
  return counts;
}

/** A table without what differs between two makings of it: times. */
export function tableOf(text: string): Omit<SeriesReport, 'runs'> & { runs: { id: string; state: string }[] } {
  const report = JSON.parse(text) as SeriesReport;
  return { ...report, runs: report.runs.map(({ id, state }) => ({ id, state })) } as ReturnType<typeof tableOf>;
}
