// measure.ts: timing of contenders in turns (A, B, A, B, …), so that whatever else the machine does hits all of them alike.
// It knows no GPU: a contender's run must itself wait until its work is done.

/** Something to be timed. */
export interface Contender {
  readonly name: string;
  /** Does the work once and resolves when its result exists (a value of it has been read back). */
  run(): Promise<unknown>;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds. */
  readonly medianMs: number;
  readonly fastestMs: number;
  readonly samplesMs: readonly number[];
}

/** Median of a non-empty list; the mean of the middle two for an even count. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median: expected at least one value, got none');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs every contender `warmups` times, then `repeats` rounds in which each runs once, in the given order. */
export async function inTurns(
  contenders: readonly Contender[],
  { repeats, warmups = 2 }: { repeats: number; warmups?: number },
): Promise<Timing[]> {
  for (let i = 0; i < warmups; i++) for (const contender of contenders) await contender.run();
  const samples = contenders.map((): number[] => []);
  for (let i = 0; i < repeats; i++) {
    for (const [c, contender] of contenders.entries()) {
      const startedAt = performance.now();
      await contender.run();
      samples[c]!.push(performance.now() - startedAt);
    }
  }
  return contenders.map(({ name }, c) => ({
    name,
    medianMs: median(samples[c]!),
    fastestMs: Math.min(...samples[c]!),
    samplesMs: samples[c]!,
  }));
}

/** How many times faster `ours` is: the median over rounds of peer / ours, each pair taken one right after the other. */
export function ratioOf(peer: Timing, ours: Timing): number {
  return median(ours.samplesMs.map((ms, i) => peer.samplesMs[i]! / ms));
}

/** Largest |a − b|. Lengths must agree; a non-finite value on either side gives Infinity. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`maxDifference: ${a.length} values against ${b.length}`);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!Number.isFinite(difference)) return Infinity;
    most = Math.max(most, difference);
  }
  return most;
}
