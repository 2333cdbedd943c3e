// control.ts: pausing, stepping and stopping of a run. The run passes a turnstile after every unit of work (an optimiser
// step, a generated batch); buttons only set what the turnstile does next, and a pace how long it rests there. It
// saves nothing itself.
import { PupilError } from '../base/errors';
import { Pace } from './pace';

/** What the turnstile tells the run when it is about to hold it. */
export interface Turnstile {
  /** Save, because nobody knows how long the pause lasts. */
  beforePause(): Promise<void>;
  onPaused(): void;
  onResumed(): void;
}

export class RunControl {
  private paused = false;
  private stepping = false;
  private stopsAtPhaseEnd = false;
  private wake: (() => void) | undefined;
  private readonly abort = new AbortController();

  constructor(private readonly pace = new Pace()) {}

  /** Aborted by {@link stop}: interrupts a batch that is being generated. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  get stopped(): boolean {
    return this.abort.signal.aborted;
  }

  pause(): void {
    this.paused = true;
    this.pace.wake();
  }

  resume(): void {
    this.paused = false;
    this.wake?.();
  }

  /** One unit of work, then paused again. Also pauses a run that is under way. */
  step(): void {
    this.paused = true;
    this.stepping = true;
    this.wake?.();
    this.pace.wake();
  }

  stop(): void {
    this.abort.abort();
    this.wake?.();
    this.pace.wake();
  }

  /** Lets the present phase end, then stops. Taken back by `false`, as long as the phase lasts. */
  stopAtPhaseEnd(on: boolean): void {
    this.stopsAtPhaseEnd = on;
  }

  /** Called at the end of a phase that another follows: true where the run is to end there; it counts as stopped then. */
  phaseEnded(): boolean {
    if (this.stopsAtPhaseEnd) this.stop();
    return this.stopped;
  }

  /**
   * Called between two units of work. Resolves when the next may start.
   * @throws PupilError `cancelled` once stopped.
   */
  async pass(turnstile: Turnstile): Promise<void> {
    this.throwIfStopped();
    if (!this.paused) return;
    if (this.stepping) {
      this.stepping = false; // this pass is the one that was asked for
      return;
    }
    await turnstile.beforePause();
    this.throwIfStopped();
    // Pressed while it was saving: no pause after all.
    if (this.paused && !this.stepping) {
      // Made before anybody is told: the listener may answer at once.
      const woken = new Promise<void>((resolve) => (this.wake = resolve));
      turnstile.onPaused();
      await woken;
      this.wake = undefined;
      this.throwIfStopped();
      turnstile.onResumed();
    }
    this.stepping = false;
  }

  /** Between two units of work, before {@link pass}: as long as the pace says, or until something is asked for. */
  async rest(): Promise<void> {
    if (!this.paused && !this.stopped) await this.pace.rest();
  }

  /** @throws PupilError `cancelled` once stopped. */
  throwIfStopped(): void {
    if (this.stopped) throw new PupilError('cancelled', 'run: stopped as asked', 'Start it again with resume.');
  }
}
