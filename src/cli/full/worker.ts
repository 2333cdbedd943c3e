// worker.ts: a machine at work for a queue: takes a job for each free GPU or slot, has it run (jobRun.ts), tells how far it is,
// and gives it back when it is asked to end. A job that runs goes on while Redis is away.
//
// Locks: BullMQ counts a job as its worker's as long as a lock is renewed (jobLocks.ts has the times and what happens when
// Redis itself was away). A job whose lock another worker got is ended here and written nowhere: neither in the queue, which
// refuses the old lock, nor in the store, where the other one's claim counts (snapshots.ts).
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { fromPlainError, PupilError, type ErrorCode, type PlainError } from '../../base/errors';
import { takeProcessLock } from '../../base/processLock';
import type { ExitCode, VerbContext } from '../context';
import { stopOnInterrupt } from '../interrupt';
import type { Output } from '../output';
import { endLeftBrowsers } from '../profile';
import type { RunFlags } from '../runs';
import type { ArtefactStore } from './artefactStore';
import { lockTimes, regainLock } from './jobLocks';
import { jobOutput } from './jobOutput';
import { ProgressMeter } from './jobProgress';
import { runQueuedJob, type QueuedJobEnd } from './jobRun';
import { removeLeftFolders } from './leftFolders';
import { QUEUE_PREFIX, type GridQueue, type RunJob } from './queue';
import { tableId, withForerunners, type JobData, type QueuedJob } from './queueJobs';
import { SessionPlace } from './sessionPlace';
import type { Slot } from './slots';
import { SharedResults } from './sharedResults';
import { makeTable, type TableResult } from './tableJob';

export interface WorkerOptions {
  flags: RunFlags;
  slots: readonly Slot[];
  /** Folder for jobs on this machine. */
  work: string;
  lockSeconds: number;
  /** Of the shared results that this machine keeps; absent: {@link SharedResults}'s own. */
  cacheBytes?: number;
  /** Ends when nothing is left to do. */
  once: boolean;
}

/** How often the queue is told how far a job is, and asked whether it was cancelled. */
const TELL_MS = 2000;
/** How long a job waits whose folder another process of this machine still has. */
const BUSY_MS = 15_000;
/** So many jobs in a row that fail for reasons of this machine, and it takes no more: it would fail the whole grid. */
const MOST_ILL = 3;
/** Of this machine, not of the job. */
const ILL: ReadonlySet<string> = new Set<ErrorCode>([
  'browser',
  'gpu-unavailable',
  'gpu-software-only',
  'gpu-feature-missing',
  'gpu-device-lost',
  'hung',
  'source',
  'storage',
  'storage-full',
]);
/** The same everywhere and always: another attempt would end as this one did. */
const FINAL: ReadonlySet<string> = new Set<ErrorCode>([
  'training',
  'config',
  'data',
  'format',
  'text',
  'shape',
  'usage',
]);

/** Why a job that runs is to end. */
type Reason = 'shutdown' | 'paused' | 'cancelled' | 'lost';

/** A slot with its folder on this machine. */
interface TakenSlot extends Slot {
  place: SessionPlace;
  release: () => void;
}

interface Running {
  job: RunJob;
  token: string;
  stop: AbortController;
  reason: Reason | undefined;
}

export class GridWorker {
  readonly name = `${hostname()}-${process.pid}`;
  private readonly free: TakenSlot[] = [];
  private readonly running = new Map<string, Running>();
  private readonly shared: SharedResults;
  private readonly work: string;
  private worker: Worker<JobData, unknown, string> | undefined;
  private ill = 0;
  private end: (why: 'asked' | 'done' | 'ill') => void = () => undefined;
  private readonly ended = new Promise<'asked' | 'done' | 'ill'>((resolve) => (this.end = resolve));

