// workDesk.ts: at most one piece of work at a time, and a hold on it; and listeners whose failures do not end it. What the work
// is, is session.ts.
import { PupilError } from '../base/errors';
import type { RunControl } from './control';

export class WorkDesk {
  /** Work under way that can be held and stopped. */
  work: { control: RunControl; ended: Promise<unknown> } | undefined;
  private busyWith: string | undefined;

  /** @throws PupilError `usage` where nothing is under way */
  expectWork(what: string): { control: RunControl } {
    if (this.work !== undefined) return this.work;
    throw new PupilError('usage', `${what}: expected a run under way, there is none`, 'Start one first.');
  }

  /** @throws PupilError `usage` while a run, or other work that can be stopped, goes on */
  expectRest(what: string): void {
    if (this.work === undefined) return;
    throw new PupilError('usage', `${what}: expected no run under way`, 'Stop it first.');
  }

  /**
   * Two would share the device's memory and its account.
   * @throws PupilError `usage` where other work is under way
   */
  async exclusively<T>(what: string, work: () => Promise<T>, control?: RunControl): Promise<T> {
    if (this.busyWith !== undefined) {
      throw new PupilError(
        'usage',
        `${what}: expected an idle session, it is busy with ${this.busyWith}`,
        'Wait for it, or stop it first.',
      );
    }
    this.busyWith = what;
    try {
      const ended = work();
      if (control !== undefined) this.work = { control, ended };
      return await ended;
    } finally {
      this.busyWith = undefined;
      this.work = undefined;
    }
  }
}

/** A listener whose failures (a closed page, say) do not end the run. */
export function safely<T>(listener: (event: T) => unknown): (event: T) => void {
  return (event) => {
    try {
      void Promise.resolve(listener(event)).catch(() => undefined);
    } catch {
      // the listener is gone; the run is worth more than its events
    }
  };
}
