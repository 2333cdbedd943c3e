// runClock.svelte.ts: how far a run is and how long it still takes, the present phase and the whole, from its plan and its
// progress. The measuring is base/eta.ts; here is which event says what.
import { RemainingTime, type Remaining, type WorkItem } from '../../base/eta';
import type { PhaseName, PlannedWork, SessionEvent } from '../../session/protocol';

/** A pass forward and backward, with one more forward for what is not kept, costs about three passes forward. */
const TRAINED_COST = 3;
/** For the bar alone, while times are unknown: a token that is generated costs about as much as so many that are read. */
const DECODE_WEIGHT = 4;

const idOf = (phase: PhaseName, unit: string): string => `${phase} ${unit}`;

function itemOf({ phase, unit, count, trainedTokens, forwardTokens }: PlannedWork): WorkItem {
  return {
    id: idOf(phase, unit),
    kind: unit === 'answers' ? 'decode' : 'parallel',
    units: count,
    cost: TRAINED_COST * trainedTokens + forwardTokens,
  };
}

export interface TimeLeft extends Remaining {
  /** When it was estimated, by performance.now(). */
  atMs: number;
}

export class RunClock {
  /** Of the whole run; absent before its plan is known. */
  run = $state.raw<TimeLeft>();
  /** Of the present phase. */
  phase = $state.raw<TimeLeft>();
  /** Of the whole run, in [0, 1], by work. */
  share = $state(0);
  private remaining: RemainingTime | undefined;
  private ids = new Map<PhaseName, string[]>();
  private present: PhaseName | undefined;
  /** What is read before there is a plan: bytes of the student. */
  private loading: { task: string; time: RemainingTime } | undefined;

  /** A new run, or another sitting. */
  reset(): void {
    this.run = this.phase = this.remaining = this.loading = this.present = undefined;
    this.share = 0;
    this.ids.clear();
  }

  accept(event: SessionEvent, nowMs: number): void {
    switch (event.type) {
      case 'plan':
        this.ids.clear();
        for (const { phase, unit } of event.work) {
          this.ids.set(phase, [...(this.ids.get(phase) ?? []), idOf(phase, unit)]);
        }
        this.remaining = new RemainingTime(event.work.map(itemOf));
        break;
      case 'history':
        for (const phase of event.finished) this.finish(phase);
        break;
      case 'phase':
        if (event.state === 'start') {
          this.present = event.phase;
          this.remaining?.begin(nowMs);
        } else this.finish(event.phase);
        break;
      case 'progress':
        this.progress(event.progress, nowMs);
        break;
      case 'state':
        if (event.state === 'paused') this.remaining?.pause(nowMs);
        if (event.state === 'running') this.remaining?.resume(nowMs);
        return;
      default:
        return;
    }
    this.show(nowMs);
  }

  private progress(
    { task, done, total, unit }: Extract<SessionEvent, { type: 'progress' }>['progress'],
    nowMs: number,
  ): void {
    if (this.present === undefined || this.present === 'load') {
      if (total === undefined) return;
      if (this.loading?.task !== task) {
        this.loading = { task, time: new RemainingTime([{ id: task, kind: unit, units: total, cost: total }]) };
        this.loading.time.begin(nowMs);
      }
      this.loading.time.progress(task, { task, done, total }, nowMs, true);
      return;
    }
    const id = idOf(this.present, unit);
    // Steps, and the pairs of the reference, are one task; answers and questions come task by task.
    this.remaining?.progress(id, { task, done, total }, nowMs, unit === 'steps' || unit === 'pairs');
  }

  private finish(phase: PhaseName): void {
    for (const id of this.ids.get(phase) ?? []) this.remaining?.finish(id);
  }

  private show(atMs: number): void {
    if (this.present === 'load') {
      this.phase = this.loading === undefined ? undefined : { ...this.loading.time.remaining(), atMs };
    } else if (this.present !== undefined) {
      const ids = this.ids.get(this.present);
      this.phase = ids === undefined ? undefined : this.remaining && { ...this.remaining.remaining(ids), atMs };
    }
    if (this.remaining === undefined) return;
    this.run = { ...this.remaining.remaining(), atMs };
    this.share = this.remaining.share({ decode: DECODE_WEIGHT });
  }
}

/** The phases of items about which nothing is known yet, in order. */
export function unknownPhases({ unknown }: Remaining): PhaseName[] {
  return [...new Set(unknown.map((id) => id.slice(0, id.indexOf(' ')) as PhaseName))];
}