  constructor(
    private readonly context: VerbContext,
    private readonly output: Output,
    private readonly redis: Redis,
    private readonly queue: GridQueue,
    private readonly store: ArtefactStore,
    private readonly options: WorkerOptions,
  ) {
    this.work = join(options.work, queue.namespace);
    this.shared = new SharedResults(store, `${queue.namespace}/shared`, join(this.work, 'shared'), options.cacheBytes);
  }

  /** Works until it is asked to end, or, with `once`, until nothing is left. */
  async run(): Promise<ExitCode> {
    const { options, queue } = this;
    mkdirSync(this.work, { recursive: true });
    for (const slot of options.slots) this.free.push(this.takeSlot(slot));
    const slots = [...this.free];
    const leaveSignals = stopOnInterrupt(
      { stop: () => Promise.resolve(this.stop()) },
      this.output,
      'writing checkpoints and giving the jobs back',
    );
    await endLeftBrowsers(options.work, (text) => this.output.note(text));
    await this.tidy();
    const worker = (this.worker = new Worker<JobData, unknown, string>(
      queue.namespace,
      (job, token) => this.process(job as RunJob, token!),
      {
        connection: this.redis,
        prefix: QUEUE_PREFIX,
        name: this.name,
        concurrency: slots.length,
        ...lockTimes(options.lockSeconds),
        maxStalledCount: 20, // machines that are taken away are no fault of the job's
        drainDelay: 2,
        runRetryDelay: 2000,
      },
    ));
    worker.on('error', (error) => this.hearError(error));
    worker.on('lockRenewalFailed', (ids: string[]) => ids.forEach((id) => void this.keepLock(id)));
    this.redis.on('ready', this.keepLocks);
    const leaveOnce = options.once ? this.endWhenDone() : undefined;
    this.output.note(`${this.name}: ${slots.length} at once, for ${queue.namespace}, from ${this.store.description}`);
    try {
      const why = await this.ended;
      await worker.pause(true); // takes no more
      for (const one of this.running.values()) this.stopOne(one, 'shutdown');
      await this.closed(worker);
      return why === 'asked' ? 130 : why === 'ill' ? 1 : 0;
    } finally {
      clearInterval(leaveOnce);
      leaveSignals();
      this.redis.off('ready', this.keepLocks);
      this.shared.close();
      for (const { place, release } of slots) {
        await this.closePlace(place);
        release();
      }
    }
  }

  /** All runs have ended and the queue knows it; where it is away it learns it from the locks that expire. */
  private async closed(worker: Worker<JobData, unknown, string>): Promise<void> {
    const closed = worker.close();
    while (this.running.size > 0) await sleep(100);
    await Promise.race([closed, sleep(this.redis.status === 'ready' ? 30_000 : 1000)]);
  }

  /** Takes no more; runs write a checkpoint, and their jobs are given back. */
  stop(): void {
    this.end('asked');
  }

  /** A folder of its own on this machine, kept for later jobs: the browser's profile, with what it has compiled. */
  private takeSlot({ name, card }: Slot): TakenSlot {
    for (let n = 1; ; n++) {
      const folder = join(this.work, n === 1 ? `.${name}` : `.${name}-${n}`); // another worker of this machine has it
      const { release } = takeProcessLock(`${folder}.lock`);
      if (release === undefined) continue;
      const { flags } = this.options;
      const own = card === undefined ? flags : { ...flags, gpus: [card] };
      const place = new SessionPlace(this.context, own, this.output, folder);
      return { name, ...(card === undefined ? {} : { card }), place, release };
    }
  }

  /** Room on this machine's disk. It waits for the next time where the store is away. */
  private async tidy(): Promise<void> {
    try {
      await removeLeftFolders(this.store, this.queue.namespace, this.work, (id) => this.running.has(id));
    } catch (error) {
      this.output.note(`not tidied: ${(error as Error).message}`);
    }
  }

