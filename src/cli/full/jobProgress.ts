// jobProgress.ts: how far a run is, for the queue's board: gathered from its events, small enough to be sent every few
// seconds. The time left is an estimate from the planned tokens; it decides nothing.
import type { PhaseName, PlannedWork, SessionEvent } from '../../session/protocol';

/** What a worker tells the queue of a job that runs. */
export interface JobProgress {
  phase?: PhaseName;
  /** Of the present work. */
  task?: string;
  done?: number;
  total?: number;
  unit?: string;
  /** Of the whole run, 0 to 1, by planned tokens; absent while no plan is known. */
  share?: number;
  /** Absent while too little has been done to say. */
  secondsLeft?: number;
  tokensPerSecond?: number;
  loss?: number;
  /** Where it runs. */
  host: string;
  worker: string;
  slot: string;
  gpu?: string;
  /** Checkpoints written in this sitting, and the time of the last one that the store has. */
  checkpoints: number;
  storedAt?: string;
  /** ISO 8601: when this sitting began, and when this was said. */
  since: string;
  at: string;
}

/** Backward costs about twice the forward pass. */
const costOf = ({ trainedTokens, forwardTokens }: PlannedWork): number => 3 * trainedTokens + forwardTokens;

export class ProgressMeter {
  private readonly state: JobProgress;
  private work: PlannedWork[] = [];
  private finished = new Set<PhaseName>();
  /** The share at which this sitting's first work began, and when. */
  private began: { share: number; atMs: number } | undefined;

  constructor(
    place: Pick<JobProgress, 'host' | 'worker' | 'slot' | 'gpu'>,
    /** The last phase of a job that ends early. */
    private readonly until: PhaseName | undefined,
    private readonly now: () => number = Date.now,
  ) {
    const at = new Date(now()).toISOString();
    this.state = { ...place, checkpoints: 0, since: at, at };
  }

  hear(event: SessionEvent): void {
    const { state } = this;
    switch (event.type) {
      case 'plan':
        this.work = this.untilEnd(event.work);
        return;
      case 'history':
        this.finished = new Set(event.finished);
        return;
      case 'phase':
        if (event.state === 'end') this.finished.add(event.phase);
        else {
          state.phase = event.phase;
          for (const key of ['task', 'done', 'total', 'unit', 'loss', 'tokensPerSecond'] as const) delete state[key];
        }
        return;
      case 'progress':
        Object.assign(state, { task: event.progress.task, done: event.progress.done, unit: event.progress.unit });
        if (event.progress.total === undefined) delete state.total;
        else state.total = event.progress.total;
        return;
      case 'metrics': {
        Object.assign(state, { phase: event.phase, done: event.step, total: event.totalSteps, unit: 'steps' });
        const { loss, tokens_per_second: speed } = event.values;
        if (loss !== undefined) state.loss = loss;
        if (speed !== undefined) state.tokensPerSecond = Math.round(speed);
        return;
      }
      case 'checkpoint':
        state.checkpoints++;
        return;
      default:
        return;
    }
  }

  /** The store has a checkpoint. */
  stored(): void {
    this.state.storedAt = new Date(this.now()).toISOString();
  }

  /** As it is now. */
  get progress(): JobProgress {
    const nowMs = this.now();
    const { share: _, secondsLeft: _left, ...state } = this.state;
    const share = this.share();
    if (share === undefined) return { ...state, at: new Date(nowMs).toISOString() };
    this.began ??= { share, atMs: nowMs };
    const gained = share - this.began.share;
    const seconds = (nowMs - this.began.atMs) / 1000;
    const secondsLeft = gained > 0.005 && seconds > 2 ? Math.round(((1 - share) / gained) * seconds) : undefined;
    return {
      ...state,
      share,
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
      at: new Date(nowMs).toISOString(),
    };
  }

  private untilEnd(work: readonly PlannedWork[]): PlannedWork[] {
    const last = this.until === undefined ? -1 : work.findLastIndex(({ phase }) => phase === this.until);
    return last < 0 ? [...work] : work.slice(0, last + 1);
  }

  private share(): number | undefined {
    const total = this.work.reduce((sum, row) => sum + costOf(row), 0);
    if (total <= 0) return undefined;
    let done = 0;
    for (const row of this.work) {
      if (this.finished.has(row.phase)) done += costOf(row);
      else if (row.phase === this.state.phase && row.unit === this.state.unit && this.state.total) {
        done += costOf(row) * Math.min(1, (this.state.done ?? 0) / this.state.total);
      }
    }
    return Math.min(1, done / total);
  }
}
