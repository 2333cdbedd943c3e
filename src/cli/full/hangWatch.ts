// hangWatch.ts: notices work that says nothing any more: a stopped process, a step that never ends. How long silence may
// last follows from the longest silence that was followed by a word. It ends nothing: who waits for the work is told.
import { Heartbeat } from '../../base/heartbeat';
import { PupilError } from '../../base/errors';

export interface HangLimits {
  /** Silence is borne so long at least: loading and compiling say little. */
  leastMs: number;
  /** Silence is borne so many times the longest that ended by itself. */
  factor: number;
  /** How often is looked. */
  everyMs: number;
}

export const HANG: HangLimits = { leastMs: 20 * 60_000, factor: 8, everyMs: 5_000 };

export class HangWatch {
  private readonly heartbeat: Heartbeat;
  private longestMs = 0;
  private suspended = false;

  constructor(private readonly limits: HangLimits = HANG) {
    this.heartbeat = new Heartbeat({ everyMs: limits.everyMs, silentMs: Infinity, deadMs: Infinity });
  }

  /** How long silence may last now. */
  get limitMs(): number {
    return Math.max(this.limits.leastMs, this.limits.factor * this.longestMs);
  }

  /** Something was said. */
  heard(): void {
    this.longestMs = Math.max(this.longestMs, this.heartbeat.silentForMs);
    this.heartbeat.heard();
  }

  /** A run that somebody has paused says nothing, rightly. */
  suspend(on: boolean): void {
    this.suspended = on;
    this.heartbeat.heard();
  }

  /**
   * The work's result. Time in which this process itself slept does not count.
   * @throws PupilError `hung` once nothing was heard for too long; the work is then left to itself
   */
  async over<T>(what: string, work: Promise<T>): Promise<T> {
    this.heartbeat.rest();
    this.suspended = false;
    let timer: ReturnType<typeof setInterval> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        if (this.suspended) this.heartbeat.heard();
        this.heartbeat.tick(performance.now());
        const { limitMs } = this;
        if (this.heartbeat.silentForMs < limitMs) return;
        reject(
          new PupilError(
            'hung',
            `${what}: expected a sign of life within ${duration(limitMs)}, nothing was heard`,
            'The browser, its GPU process or the driver hangs. Where one step really takes this long, say --hang-minutes.',
          ),
        );
      }, this.limits.everyMs);
    });
    silence.catch(() => undefined);
    work.catch(() => undefined); // once it is given up, nobody waits for it
    try {
      return await Promise.race([work, silence]);
    } finally {
      clearInterval(timer);
    }
  }
}

/** `90 s`, `20 min` */
export function duration(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 100) / 10} s` : `${Math.round(ms / 60_000)} min`;
}
