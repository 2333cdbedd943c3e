// pace.ts: how long a session's runs rest between two units of work, so that a person can explain what happens. It decides
// nothing else about them.
import { PupilError } from '../base/errors';

const LONGEST_MS = 60_000;

export class Pace {
  private restMs = 0;
  private end: (() => void) | undefined;

  /**
   * From the next rest on; one under way ends. 0: none.
   * @throws PupilError `usage` beyond 0 to 60,000 ms
   */
  set(restMs: number): void {
    if (!(restMs >= 0 && restMs <= LONGEST_MS)) {
      throw new PupilError('usage', `setPace: expected restMs from 0 to ${LONGEST_MS}, got ${String(restMs)}`);
    }
    this.restMs = restMs;
    this.wake();
  }

  /** Ends the rest under way. */
  wake(): void {
    this.end?.();
  }

  async rest(): Promise<void> {
    if (this.restMs === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.restMs);
      this.end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.end = undefined;
  }
}
