// queueJobs.ts: a grid as the jobs of a queue: what each carries, which of them may begin at once, which follow when one has
// ended, and what the last one, the table, is told of those that are missing. Pure; the queue itself is queue.ts.
import { createHash } from 'node:crypto';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { Experiment } from '../../config/experiment';
import type { Series, SeriesCell } from '../../config/series';
import type { PhaseName } from '../../session/protocol';
import type { LoadedSeries } from '../experimentFile';
import type { GridJob } from './jobs';
import { withoutPlaces } from './symbolicPaths';

/** What the queue holds of one run: everything that a worker needs, and no path of the machine that put it there. */
export interface QueuedJob {
  id: string;
  /** Of its grid. */
  grid: string;
  kind: GridJob['kind'];
  title: string;
  experiment: Experiment;
  until?: PhaseName;
  after?: string;
}

/** A grid as the job that makes its table carries it. */
export interface QueuedGrid {
  /** For names of keys and folders. */
  grid: string;
  series: Series;
  cells: SeriesCell[];
  /** Of the table's rows; the experiments are those of the jobs. */
  runs: { id: string; cell: SeriesCell; seed: number }[];
  jobs: QueuedJob[];
  /** ISO 8601. */
  addedAt: string;
}

/** What a job of the queue is. */
export type JobData = { kind: 'run'; job: QueuedJob } | { kind: 'table'; grid: QueuedGrid };

/** Why a run is not in the table. */
export interface MissingRun {
  id: string;
  title: string;
  why: string;
}

/** The table's job in the queue. */
export const tableId = (grid: string): string => `table-${grid}`;

/** A grid ready to be put into a queue. */
export function queuedGrid(
  { series, cells, runs }: LoadedSeries,
  jobs: readonly GridJob[],
  data: string | undefined,
): QueuedGrid {
  const grid = slug(series.name);
  return {
    grid,
    series,
    cells,
    runs: runs.map(({ id, cell, seed }) => ({ id, cell, seed })),
    jobs: jobs.map(({ id, kind, title, experiment, until, after }) => ({
      id: expectJobId(id, grid),
      grid,
      kind,
      title,
      experiment: withoutPlaces(experiment, data),
      ...(until === undefined ? {} : { until }),
      ...(after === undefined ? {} : { after }),
    })),
    addedAt: new Date().toISOString(),
  };
}

/** BullMQ takes no whole numbers and no colons; folders and buckets have their own rules. */
function expectJobId(id: string, grid: string): string {
  if (/^[a-z0-9][a-z0-9-]*$/.test(id) && !/^\d+$/.test(id) && id !== tableId(grid)) return id;
  throw new PupilError('config', `full --queue: expected job names of small letters, digits and dashes, got ${id}`);
}

/** SHA-256 of what a job computes: two jobs of one name must be the same. */
export function jobHash({ experiment, until }: Pick<QueuedJob, 'experiment' | 'until'>): string {
  const { name: _, ...computed } = experiment;
  return createHash('sha256')
    .update(JSON.stringify([sorted(computed), until ?? null]))
    .digest('hex');
}

/** SHA-256 of the grid whose table is made, whenever it was added. */
export function tableHash(data: JobData): string | undefined {
  if (data.kind !== 'table') return undefined;
  const { addedAt: _, ...grid } = data.grid;
  return createHash('sha256')
    .update(JSON.stringify(sorted(grid)))
    .digest('hex');
}

/** Redis keeps the order of keys, but whoever builds the document need not. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, of]) => of !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, of]) => [key, sorted(of)]));
}

/**
 * The jobs that may stand in the queue now: those that wait for nothing, and those whose forerunner has ended well.
 * @param done ids of jobs that have
 */
export function startable(jobs: readonly QueuedJob[], done: ReadonlySet<string>): QueuedJob[] {
  return jobs.filter(({ after }) => after === undefined || done.has(after));
}

/** The jobs that begin when this one has ended. */
export const followers = (jobs: readonly QueuedJob[], id: string): QueuedJob[] =>
  jobs.filter(({ after }) => after === id);

/** A job and all that it waits for, the first of them last. */
export function withForerunners(jobs: readonly QueuedJob[], id: string): string[] {
  const chain: string[] = [];
  for (let at: string | undefined = id; at !== undefined && !chain.includes(at);) {
    chain.push(at);
    at = jobs.find((job) => job.id === at)?.after;
  }
  return chain;
}

/** How a job of the queue ended, or where it is. */
export type JobState = 'waiting' | 'delayed' | 'running' | 'finished' | 'failed' | 'cancelled' | 'blocked';

/**
 * Every run that is not finished, and why.
 * @param stateOf of a job by its id, with the error where it has failed
 */
export function missingRuns(
  { runs, jobs }: Pick<QueuedGrid, 'runs' | 'jobs'>,
  stateOf: (id: string) => { state: JobState; error?: string },
): MissingRun[] {
  return runs.flatMap(({ id }) => {
    const { state, error } = stateOf(id);
    if (state === 'finished') return [];
    const title = jobs.find((job) => job.id === id)?.title ?? id;
    return [
      {
        id,
        title,
        why: state === 'failed' ? `failed: ${error ?? 'no reason is known'}` : whyNot(jobs, id, state, stateOf),
      },
    ];
  });
}

function whyNot(
  jobs: readonly QueuedJob[],
  id: string,
  state: JobState,
  stateOf: (id: string) => { state: JobState; error?: string },
): string {
  if (state !== 'blocked') return state === 'cancelled' ? 'cancelled' : `not finished (${state})`;
  for (const other of withForerunners(jobs, id).slice(1)) {
    const found = stateOf(other);
    if (found.state === 'failed') return `${other}, which it waits for, failed: ${found.error ?? 'no reason is known'}`;
    if (found.state === 'cancelled') return `${other}, which it waits for, was cancelled`;
    if (found.state !== 'blocked') return `waits for ${other} (${found.state})`;
  }
  return 'waits for another job';
}
