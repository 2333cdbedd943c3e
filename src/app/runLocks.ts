// runLocks.ts: which runs go on in some tab of this browser. Two tabs that went on with one run would write each other's
// checkpoints. The browser gives a lock back when its tab ends, however it ends; where there are no locks, nothing is held.

/** The part of `navigator.locks` that is used; tests hand in their own. */
export type Locks = Pick<LockManager, 'request' | 'query'>;

const PREFIX = 'pupil-run:';

export class RunLocks {
  constructor(private readonly locks: Locks | undefined) {}

  /** Does the work while this tab holds the run; false where another tab holds it, and then nothing was done. */
  async hold(runId: string, work: () => Promise<void>): Promise<boolean> {
    if (this.locks === undefined) {
      await work();
      return true;
    }
    return (await this.locks.request(PREFIX + runId, { ifAvailable: true }, async (lock) => {
      if (lock === null) return false;
      await work();
      return true;
    })) as boolean;
  }

  /** The runs that some tab holds, this one included. */
  async held(): Promise<ReadonlySet<string>> {
    const names = ((await this.locks?.query())?.held ?? []).map((lock) => lock.name ?? '');
    return new Set(names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length)));
  }
}
