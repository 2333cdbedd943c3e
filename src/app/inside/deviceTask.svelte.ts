// deviceTask.svelte.ts: one piece of work on the device that Inside has begun: whether it goes on, how far it is, how long it
// will take, what went wrong, and how it is stopped. What the work is, is the caller's business.
import type { Progress } from '../../base/progress';
import { toPlainError } from '../../base/errors';
import { formatNumber } from '../format';
import { toNotice, type Notice } from '../state/notice';
import type { Playground } from '../state/playground.svelte';

export class DeviceTask {
  running = $state(false);
  stopping = $state(false);
  progress = $state.raw<Progress>();
  notice = $state.raw<Notice>();
  /** When the present part of the work began, and what was done of it then. */
  private since = { task: '', ms: 0, done: 0 };
  private now = $state(0);

  /** Other work goes on, or there is no device. */
  readonly blocked = $derived.by((): string => {
    const { playground } = this;
    if (this.running) return '';
    if (playground.run.active) return 'A run goes on: it has the device until it has finished or is stopped.';
    if (playground.busy) return 'Other work goes on: it has the device until it is done.';
    return playground.device.status === 'unavailable' ? 'There is no GPU here to compute with.' : '';
  });

  /** `Timing kernels: 120 of 480 dispatches, about 3 s left`. */
  readonly words = $derived.by((): string => {
    const { progress } = this;
    if (progress === undefined) return 'Starting …';
    const { task, done, total, unit } = progress;
    const count = formatNumber(done);
    if (total === undefined) return `${task}: ${count} ${unit}`;
    const eta = this.secondsLeft;
    const left = eta === undefined || eta < 1 ? '' : `, about ${secondsWords(eta)} left`;
    return `${task}: ${count} of ${formatNumber(total)} ${unit}${left}`;
  });

  /** 0 to 1, where the end is known. */
  readonly share = $derived(
    this.progress?.total === undefined || this.progress.total === 0
      ? undefined
      : this.progress.done / this.progress.total,
  );

  private readonly secondsLeft = $derived.by((): number | undefined => {
    const { progress, since, now } = this;
    if (progress?.total === undefined || progress.done <= since.done || now - since.ms < 500) return undefined;
    return ((now - since.ms) / 1000 / (progress.done - since.done)) * (progress.total - progress.done);
  });

  constructor(private readonly playground: Playground) {}

  /** Does the work where the device is free; what it throws becomes the notice, a stop becomes nothing. */
  async do<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.running || this.blocked !== '') return undefined;
    this.running = true;
    this.stopping = false;
    this.progress = this.notice = undefined;
    try {
      await this.playground.wake();
      this.playground.analysing = true;
      return await work();
    } catch (error) {
      if (!(this.stopping && toPlainError(error).code === 'cancelled')) this.notice = toNotice(error);
      return undefined;
    } finally {
      this.playground.analysing = false;
      this.running = this.stopping = false;
    }
  }

  readonly report = (progress: Progress): void => {
    this.now = performance.now();
    if (progress.task !== this.since.task || progress.done < this.since.done) {
      this.since = { task: progress.task, ms: this.now, done: progress.done };
    }
    this.progress = progress;
  };

  async stop(): Promise<void> {
    if (!this.running) return;
    this.stopping = true;
    await this.playground.session.stop();
  }
}

/** `8 s`, `3 min`. */
export const secondsWords = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
