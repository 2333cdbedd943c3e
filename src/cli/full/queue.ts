// queue.ts: grids in a queue of BullMQ: put there, paused, cancelled, looked at. A grid is a flow: the table is the parent and
// waits for its children, the runs; a run that others wait for adds them as further children before it ends, since a job of
// BullMQ has one parent only. A run that fails for good stops neither the others nor the table. Who works is worker.ts.
//
// Beside BullMQ's keys (pupil:<namespace>:…) there are pupil-namespaces, pupil-grids:<namespace> and
// pupil-cancelled:<namespace>, sets of names, and pupil-stop:<namespace>, which is there while runs are to stop.
import { FlowProducer, Queue, type Job, type JobsOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { PupilError } from '../../base/errors';
import {
  followers,
  jobHash,
  startable,
  tableHash,
  tableId,
  withForerunners,
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

/** Where each job of a grid is; `job` is absent where it is not in the queue: it waits for another one, or was taken out. */
type JobPlaces = ReadonlyMap<string, { job: RunJob | undefined; state: JobState }>;

const idsIn = (there: JobPlaces, ...states: JobState[]): Set<string> =>
  new Set([...there].flatMap(([id, { state }]) => (states.includes(state) ? [id] : [])));

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
   * checkpoint. A process that dies over it leaves nothing, or what adding the same grid again completes: what begins is put
   * there in one step, the last.
   * @throws PupilError `queue` where jobs of these names compute something else
   */
  async add(grid: QueuedGrid, options: AddOptions = {}): Promise<Added> {
    const there = await this.placesOf(grid);
    this.expectSame(grid, there);
    const before = new Set((await this.grid(grid.grid))?.jobs.map(({ id }) => id));
    const again = idsIn(there, 'failed', 'cancelled');
    await this.begin(grid, there, again, () => this.optionsOf(options));
    const added = grid.jobs.filter(({ id }) => !before.has(id) && !again.has(id)).length;
    return { added, again: again.size, there: grid.jobs.length - added - again.size };
  }

  /**
   * Begins again, from their last checkpoints, what has failed for good; what waits for it follows as if it had not. With a
   * name: that job and those it waits for, also where they were cancelled, and at once where they wait after a failure.
   * @returns the jobs that begin, and those that follow them
   * @throws PupilError `queue` where there is no such job, or nothing of it to begin again
   */
  async retry(id?: string): Promise<{ again: string[]; follow: string[] }> {
    const told = { again: [] as string[], follow: [] as string[] };
    let state: JobState | undefined;
    for (const name of await this.grids()) {
      const grid = await this.grid(name);
      if (grid === undefined || (id !== undefined && !grid.jobs.some((job) => job.id === id))) continue;
      const there = await this.placesOf(grid);
      const chain = id === undefined ? undefined : withForerunners(grid.jobs, id);
      const wanted = chain === undefined ? idsIn(there, 'failed') : idsIn(there, 'failed', 'cancelled');
      const again = new Set([...wanted].filter((one) => chain?.includes(one) !== false));
      const early = (chain ?? []).flatMap((one) => (there.get(one)?.state === 'delayed' ? [there.get(one)!.job!] : []));
      if (id !== undefined) state = there.get(id)!.state;
      if (again.size > 0) {
        const { opts } = (await this.job(tableId(name)))!;
        await this.begin(grid, there, again, (one) => this.optionsLike(there.get(one)?.job?.opts ?? opts));
      }
      for (const job of early) await job.promote();
      const begun = [...again, ...early.map((job) => job.id!)];
      const waiting = grid.jobs.filter((job) => !begun.includes(job.id) && there.get(job.id)!.state === 'blocked');
      told.again.push(...begun);
      told.follow.push(
        ...waiting
          .map((job) => job.id)
          .filter((one) => withForerunners(grid.jobs, one).some((of) => begun.includes(of))),
      );
    }
    if (id === undefined || told.again.length > 0) return told;
    throw new PupilError(
      'queue',
      `--retry: expected a job of ${this.namespace} that failed or was cancelled, ${state === undefined ? `there is no ${id}` : `${id} is ${state}`}`,
      'pupil board shows which have failed; without a name all of them begin again.',
    );
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
    await this.addChildren(table, missing, () => this.optionsLike(options));
  }

  /**
   * No job is begun any more. Those that run go on; with `now` they write their checkpoints and wait in the queue again,
   * before all others, without having been counted as tried.
   * @returns the runs that are under way
   */
  async pause(now = false): Promise<string[]> {
    await this.queue.pause();
    // After it: a job that was given back is not begun again.
    if (now) await this.redis.set(this.stopKey, '1');
    else await this.redis.del(this.stopKey);
    return this.running();
  }

  async resume(): Promise<void> {
    await this.redis.del(this.stopKey);
    await this.queue.resume();
  }

  /** The runs that are under way. A table takes seconds and is none. */
  async running(): Promise<string[]> {
    const jobs = (await this.queue.getActive()) as (RunJob | undefined)[];
    return jobs.flatMap((job) => (job?.data.kind === 'run' ? [job.id!] : [])).sort();
  }

  /** Whether what runs is to stop as well. */
  async isToStop(): Promise<boolean> {
    return (await this.redis.exists(this.stopKey)) === 1;
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

  private get stopKey(): string {
    return `pupil-stop:${this.namespace}`;
  }

  private optionsOf({ priority = DEFAULT_PRIORITY, attempts = DEFAULT_ATTEMPTS }: AddOptions): JobsOptions {
    // Half of the wait is chance, so that jobs that failed together do not begin together.
    return { priority, attempts, backoff: { type: 'exponential', delay: BACKOFF_MS, jitter: 0.5 } };
  }

  /** Those of a job that was added before. */
  private optionsLike({ priority, attempts }: JobsOptions): JobsOptions {
    return this.optionsOf({
      ...(priority === undefined ? {} : { priority }),
      ...(attempts === undefined ? {} : { attempts }),
    });
  }

  /** Where every job of a grid is. Asked all at once: a grid has hundreds. */
  private async placesOf({ jobs }: QueuedGrid): Promise<JobPlaces> {
    const found = jobs.map(async ({ id }) => {
      const [job, state] = await Promise.all([this.job(id), this.stateOf(id)]);
      return [id, { job, state }] as const;
    });
    return new Map(await Promise.all(found));
  }

  /** Puts there what may begin: `again`, and what is new. What waits for others is added when they end. */
  private async begin(
    grid: QueuedGrid,
    there: JobPlaces,
    again: ReadonlySet<string>,
    optionsOf: (id: string) => JobsOptions,
  ): Promise<void> {
    await this.tableAtRest(grid.grid);
    await this.redis.sadd(NAMESPACES, this.namespace);
    await this.redis.sadd(`pupil-grids:${this.namespace}`, grid.grid);
    if (again.size > 0) await this.redis.srem(this.cancelledKey, ...again);
    const gone = new Set<string>();
    for (const id of again) {
      const { job } = there.get(id)!;
      const failed = (await job?.isFailed()) === true;
      if (failed) await job!.remove();
      if (failed || job === undefined) gone.add(id);
    }
    const done = idsIn(there, 'finished');
    const isThere = (id: string): boolean => there.get(id)!.job !== undefined && !gone.has(id);
    const cancelled = idsIn(there, 'cancelled');
    const begin = startable(grid.jobs, done).filter(({ id }) => !isThere(id) && (again.has(id) || !cancelled.has(id)));
    const table = await this.job(tableId(grid.grid));
    if (table !== undefined && (await table.isWaitingChildren())) {
      await table.updateData({ kind: 'table', grid });
      return this.addChildren(table, begin, optionsOf);
    }
    // Those that are under way become children again of the table that is made anew.
    const ended = idsIn(there, 'finished', 'failed', 'cancelled');
    const open = grid.jobs.filter(({ id }) => isThere(id) && (again.has(id) || !ended.has(id)));
    const isMade =
      table !== undefined &&
      (await table.isCompleted()) &&
      tableHash(table.data) === tableHash({ kind: 'table', grid });
    // Of a grid in which nothing is to do the table stands: there may be no worker left to make it anew.
    if (isMade && open.length + begin.length === 0) return;
    await table?.remove({ removeChildren: false });
    const queueName = this.namespace;
    await this.flows.add({
      name: 'table',
      queueName,
      prefix: QUEUE_PREFIX,
      data: { kind: 'table', grid } satisfies JobData,
      opts: { ...optionsOf(tableId(grid.grid)), jobId: tableId(grid.grid) },
      children: [...open, ...begin].map((job) => ({
        name: job.kind,
        queueName,
        prefix: QUEUE_PREFIX,
        data: { kind: 'run', job } satisfies JobData,
        opts: { ...optionsOf(job.id), jobId: job.id, ignoreDependencyOnFailure: true },
      })),
    });
  }

  private async addChildren(
    table: RunJob,
    jobs: readonly QueuedJob[],
    optionsOf: (id: string) => JobsOptions,
  ): Promise<void> {
    if (jobs.length === 0) return;
    const parent = { id: table.id!, queue: this.queue.qualifiedName };
    await this.queue.addBulk(
      jobs.map((job) => ({
        name: job.kind,
        data: { kind: 'run', job },
        opts: { ...optionsOf(job.id), jobId: job.id, parent, ignoreDependencyOnFailure: true },
      })),
    );
  }

  private expectSame(grid: QueuedGrid, there: JobPlaces): void {
    for (const job of grid.jobs) {
      const data = there.get(job.id)?.job?.data;
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
