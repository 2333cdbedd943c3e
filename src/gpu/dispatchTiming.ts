// dispatchTiming.ts: how long dispatches take, each by itself: between two timestamps where the adapter has them, else as the
// time of a submission. A short one is run many times in a row until the clock can tell, so what it writes means nothing
// afterwards. Which dispatches there are is the caller's business.
import { throwIfCancelled } from '../base/progress';
import { Recorder, type Dispatch } from './commands';
import type { Gpu } from './device';

/** `timestamps`: written by the GPU around a pass. `submissions`: from handing work over until it is told to be done. */
export type TimingMethod = 'timestamps' | 'submissions';

export interface DispatchTime {
  /** Of one run: the mean of all. */
  ms: number;
  /** Runs in a row that were timed together. */
  repeats: number;
}

/** Timed together in one submission: long enough to be worth it, short enough for a watchdog and for stopping. */
const BATCH = 64;
/** The time that is looked for, unless the clock's steps are coarse. */
const WANTED_NS = 200_000;
/** Steps of the clock in the time that is looked for; empty submissions, where those are the clock. */
const WANTED_STEPS: Record<TimingMethod, number> = { timestamps: 20, submissions: 4 };
const MAX_REPEATS = 400;
/** What a clock's step is taken to be until times tell: the step that Chrome rounds to, unless a flag says otherwise. */
const COARSE_NS = 100_000;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export class DispatchTimer {
  readonly method: TimingMethod;
  private common = 0;
  private seen = 0;
  /** Of a submission that does nothing. */
  private emptyNs = 0;

  constructor(
    private readonly gpu: Gpu,
    options: { method?: TimingMethod | undefined } = {},
  ) {
    this.method = gpu.features.timestamps ? (options.method ?? 'timestamps') : 'submissions';
  }

  /** What all times so far are multiples of: the step of the clock, as far as it shows. Of submissions the empty one. */
  get resolutionNs(): number {
    if (this.method === 'submissions') return this.emptyNs;
    return this.seen < 8 ? COARSE_NS : this.common;
  }

  /**
   * The times of some dispatches, in their order, at the row counts that they have now.
   * @throws PupilError `cancelled`
   */
  async time(
    dispatches: readonly Dispatch[],
    options: { signal?: AbortSignal; onProgress?: (done: number) => void } = {},
  ): Promise<DispatchTime[]> {
    const out: DispatchTime[] = [];
    for (let at = 0; at < dispatches.length; at += BATCH) {
      throwIfCancelled(options.signal, 'Timing');
      out.push(...(await this.timeBatch(dispatches.slice(at, at + BATCH))));
      options.onProgress?.(out.length);
    }
    return out;
  }

  private async timeBatch(dispatches: readonly Dispatch[]): Promise<DispatchTime[]> {
    const repeats = dispatches.map(() => 1);
    const ns = dispatches.map(() => 0);
    let pending = dispatches.map((_, i) => i);
    while (pending.length > 0) {
      const found = await this.run(pending.map((i) => ({ dispatch: dispatches[i]!, repeats: repeats[i]! })));
      pending.forEach((i, k) => (ns[i] = found[k]!));
      const wanted = Math.max(WANTED_NS, WANTED_STEPS[this.method] * this.resolutionNs);
      pending = pending.filter((i) => ns[i]! < wanted && repeats[i]! < MAX_REPEATS);
      for (const i of pending) {
        const told = ns[i]! > this.resolutionNs;
        const more = told ? Math.ceil((1.2 * repeats[i]! * wanted) / ns[i]!) : 16 * repeats[i]!;
        repeats[i] = Math.min(MAX_REPEATS, Math.max(repeats[i]! + 1, more));
      }
    }
    return dispatches.map((_, i) => ({ ms: ns[i]! / repeats[i]! / 1e6, repeats: repeats[i]! }));
  }

  private async run(items: readonly { dispatch: Dispatch; repeats: number }[]): Promise<number[]> {
    if (this.method === 'submissions') return this.runSubmissions(items);
    const recorder = new Recorder(this.gpu, 'timing', true);
    for (const { dispatch, repeats } of items) recorder.repeat(dispatch, repeats);
    const times = (await recorder.submitAndTime()).map(({ durationNs }) => Math.max(0, durationNs));
    for (const time of times) {
      if (time === 0) continue;
      this.common = gcd(time, this.common);
      this.seen++;
    }
    return times;
  }

  private async runSubmissions(items: readonly { dispatch: Dispatch; repeats: number }[]): Promise<number[]> {
    if (this.emptyNs === 0) {
      const empty: number[] = [];
      for (let i = 0; i < 7; i++) empty.push(await this.submissionNs(() => undefined));
      this.emptyNs = empty.sort((a, b) => a - b)[3]!;
    }
    const out: number[] = [];
    for (const { dispatch, repeats } of items) {
      const whole = await this.submissionNs((recorder) => recorder.repeat(dispatch, repeats));
      out.push(Math.max(0, whole - this.emptyNs));
    }
    return out;
  }

  private async submissionNs(record: (recorder: Recorder) => void): Promise<number> {
    const recorder = new Recorder(this.gpu, 'timing');
    record(recorder);
    const start = performance.now();
    recorder.submit();
    await this.gpu.idle();
    return (performance.now() - start) * 1e6;
  }
}
