// apiQueue.ts: many requests, each until it is answered or given up: as many at once as the server bears, retried after a
// wait, within a budget. It knows neither HTTP nor items. (Not p-queue: a request in back-off must give its place to
// another, a start must wait for room in the budget, and the clock must be a test's.)
import type { RandomStream } from '../base/random';
import type { ApiAnswer, ApiFailure, Usage } from './apiAnswer';
import type { Budget } from './apiBudget';
import { backoffMs, Concurrency } from '../base/pace';
import type { Clock } from './apiRequest';

export interface QueueJob {
  /** The most that one attempt can cost. */
  worst: Usage;
}

export interface QueueRules {
  concurrency: { start: number; most: number };
  /** Attempts that may fail before a job is given up; throttled ones are counted apart. */
  attempts: number;
  throttles: number;
  /** Where the server asks for a longer wait than this, the run ends: it can be continued then. */
  longestWaitMs: number;
  /** So many jobs given up in a row, and the run ends: something is wrong with all of them. */
  failuresInARow: number;
  /** How long answers under way are waited for once the run is to stop. */
  graceMs: number;
}

export const QUEUE_RULES: Omit<QueueRules, 'concurrency'> = {
  attempts: 5,
  throttles: 12,
  longestWaitMs: 300_000,
  failuresInARow: 10,
  graceMs: 20_000,
};

/** Why the work is over. */
export interface QueueEnd {
  reason:
    | 'finished' // every job is answered or given up
    | 'stopped' // as asked
    | 'budget' // the next request might not fit
    | 'refused' // no request can succeed: the key, the address, the account
    | 'failing' // too many jobs in a row were given up
    | 'wait' // the server asks for a long wait
    | 'broken'; // a listener failed: what was answered cannot be kept
  /** The failure that decided it. */
  failure?: ApiFailure;
  /** What the listener threw. */
  error?: unknown;
}

export interface QueueWork<Job extends QueueJob, Answer extends ApiAnswer> {
  jobs: readonly Job[];
  rules: QueueRules;
  budget: Budget;
  clock: Clock;
  random: Pick<RandomStream, 'nextUnit'>;
  /** Ends the run: nothing is sent any more, answers under way are waited for a while. */
  signal: AbortSignal;
  /** Passed before each request; holds it back during a pause, rejects once stopped. */
  gate(): Promise<void>;
  /** One attempt. Never rejects. */
  send(job: Job, signal: AbortSignal): Promise<Answer | ApiFailure>;
  onAnswer(job: Job, answer: Answer): Promise<void>;
  /** A job given up. */
  onGivenUp(job: Job, failure: ApiFailure, attempts: number): Promise<void>;
  /** An attempt that failed, whatever becomes of the job: `cost` was spent for nothing. */
  onWaste(job: Job, cost: Usage): Promise<void>;
  /** Something has changed that a progress bar may show. */
  onChange?(state: { running: number; limit: number }): void;
}

interface Entry<Job> {
  job: Job;
  failures: number;
  throttles: number;
  readyAt: number;
}

/** Does all jobs, or as many as can be done. Rejects never: what went wrong is in the result. */
export function runQueue<Job extends QueueJob, Answer extends ApiAnswer>(
  work: QueueWork<Job, Answer>,
): Promise<QueueEnd> {
  return new Queue(work).run();
}

class Queue<Job extends QueueJob, Answer extends ApiAnswer> {
  private readonly fresh: Entry<Job>[];
  private nextFresh = 0;
  private again: Entry<Job>[] = [];
  private running = 0;
  private coolUntil = 0;
  private failuresInARow = 0;
  private end: QueueEnd | undefined;
  private readonly pace: Concurrency;
  /** One for each request under way (a shared signal would gather a listener from each). */
  private readonly underWay = new Set<AbortController>();
  private wake: () => void = () => undefined;

  constructor(private readonly work: QueueWork<Job, Answer>) {
    this.fresh = work.jobs.map((job) => ({ job, failures: 0, throttles: 0, readyAt: 0 }));
    this.pace = new Concurrency(work.rules.concurrency.start, work.rules.concurrency.most);
  }

  async run(): Promise<QueueEnd> {
    const { signal } = this.work;
    const onStop = (): void => this.finish({ reason: 'stopped' });
    if (signal.aborted) onStop();
    signal.addEventListener('abort', onStop, { once: true });
    try {
      while (this.end === undefined) await this.step();
    } finally {
      signal.removeEventListener('abort', onStop);
    }
    await this.drain();
    return this.end;
  }

  private finish(end: QueueEnd): void {
    this.end ??= end;
    this.wake();
  }