  private async process(job: RunJob, token: string): Promise<unknown> {
    const slot = this.free.shift()!; // as many slots as jobs at once
    const one: Running = { job, token, stop: new AbortController(), reason: undefined };
    this.running.set(job.id!, one);
    const { data } = job;
    try {
      if (data.kind === 'table') return await this.table(one, data.grid);
      return await this.runOne(one, data.job, slot);
    } finally {
      // Who pauses may need the machine: nothing is left on its GPU.
      if (await this.isPaused()) await this.closePlace(slot.place);
      this.running.delete(job.id!);
      this.free.push(slot);
    }
  }

  /** A browser that ends in disorder must not keep its slot, or the worker, from going on. */
  private async closePlace(place: SessionPlace): Promise<void> {
    await place.close().catch((error: Error) => this.output.note(`closing: ${error.message}`));
  }

  private async isPaused(): Promise<boolean> {
    if (this.redis.status !== 'ready') return false;
    return this.queue.queue.isPaused().catch(() => false); // away in this very moment
  }

  private async table({ job, token }: Running, grid: Parameters<typeof makeTable>[3]): Promise<TableResult> {
    const { queue } = this;
    const stateOf = async (id: string): ReturnType<Parameters<typeof makeTable>[4]> => {
      const state = await queue.stateOf(id);
      const error = state === 'failed' ? (await queue.job(id))?.failedReason : undefined;
      return { state, ...(error === undefined ? {} : { error }) };
    };
    const made = await makeTable(this.store, queue.namespace, this.work, grid, stateOf);
    if (made === 'busy') return this.giveBack(job, token, BUSY_MS);
    this.tell(grid.grid, `table of ${made.finished} of ${made.runs} runs`, { state: 'table', ...made });
    return made;
  }

  private async runOne(one: Running, queued: QueuedJob, slot: TakenSlot): Promise<unknown> {
    const { job, token, stop } = one;
    const { queue } = this;
    if (await queue.isCancelled(queued.id)) throw new UnrecoverableError('cancelled');
    const voice = jobOutput(this.output, queued.id);
    const meter = new ProgressMeter(
      {
        host: hostname(),
        worker: this.name,
        slot: slot.name,
        ...(slot.card === undefined ? {} : { gpu: String(slot.card) }),
      },
      queued.until,
    );
    const telling = setInterval(() => void this.tellQueue(one, meter), TELL_MS);
    this.tell(queued.id, `started on ${slot.name} (${queued.title})`, {
      state: 'started',
      attempt: job.attemptsStarted,
    });
    void this.tellQueue(one, meter);
    let end: QueuedJobEnd;
    try {
      const { context, options, store, shared } = this;
      const at = { context, flags: options.flags, store, shared, area: queue.namespace, work: this.work };
      const jobs = (await queue.grid(queued.grid))?.jobs ?? [queued];
      const forerunners = withForerunners(jobs, queued.id).slice(1);
      end = await runQueuedJob({ ...at, output: voice, place: slot.place }, queued, forerunners, meter, stop.signal);
    } catch (error) {
      if (!(error instanceof PupilError)) throw error;
      const { code, message, hint } = error;
      end = { state: 'failed', error: { code, message, ...(hint === undefined ? {} : { hint }) } };
    } finally {
      clearInterval(telling);
      voice.close();
    }
    this.tell(queued.id, end.state === 'finished' && end.before ? 'finished before' : end.state, end);
    switch (end.state) {
      case 'finished':
        this.ill = 0;
        await job.updateProgress({ ...meter.progress });
        await queue.addFollowers(queued, job.opts);
        await this.tidy();
        return { before: end.before, host: hostname(), worker: this.name, checkpoints: meter.progress.checkpoints };
      case 'failed':
        throw this.failure(end.error);
      case 'busy':
        return this.giveBack(job, token, BUSY_MS);
      case 'lost':
        throw new Error(`${queued.id}: another worker has it`); // refused by the queue, as its lock is gone
      case 'stopped':
        if (one.reason === 'cancelled') throw new UnrecoverableError('cancelled');
        if (one.reason === 'lost') throw new Error(`${queued.id}: its lock was lost`);
        return this.giveBack(job, token, 0);
    }
  }

