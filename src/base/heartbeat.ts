// heartbeat.ts: whether something that works elsewhere still lives, from the times at which it was asked and heard. Rules only:
// no timers, no worker. A worker may be held up for long by one piece of work (a long dispatch of a software adapter, a file
// of gigabytes), so that silence is first told to a person and ends nothing; and time in which the asking side itself slept
// (a closed lid, a frozen tab) does not count.

export type Life = 'alive' | 'silent' | 'dead';

export interface HeartbeatLimits {
  /** How often is asked while an answer is waited for. */
  everyMs: number;
  /** From here on a person is told, and may give it up. */
  silentMs: number;
  /** From here on it is given up. */
  deadMs: number;
}

export const HEARTBEAT: HeartbeatLimits = {
  everyMs: 5_000,
  silentMs: 60_000,
  deadMs: 15 * 60_000,
};

/** Between two ticks that lie further apart than this many intervals, this side was asleep. */
const SLEPT_INTERVALS = 3;

export class Heartbeat {
  private waitedMs = 0;
  private lastTickMs: number | undefined;

  constructor(private readonly limits: HeartbeatLimits) {}

  /** For how long nothing has been heard, in time that this side was awake. */
  get silentForMs(): number {
    return this.waitedMs;
  }

  /** It has answered, or said anything at all. */
  heard(): void {
    this.waitedMs = 0;
  }

  /** Nothing is waited for any more. */
  rest(): void {
    this.waitedMs = 0;
    this.lastTickMs = undefined;
  }

  /** To be called every `everyMs` while an answer is waited for. */
  tick(nowMs: number): Life {
    const { everyMs, silentMs, deadMs } = this.limits;
    if (this.lastTickMs !== undefined) {
      const passed = nowMs - this.lastTickMs;
      this.waitedMs += passed > SLEPT_INTERVALS * everyMs ? 0 : passed;
    }
    this.lastTickMs = nowMs;
    return this.waitedMs >= deadMs ? 'dead' : this.waitedMs >= silentMs ? 'silent' : 'alive';
  }
}