  /** Starts one request, or waits until something has changed. */
  private async step(): Promise<void> {
    const { clock, budget, gate } = this.work;
    try {
      await gate();
    } catch {
      return this.finish({ reason: 'stopped' });
    }
    if (this.end !== undefined) return;
    const now = clock.now();
    const waiting = this.again.length + this.fresh.length - this.nextFresh;
    if (waiting === 0 && this.running === 0) return this.finish({ reason: 'finished' });
    if (waiting > 0 && this.running < this.pace.limit && now >= this.coolUntil) {
      const entry = this.ready(now);
      if (entry !== undefined) {
        if (budget.fits(entry.job.worst)) {
          this.take(entry);
          budget.reserve(entry.job.worst);
          void this.attempt(entry);
          return;
        }
        if (this.running === 0) return this.finish({ reason: 'budget' });
      }
    }
    // Where nothing lies ahead, only the end of a request changes anything.
    const times = [this.coolUntil, ...this.again.map(({ readyAt }) => readyAt)].filter((time) => time > now);
    await this.change(times.length === 0 ? undefined : Math.min(...times) - now);
  }

  /**
   * What may be sent now, repetitions first. Nothing new is begun while many jobs wait to be repeated: a server that is down
   * would otherwise be asked about everything before anything is given up.
   */
  private ready(now: number): Entry<Job> | undefined {
    const again = this.again.find(({ readyAt }) => readyAt <= now);
    if (again !== undefined || this.again.length >= 2 * this.pace.limit) return again;
    return this.fresh[this.nextFresh];
  }

  private take(entry: Entry<Job>): void {
    const at = this.again.indexOf(entry);
    if (at >= 0) this.again.splice(at, 1);
    else this.nextFresh++;
  }

  /** Resolves when a request has ended, the run is to end, or so much time has passed. */
  private async change(ms: number | undefined): Promise<void> {
    const over = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    await (ms === undefined ? woken : Promise.race([woken, this.work.clock.sleep(ms, over.signal)]));
    this.wake = () => undefined;
    over.abort();
  }

  private tell(): void {
    this.work.onChange?.({ running: this.running, limit: this.pace.limit });
  }

  private async attempt(entry: Entry<Job>): Promise<void> {
    const { job } = entry;
    const { sentIn } = this.pace;
    const abort = new AbortController();
    this.underWay.add(abort);
    this.running++;
    this.tell();
    try {
      const outcome = await this.work.send(job, abort.signal);
      if (outcome.kind === 'answer') {
        this.work.budget.settle(job.worst, outcome.usage ?? 'unknown');
        this.pace.onSuccess();
        this.failuresInARow = 0;
        await this.work.onAnswer(job, outcome);
      } else await this.failed(entry, outcome, sentIn);
    } catch (error) {
      this.finish({ reason: 'broken', error });
    } finally {
      this.underWay.delete(abort);
      this.running--;
      this.tell();
      this.wake();
    }
  }

  private async failed(entry: Entry<Job>, outcome: ApiFailure, sentIn: number): Promise<void> {
    const { rules, clock, random, budget } = this.work;
    const cost = budget.settle(entry.job.worst, outcome.spent);
    if (outcome.throttled) {
      this.pace.onThrottled(sentIn);
      entry.throttles++;
    } else entry.failures++;
    if (cost.prompt + cost.completion > 0 && outcome.scope !== 'item') await this.work.onWaste(entry.job, cost);

    if (outcome.scope === 'run') return this.finish({ reason: 'refused', failure: outcome });
    if (outcome.reason === 'stopped') return;
    const wait = outcome.retryAfterMs;
    if (wait !== undefined && wait > rules.longestWaitMs) return this.finish({ reason: 'wait', failure: outcome });
    const attempts = entry.failures + entry.throttles;
    if (outcome.scope === 'item' || entry.failures >= rules.attempts || entry.throttles >= rules.throttles) {
      await this.work.onGivenUp(entry.job, outcome, attempts);
      if (++this.failuresInARow >= rules.failuresInARow) this.finish({ reason: 'failing', failure: outcome });
      return;
    }
    // Never earlier than the server asks for, and not all at the same moment.
    const backoff = backoffMs(attempts, random);
    entry.readyAt = clock.now() + (wait === undefined ? backoff : wait + Math.min(backoff, 1000));
    if (wait !== undefined && outcome.throttled) this.coolUntil = Math.max(this.coolUntil, clock.now() + wait);
    this.again.push(entry);
  }

  /** Waits for what is under way: it is paid for. After a while, what still hangs is given up. */
  private async drain(): Promise<void> {
    const { clock, rules } = this.work;
    const over = new AbortController();
    void clock.sleep(rules.graceMs, over.signal).then(() => {
      if (!over.signal.aborted) for (const abort of this.underWay) abort.abort();
    });
    while (this.running > 0) await this.change(undefined);
    over.abort();
  }
}