  /** Not a failure and no attempt: the job waits for a worker again. */
  private async giveBack(job: RunJob, token: string, afterMs: number): Promise<never> {
    if (this.redis.status !== 'ready') throw new Error(`${job.id}: not given back, the queue is away`);
    if (afterMs > 0) {
      await job.moveToDelayed(Date.now() + afterMs, token);
      throw new DelayedError();
    }
    await job.moveToWait(token);
    throw new WaitingError();
  }

  private failure(error: PlainError): Error {
    const text = error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
    if (ILL.has(error.code)) {
      this.ill++;
      if (this.ill >= MOST_ILL) {
        this.output.note(`${this.ill} jobs in a row failed for reasons of this machine: it takes no more`);
        this.end('ill');
      }
    } else this.ill = 0;
    if (FINAL.has(error.code)) return new UnrecoverableError(text);
    return Object.assign(fromPlainError(error), { message: text });
  }

  /** Tells the queue how far a job is. Where Redis is away nothing is kept back: the next time says it all. */
  private async tellQueue(one: Running, meter: ProgressMeter): Promise<void> {
    if (this.redis.status !== 'ready') return;
    try {
      await one.job.updateProgress({ ...meter.progress });
      if (await this.queue.isCancelled(one.job.id!)) this.stopOne(one, 'cancelled');
      else if (await this.queue.isToStop()) this.stopOne(one, 'paused');
    } catch {
      // away in this very moment, or the job is no longer there: its lock will tell
    }
  }

  private stopOne(one: Running, reason: Reason): void {
    one.reason ??= reason;
    one.stop.abort();
  }

  private readonly keepLocks = (): void => {
    for (const id of this.running.keys()) void this.keepLock(id);
  };

  /** The lock of a job that runs here is taken again where Redis was away; where another worker has it, the job ends here. */
  private async keepLock(id: string): Promise<void> {
    const one = this.running.get(id);
    if (one === undefined) return;
    const { lockDuration } = lockTimes(this.options.lockSeconds);
    try {
      if (await regainLock(this.redis, this.queue.namespace, { id, token: one.token }, lockDuration)) return;
    } catch {
      return; // away again: asked when it is back
    }
    if (this.running.get(id) !== one || one.reason !== undefined) return; // it has just ended
    this.tell(id, 'its lock was lost: another worker goes on with it', { state: 'lock-lost' });
    this.stopOne(one, 'lost');
  }

  private hearError(error: Error): void {
    const code = (error as NodeJS.ErrnoException).code;
    const away =
      code === 'ECONNREFUSED' ||
      code === 'ECONNRESET' ||
      /Connection is closed|could not renew lock/.test(error.message);
    if (!away) this.output.note(`queue: ${error.message}`); // the connection itself tells when it is away
  }

  /** Ends when no job is left that may still come to this worker. */
  private endWhenDone(): ReturnType<typeof setInterval> {
    return setInterval(() => {
      if (this.running.size > 0 || this.redis.status !== 'ready') return;
      void (async () => {
        const counts = await this.queue.queue.getJobCounts(
          'waiting',
          'prioritized',
          'delayed',
          'active',
          'waiting-children',
        );
        const grids = await this.queue.grids();
        if (grids.length === 0 || Object.values(counts).some((count) => count > 0)) return;
        for (const grid of grids) if ((await this.queue.job(tableId(grid))) === undefined) return;
        this.end('done');
      })().catch(() => undefined);
    }, 1000);
  }

  private tell(job: string, text: string, value: Record<string, unknown>): void {
    if (this.output.json) this.output.result('queue-job', { job, ...value }, () => '');
    else this.output.note(`${job}: ${text}`);
  }
}
