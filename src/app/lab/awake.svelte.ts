// awake.svelte.ts: keeps the screen, and with it the machine, awake while a run goes on, where the browser can do that and a
// person has not switched it off. The browser takes the lock away when the page is hidden; it is asked for again when it is seen.
import type { KeyValue } from '../state/keyValue';

const KEY = 'pupil-keep-awake';

/** The part of `navigator.wakeLock` that is used; tests hand in their own. */
export interface WakeLocks {
  request(
    type: 'screen',
  ): Promise<{ release(): Promise<void>; addEventListener(type: 'release', on: () => void): void }>;
}

export class Awake {
  wanted = $state(true);
  /** The browser keeps the machine awake now. */
  held = $state(false);
  private lock: { release(): Promise<void> } | undefined;
  private needed = false;

  constructor(
    private readonly memory: KeyValue,
    /** Absent where the browser has none. */
    private readonly locks: WakeLocks | undefined,
  ) {
    this.wanted = memory.getItem(KEY) !== 'no';
  }

  get possible(): boolean {
    return this.locks !== undefined;
  }

  want(on: boolean): void {
    this.wanted = on;
    try {
      if (on) this.memory.removeItem(KEY);
      else this.memory.setItem(KEY, 'no');
    } catch {
      // It holds until the page is left.
    }
    void this.follow(this.needed);
  }

  /** To be called whenever a run begins or ends, and when the page is seen again. */
  async follow(needed: boolean): Promise<void> {
    this.needed = needed;
    const should = needed && this.wanted && document.visibilityState === 'visible';
    if (!should) {
      const { lock } = this;
      this.lock = undefined;
      this.held = false;
      await lock?.release().catch(() => undefined);
      return;
    }
    if (this.lock !== undefined || this.locks === undefined) return;
    try {
      const lock = await this.locks.request('screen');
      this.lock = lock;
      this.held = true;
      lock.addEventListener('release', () => {
        if (this.lock !== lock) return;
        this.lock = undefined;
        this.held = false;
      });
      if (!this.needed || !this.wanted) await this.follow(this.needed);
    } catch {
      this.held = false; // low battery, say: the browser refuses
    }
  }
}
