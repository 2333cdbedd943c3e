// interrupted.svelte.ts: which runs go on in another tab of this browser, and which went on when their tab went away: closed,
// reloaded or crashed. A note is kept where a reload cannot lose it, without the worker, while a run goes on; it is taken away when
// the run ends in any way that the page could tell a person. The run itself, with its checkpoints, is the session's.
import type { RunLocks } from '../runLocks';
import type { KeyValue } from './keyValue';

/** Other tabs hear of its changes by the window's event `storage`. */
export const INTERRUPTED_KEY = 'pupil-going-on';
const KEY = INTERRUPTED_KEY;
const LOOK_EVERY_MS = 3_000;

export interface InterruptedRun {
  runId: string;
  name: string;
}

export class InterruptedRuns {
  /** The newest first. */
  runs = $state.raw<readonly InterruptedRun[]>([]);
  /** Other tabs go on with them. */
  elsewhere = $state.raw<readonly InterruptedRun[]>([]);
  /** The run that goes on here; '' where none does. */
  private current = '';
  /** Runs that this page itself has begun or gone on with: how they ended was shown. */
  private readonly here = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly memory: KeyValue,
    private readonly locks: RunLocks,
  ) {}

  /** Looks for notes whose run goes on in no tab. */
  async look(): Promise<void> {
    const held = await this.locks.held();
    const noted = this.read();
    this.runs = noted.filter(({ runId }) => !held.has(runId) && !this.here.has(runId)).reverse();
    this.elsewhere = noted.filter(({ runId }) => held.has(runId) && runId !== this.current);
    // Another tab goes on with some, or this page's former self has not quite gone: they may be interrupted yet.
    clearTimeout(this.timer);
    if (this.elsewhere.length > 0) this.timer = setTimeout(() => void this.look(), LOOK_EVERY_MS);
  }

  /** A run goes on here. */
  begin(runId: string, name: string): void {
    this.here.add(runId);
    this.current = runId;
    this.write([...this.read().filter((run) => run.runId !== runId), { runId, name }]);
    this.forget(runId);
  }

  /** It rests. Where what ended it was not the run itself, its note stays: it can go on, after a reload too. */
  rest(runId: string, interrupted: boolean): void {
    this.current = '';
    if (!interrupted) this.end(runId);
  }

  /** It ended, or a person wants to hear no more of it. */
  end(runId: string): void {
    this.write(this.read().filter((run) => run.runId !== runId));
    this.forget(runId);
  }

  private forget(runId: string): void {
    this.runs = this.runs.filter((run) => run.runId !== runId);
  }

  private read(): InterruptedRun[] {
    try {
      const found = JSON.parse(this.memory.getItem(KEY) ?? '[]') as unknown;
      const isRun = (one: unknown): one is InterruptedRun =>
        typeof one === 'object' && one !== null && typeof (one as InterruptedRun).runId === 'string';
      return Array.isArray(found) ? found.filter(isRun) : [];
    } catch {
      return []; // what somebody else wrote there
    }
  }

  private write(runs: readonly InterruptedRun[]): void {
    try {
      if (runs.length === 0) this.memory.removeItem(KEY);
      else this.memory.setItem(KEY, JSON.stringify(runs));
    } catch {
      // Without room there is no note: the run is in the list of stored runs all the same.
    }
  }
}
