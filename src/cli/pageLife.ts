// pageLife.ts: whether a page still answers while an answer of it is waited for: it is asked something small again and again.
// A page whose process was stopped or hangs is noticed so; one whose work merely takes long answers all the time, since
// that work is in a worker. It ends nothing itself.
import { Heartbeat, type HeartbeatLimits } from '../base/heartbeat';

/** A page on a busy machine was seen to take 20 s; nothing makes it take minutes. */
export const PAGE_LIFE: HeartbeatLimits = { everyMs: 5_000, silentMs: 60_000, deadMs: 180_000 };

export class PageLife {
  private readonly heartbeat: Heartbeat;
  private waiting = 0;
  private asked = false;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly ask: () => Promise<unknown>,
    /** Told once, of a page that is given up. */
    private readonly onDead: (seconds: number) => void,
    private readonly limits: HeartbeatLimits = PAGE_LIFE,
  ) {
    this.heartbeat = new Heartbeat(limits);
  }

  /** The work's result; meanwhile the page is asked. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.waiting++;
    this.timer ??= setInterval(() => this.tick(), this.limits.everyMs);
    try {
      return await work;
    } finally {
      if (--this.waiting === 0) {
        clearInterval(this.timer);
        this.timer = undefined;
        this.heartbeat.rest();
      }
    }
  }

  private tick(): void {
    if (!this.asked) {
      this.asked = true;
      const heard = (): void => {
        this.asked = false;
        this.heartbeat.heard();
      };
      this.ask().then(heard, heard); // an error is an answer; a page that is gone is told elsewhere
    }
    if (this.heartbeat.tick(performance.now()) === 'dead') {
      this.onDead(Math.round(this.heartbeat.silentForMs / 1000));
      this.heartbeat.heard();
    }
  }
}
