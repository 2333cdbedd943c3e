// queue.ts: grids in a queue of BullMQ: put there, paused, cancelled, looked at. A grid is a flow: the table is the parent and
// waits for its children, the runs; a run that others wait for adds them as further children before it ends, since a job of
// BullMQ has one parent only. A run that fails for good stops neither the others nor the table. Who works is worker.ts.
//
// Beside BullMQ's keys (pupil:<namespace>:…) there are pupil-namespaces, pupil-grids:<namespace> and
// pupil-cancelled:<namespace>, sets of names.
import { FlowProducer, Queue, type Job, type JobsOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { PupilError } from '../../base/errors';
import {
  followers,
  jobHash,
  startable,
  tableId,
  type JobData,
  type JobState,
  type QueuedGrid,
  type QueuedJob,
} from './queueJobs';

export const QUEUE_PREFIX = 'pupil';
const NAMESPACES = 'pupil-namespaces';

/** Of grids that say nothing: there is room before and behind. */
export const DEFAULT_PRIORITY = 100;
/** How often a job is begun in all, where it fails by itself. */
export const DEFAULT_ATTEMPTS = 3;
/** The wait after the first failure of a job; doubled for each further one. */
const BACKOFF_MS = 10_000;

export interface AddOptions {
  /** 1 is done first. */
  priority?: number;
  attempts?: number;
}

/** What came of adding a grid. */
export interface Added {
  added: number;
  /** Had failed or been cancelled, and are in the queue again. */
  again: number;
  /** Are there: waiting, running or finished. */
  there: number;
}

export type RunJob = Job<JobData, unknown, string>;

/** A namespace is a part of Redis keys, of folders and of buckets. @throws PupilError `usage` */
export function expectNamespace(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return name;
  throw new PupilError('usage', `--namespace: expected small letters, digits and dashes, got ${name}`);
}

/** The namespace to look at where none is named: the only one there is. @throws PupilError `usage` naming those there are */
export async function onlyNamespace(redis: Redis): Promise<string> {
  const found = (await redis.smembers(NAMESPACES)).sort();
  if (found.length === 1) return found[0]!;
  throw new PupilError(
    'usage',
    found.length === 0
      ? '--namespace: expected a grid in the queue, nothing has been put there yet'
      : `--namespace: expected which one, there are ${found.join(', ')}`,
    found.length === 0 ? 'pupil full GRID.json --queue URL, or name the --namespace that it will have.' : undefined,
  );
}

export class GridQueue {
  readonly queue: Queue<JobData, unknown, string>;
  private readonly flows: FlowProducer;

  constructor(
    private readonly redis: Redis,
    readonly namespace: string,
  ) {
    const connection = { connection: redis, prefix: QUEUE_PREFIX };
    this.queue = new Queue<JobData, unknown, string>(namespace, connection);
    this.flows = new FlowProducer(connection);
    // Told by the connection itself; without a listener Node would end the process.
    this.queue.on('error', () => undefined);
    this.flows.on('error', () => undefined);
  }

  /** The slugs of the grids that are there. */
  async grids(): Promise<string[]> {
    return (await this.redis.smembers(`pupil-grids:${this.namespace}`)).sort();
  }

  /** A grid as it was added. */
  async grid(name: string): Promise<QueuedGrid | undefined> {
    const data = (await this.job(tableId(name)))?.data;
    return data?.kind === 'table' ? data.grid : undefined;
  }

  async job(id: string): Promise<RunJob | undefined> {
    return (await this.queue.getJob(id)) as RunJob | undefined;
  }

  /** Where a job is. */
  async stateOf(id: string): Promise<JobState> {
    const state = await this.queue.getJobState(id);
    if (state === 'completed') return 'finished';
    if (state === 'active') return 'running';
    if (await this.isCancelled(id)) return 'cancelled';
    if (state === 'failed' || state === 'delayed') return state;
    if (state === 'waiting-children' || state === 'unknown') return 'blocked';
    return 'waiting';
  }

  /**
   * Puts a grid there. What is there already stays as it is; what had failed or been cancelled begins again, from its last
   * checkpoint.
   * @throws PupilError `queue` where jobs of these names compute something else
   */
  async add(grid: QueuedGrid, options: AddOptions = {}): Promise<Added> {
    const there = new Map<string, { job: RunJob; state: JobState }>();
    for (const { id } of grid.jobs) {
      const job = await this.job(id);
      if (job !== undefined) there.set(id, { job, state: await this.stateOf(id) });
    }
    this.expectSame(grid, there);
    const before = new Set((await this.grid(grid.grid))?.jobs.map(({ id }) => id));
    await this.tableAtRest(grid.grid);
    await this.redis.sadd(NAMESPACES, this.namespace);
    await this.redis.sadd(`pupil-grids:${this.namespace}`, grid.grid);
    let again = await this.redis.srem(this.cancelledKey, ...grid.jobs.map(({ id }) => id));
    for (const [id, { job, state }] of there) {
      if (state !== 'failed' && state !== 'cancelled') continue;
      if (state === 'failed') again++;
      if (await job.isFailed()) {
        await job.remove();
        there.delete(id);
      }
    }
    const done = new Set([...there].filter(([, { state }]) => state === 'finished').map(([id]) => id));
    const begin = startable(grid.jobs, done).filter(({ id }) => !there.has(id));
    const optionsOf = this.optionsOf(options);
    const table = await this.job(tableId(grid.grid));
    if (table !== undefined && (await table.isWaitingChildren())) {
      await table.updateData({ kind: 'table', grid });
      await this.addChildren(table, begin, optionsOf);
    } else {
      await table?.remove({ removeChildren: false });
      // Those that are under way become children again of the table that is made anew.
      const open = grid.jobs.filter(({ id }) => there.has(id) && !done.has(id));
      const queueName = this.namespace;
      await this.flows.add({
        name: 'table',
        queueName,
        prefix: QUEUE_PREFIX,
        data: { kind: 'table', grid } satisfies JobData,
        opts: { ...optionsOf, jobId: tableId(grid.grid) },
        children: [...open, ...begin].map((job) => ({
          name: job.kind,
          queueName,
          prefix: QUEUE_PREFIX,
          data: { kind: 'run', job } satisfies JobData,
          opts: { ...optionsOf, jobId: job.id, ignoreDependencyOnFailure: true },
        })),
      });
    }
    const added = grid.jobs.filter(({ id }) => !before.has(id)).length;
    return { added, again, there: grid.jobs.length - added - again };
  }

  /**
   * Adds the jobs that wait for this one, which is about to end. Those that are there already (this job was ended before by a
   * worker that died) stay.
   */
  async addFollowers({ id, grid }: QueuedJob, options: JobsOptions): Promise<void> {
    const table = await this.job(tableId(grid));
    if (table?.data.kind !== 'table') return;
    const missing: QueuedJob[] = [];
    for (const job of followers(table.data.grid.jobs, id)) {
      if ((await this.job(job.id)) === undefined && !(await this.isCancelled(job.id))) missing.push(job);
    }
    const { priority, attempts } = options;
    await this.addChildren(
      table,
      missing,
      this.optionsOf({
        ...(priority === undefined ? {} : { priority }),
        ...(attempts === undefined ? {} : { attempts }),
      }),
    );
  }

  /** No job is begun any more; those that run go on. */
  async pause(): Promise<void> {
    await this.queue.pause();
  }

  async resume(): Promise<void> {
    await this.queue.resume();
  }

  /**
   * Cancels a job, or all that are not finished. One that waits is taken out at once; one that runs writes a checkpoint and
   * ends. Adding the grid again begins them again.
   * @throws PupilError `queue` where there is no such job
   */
  async cancel(id?: string): Promise<string[]> {
    const jobs: QueuedJob[] = [];
    for (const name of await this.grids()) jobs.push(...((await this.grid(name))?.jobs ?? []));
    const wanted = id === undefined ? jobs : jobs.filter((job) => job.id === id);
    if (wanted.length === 0) {
      throw new PupilError(
        'queue',
        `--cancel: expected a job of ${this.namespace}, there is ${id === undefined ? 'none' : `no ${id}`}`,
        'pupil board names them.',
      );
    }
    const cancelled: string[] = [];
    for (const job of wanted) {
      const state = await this.stateOf(job.id);
      if (state === 'finished' || state === 'failed' || state === 'cancelled') continue;
      await this.redis.sadd(this.cancelledKey, job.id);
      cancelled.push(job.id);
    }
    // Marked first: a job that a worker takes at this moment is refused there.
    for (const one of cancelled) {
      const job = await this.job(one);
      if (job !== undefined && !(await job.isActive())) await job.remove().catch(() => undefined);
    }
    return cancelled;
  }

  async isCancelled(id: string): Promise<boolean> {
    return (await this.redis.sismember(this.cancelledKey, id)) === 1;
  }

  /** Leaves the connection open: it is the caller's. */
  async close(): Promise<void> {
    await Promise.allSettled([this.queue.close(), this.flows.close()]);
  }

  private get cancelledKey(): string {
    return `pupil-cancelled:${this.namespace}`;
  }

  private optionsOf({ priority = DEFAULT_PRIORITY, attempts = DEFAULT_ATTEMPTS }: AddOptions): JobsOptions {
    // Half of the wait is chance, so that jobs that failed together do not begin together.
    return { priority, attempts, backoff: { type: 'exponential', delay: BACKOFF_MS, jitter: 0.5 } };
  }

  private async addChildren(table: RunJob, jobs: readonly QueuedJob[], options: JobsOptions): Promise<void> {
    if (jobs.length === 0) return;
    const parent = { id: table.id!, queue: this.queue.qualifiedName };
    await this.queue.addBulk(
      jobs.map((job) => ({
        name: job.kind,
        data: { kind: 'run', job },
        opts: { ...options, jobId: job.id, parent, ignoreDependencyOnFailure: true },
      })),
    );
  }

  private expectSame(grid: QueuedGrid, there: ReadonlyMap<string, { job: RunJob }>): void {
    for (const job of grid.jobs) {
      const data = there.get(job.id)?.job.data;
      if (
        data === undefined ||
        (data.kind === 'run' && data.job.grid === grid.grid && jobHash(data.job) === jobHash(job))
      ) {
        continue;
      }
      throw new PupilError(
        'queue',
        `full --queue: expected ${job.id} to be the same job as in the queue's namespace ${this.namespace}, it computes something else`,
        'The grid was changed, or another one has jobs of this name: use another --namespace.',
      );
    }
  }

  /** A table that is being made now would miss what is added: its end is waited for. */
  private async tableAtRest(grid: string): Promise<void> {
    for (let waited = 0; waited < 300; waited++) {
      const table = await this.job(tableId(grid));
      if (table === undefined) return;
      const state = await table.getState();
      if (state === 'waiting-children' || state === 'completed' || state === 'failed') return;
      if (state !== 'active') {
        await table.remove({ removeChildren: false }).catch(() => undefined); // made anew below
        continue;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new PupilError(
      'queue',
      `full --queue: the table of ${grid} is being made`,
      'Add the grid again in a minute.',
    );
  }
}
