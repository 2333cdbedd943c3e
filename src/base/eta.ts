// eta.ts: how long work still takes, from how long it took so far. Several kinds of work follow one another (steps of one phase,
// answers of the next); each is measured by itself, and what has not begun is estimated from what resembles it, or not at all.
// No clock of its own: every call brings the time.

/** Work of one kind, counted in units that take about equally long. */
export interface WorkItem {
  /** Names it in {@link RemainingTime.progress}. */
  id: string;
  /** Items of one kind cost time in proportion to `cost`: what one was measured at says something of the other. */
  kind: string;
  units: number;
  /** Of all units, in anything that is proportional to time within the kind (tokens, say). */
  cost: number;
}

export interface Remaining {
  /** Of everything that can be estimated. */
  seconds: number;
  /** Ids of items that are left and that nothing measured says anything about. */
  unknown: string[];
}

/** How fast old measurements lose weight: about the last ten intervals count. */
const KEPT = 0.9;
/** An interval so many times as long as was usual, and longer than this, was no work: the machine slept. */
const ASLEEP_TIMES = 30;
const ASLEEP_MS = 60_000;

interface Meter extends WorkItem {
  done: number;
  /** What was done when it was last heard of within its present task. */
  taskDone: number;
  task: string;
  /** Decayed sums over the intervals that count. */
  seenUnits: number;
  seenMs: number;
  intervals: number;
}

/**
 * An interval lies between two reports of progress and belongs to the item of the later one; pauses are taken out of it. The
 * first interval of each item is left out: shaders are compiled and buffers made in it. So an item is "unknown" until its
 * second report, unless another one of its kind was measured.
 */
export class RemainingTime {
  private readonly meters = new Map<string, Meter>();
  private lastMs: number | undefined;
  private pausedAtMs: number | undefined;

  constructor(items: readonly WorkItem[]) {
    for (const item of items) {
      const nothing = { done: 0, task: '', taskDone: 0, seenUnits: 0, seenMs: 0, intervals: 0 };
      this.meters.set(item.id, { ...item, ...nothing });
    }
  }

  /** Work begins or goes on: what came before it is no work's time. */
  begin(nowMs: number): void {
    this.lastMs = nowMs;
    this.pausedAtMs = undefined;
  }

  pause(nowMs: number): void {
    this.pausedAtMs ??= nowMs;
  }

  resume(nowMs: number): void {
    if (this.pausedAtMs !== undefined && this.lastMs !== undefined) this.lastMs += nowMs - this.pausedAtMs;
    this.pausedAtMs = undefined;
  }

  /**
   * So many units of a task are done; an item may consist of several tasks, one after the other.
   * `alone`: the task is all of its item, so that `total` is the item's number of units.
   */
  progress(
    id: string,
    { task, done, total }: { task: string; done: number; total?: number | undefined },
    nowMs: number,
    alone = false,
  ): void {
    const meter = this.meters.get(id);
    if (meter === undefined) return;
    const passedMs = nowMs - (this.lastMs ?? nowMs);
    const isFirstOfAll = this.lastMs === undefined;
    this.lastMs = nowMs;
    const before = meter.task === task ? meter.taskDone : 0;
    meter.task = task;
    meter.taskDone = done;
    if (alone && total !== undefined) {
      if (meter.units > 0) meter.cost *= total / meter.units;
      meter.units = total;
      meter.done = done;
    } else meter.done = Math.min(meter.units, meter.done + Math.max(0, done - before));
    const fresh = done - before;
    if (fresh <= 0) return; // a resumed run repeats what it had
    meter.intervals++;
    if (meter.intervals === 1 || isFirstOfAll) return;
    const usualMs = meter.seenUnits === 0 ? Infinity : (meter.seenMs / meter.seenUnits) * fresh;
    if (passedMs > ASLEEP_MS && passedMs > ASLEEP_TIMES * usualMs) return;
    meter.seenUnits = meter.seenUnits * KEPT + fresh;
    meter.seenMs = meter.seenMs * KEPT + passedMs;
  }

  /** All of an item is done, however many units there were in the end; what was measured stays. */
  finish(id: string): void {
    const meter = this.meters.get(id);
    if (meter === undefined) return;
    if (meter.done > 0 && meter.units > 0) meter.cost *= meter.done / meter.units;
    meter.units = meter.done;
  }

  /** Of some items, or of all. */
  remaining(ids: Iterable<string> = this.meters.keys()): Remaining {
    let ms = 0;
    const unknown: string[] = [];
    for (const id of ids) {
      const meter = this.meters.get(id);
      if (meter === undefined) continue;
      const left = meter.units - meter.done;
      if (left <= 0) continue;
      const perUnit = this.perUnitMs(meter);
      if (perUnit === undefined) unknown.push(id);
      else ms += left * perUnit;
    }
    return { seconds: ms / 1000, unknown };
  }

  /** Share of the units of all items, weighted by their cost; for a bar, where times are not known. */
  share(weights: Readonly<Record<string, number>> = {}): number {
    let [done, all] = [0, 0];
    for (const { kind, units, cost, done: finished } of this.meters.values()) {
      if (units <= 0) continue;
      const weighted = cost * (weights[kind] ?? 1);
      all += weighted;
      done += (weighted * finished) / units;
    }
    return all === 0 ? 0 : done / all;
  }

  private perUnitMs(meter: Meter): number | undefined {
    if (meter.seenUnits > 0) return meter.seenMs / meter.seenUnits;
    if (meter.units === 0) return undefined;
    // The latest measured one of the kind: its texts and its adapter resemble this one's most.
    let found: number | undefined;
    for (const other of this.meters.values()) {
      if (other.kind !== meter.kind || other.seenUnits === 0 || other.units === 0 || other.cost === 0) continue;
      const msPerCost = other.seenMs / other.seenUnits / (other.cost / other.units);
      found = (msPerCost * meter.cost) / meter.units;
    }
    return found;
  }
}
