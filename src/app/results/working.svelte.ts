// working.svelte.ts: one piece of work that takes a while: what it is, how far it got, how long it will go on, and why it failed.
// What the work is, is its caller's.
import type { Progress } from '../../base/progress';
import { toNotice, type Notice } from '../state/notice';

export class Working {
  /** '' while nothing is under way. */
  what = $state('');
  /** In [0, 1]; undefined while unknown. */
  share = $state<number>();
  secondsLeft = $state<number>();
  notice = $state.raw<Notice>();
  private startMs = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Does it, unless other work is under way; undefined where it failed (see `notice`) or was not begun. */
  async run<T>(what: string, work: (onProgress: (progress: Progress) => void) => Promise<T>): Promise<T | undefined> {
    if (this.what !== '') return undefined;
    this.what = what;
    this.share = this.secondsLeft = undefined;
    this.notice = undefined;
    this.startMs = this.now();
    try {
      return await work((progress) => this.advance(progress));
    } catch (error) {
      this.notice = toNotice(error);
      return undefined;
    } finally {
      this.what = '';
    }
  }

  private advance({ done, total }: Progress): void {
    if (total === undefined || total === 0) return;
    this.share = Math.min(1, done / total);
    const seconds = (this.now() - this.startMs) / 1000;
    // The first moments say little of the rest.
    this.secondsLeft = this.share > 0.02 && seconds > 0.5 ? (seconds / this.share) * (1 - this.share) : undefined;
  }
}
