// statistics.ts: the few statistics that Pupil reports, in plain f64. No tables; random numbers only where a method is made of
// them (the bootstrap), seeded.
import { RandomStream } from './random';

/** Arithmetic mean; NaN for no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Standard deviation. `sample` (default) divides by n − 1, `population` by n.
 * NaN for no values, and for one value with n − 1: a spread cannot be told from one.
 */
export function standardDeviation(values: readonly number[], kind: 'sample' | 'population' = 'sample'): number {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - (kind === 'sample' ? 1 : 0)));
}

/** The middle value, or the mean of the two middle ones; NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.slice().sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** An interval for a proportion, both ends in [0, 1]. */
export interface Interval {
  low: number;
  high: number;
}

/** The normal quantile of a two-sided 95 % interval. */
export const Z_95 = 1.959963984540054;

/**
 * Wilson's score interval for k successes in n trials (Wilson 1927): the p for which |k/n − p| ≤ z·√(p(1−p)/n).
 * For n = 0 nothing is known: [0, 1].
 * @throws RangeError unless 0 ≤ k ≤ n are integers.
 */
export function wilsonInterval(k: number, n: number, z = Z_95): Interval {
  if (!(Number.isInteger(k) && Number.isInteger(n) && k >= 0 && k <= n)) {
    throw new RangeError(`wilsonInterval: expected integers 0 ≤ k ≤ n, got k = ${k}, n = ${n}`);
  }
  if (n === 0) return { low: 0, high: 1 };
  const p = k / n;
  const spread = (z * z) / n;
  const centre = (p + spread / 2) / (1 + spread);
  const half = (z * Math.sqrt((p * (1 - p)) / n + spread / (4 * n))) / (1 + spread);
  return { low: k === 0 ? 0 : Math.max(0, centre - half), high: k === n ? 1 : Math.min(1, centre + half) };
}

/**
 * McNemar's exact test of two systems on the same items: the two-sided binomial p-value of the discordant pairs,
 * p = min(1, 2·Σ_{i ≤ min(b,c)} C(b+c, i) / 2^{b+c}).
 *
 * @param onlyFirst items that only the first system got right (b); `onlySecond` likewise (c).
 * @throws RangeError unless both are integers ≥ 0.
 */
export function mcnemarExact(onlyFirst: number, onlySecond: number): number {
  if (!(Number.isInteger(onlyFirst) && Number.isInteger(onlySecond) && onlyFirst >= 0 && onlySecond >= 0)) {
    throw new RangeError(`mcnemarExact: expected integers ≥ 0, got ${onlyFirst} and ${onlySecond}`);
  }
  const n = onlyFirst + onlySecond;
  const smaller = Math.min(onlyFirst, onlySecond);
  // Terms in logarithms: C(n, i) overflows f64 from n ≈ 1030.
  let logTerm = -n * Math.LN2;
  let sum = 0;
  for (let i = 0; i <= smaller; i++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log(n - i) - Math.log(i + 1);
  }
  return Math.min(1, 2 * sum);
}

/** Two systems on the same items: how many both, only the first, only the second and neither got right. */
export interface PairedCounts {
  both: number;
  onlyFirst: number;
  onlySecond: number;
  neither: number;
}

/**
 * A 95 % interval for p₂ − p₁, two proportions of the same items: Wilson's intervals of both, squared and added, with the
 * correlation of the two (Newcombe 1998, Statistics in Medicine 17, 2635–2650, method 10). With d = p₂ − p₁ and (lᵢ, uᵢ)
 * Wilson's interval of pᵢ:
 *
 *     low  = d − √((p₂ − l₂)² − 2φ·(p₂ − l₂)(u₁ − p₁) + (u₁ − p₁)²)
 *     high = d + √((u₂ − p₂)² − 2φ·(u₂ − p₂)(p₁ − l₁) + (p₁ − l₁)²)
 *     φ    = c / √((a+b)(c'+d')(a+c')(b+d')),  c = the determinant ad' − bc', less n/2 where it is above n/2, 0 between 0
 *            and n/2, as it is below 0; a = both, b = only first, c' = only second, d' = neither; 0 where a margin is 0.
 *
 * Items must be independent of each other. For no items nothing is known: [−1, 1].
 * @throws RangeError unless all four are integers ≥ 0.
 */
export function pairedDifferenceInterval({ both, onlyFirst, onlySecond, neither }: PairedCounts, z = Z_95): Interval {
  const counts = [both, onlyFirst, onlySecond, neither];
  if (counts.some((count) => !Number.isInteger(count) || count < 0)) {
    throw new RangeError(`pairedDifferenceInterval: expected integers ≥ 0, got ${counts.join(', ')}`);
  }
  const n = both + onlyFirst + onlySecond + neither;
  if (n === 0) return { low: -1, high: 1 };
  const [first, second] = [both + onlyFirst, both + onlySecond];
  const [p1, p2] = [first / n, second / n];
  const [w1, w2] = [wilsonInterval(first, n, z), wilsonInterval(second, n, z)];
  const determinant = both * neither - onlyFirst * onlySecond;
  const corrected = determinant > n / 2 ? determinant - n / 2 : Math.min(0, determinant);
  const margins = first * (n - first) * second * (n - second);
  const phi = margins === 0 ? 0 : corrected / Math.sqrt(margins);
  const half = (a: number, b: number): number => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  const difference = (onlySecond - onlyFirst) / n;
  return {
    low: Math.max(-1, difference - half(p2 - w2.low, w1.high - p1)),
    high: Math.min(1, difference + half(w2.high - p2, p1 - w1.low)),
  };
}

/**
 * Holm's correction for several tests (Holm 1979): adjusted p-values in the given order. With the p-values in ascending
 * order, p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) · p_(j)); p̃ ≤ α rejects with a family-wise error of at most α, whatever
 * the dependence among the tests.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[index]!));
    adjusted[index] = largest;
  });
  return adjusted;
}

/** What one cluster adds to a mean: the sum of its values and how many they are. */
export interface Cluster {
  sum: number;
  count: number;
}

/**
 * A 95 % percentile interval for Σ sum / Σ count by the bootstrap over clusters (Efron & Tibshirani 1993, §8): whole
 * clusters are drawn with replacement, as many as there are, so that values within a cluster may depend on one another in
 * any way. Too narrow where there are few clusters (fewer than about 20). The same arguments give the same interval.
 *
 * @returns NaN at both ends for no cluster: nothing can be drawn.
 */
export function clusterBootstrap(
  clusters: readonly Cluster[],
  { resamples = 2000, seed = 0 }: { resamples?: number; seed?: number } = {},
): Interval {
  if (clusters.length === 0) return { low: NaN, high: NaN };
  const drawn = draws(clusters.length, resamples, seed);
  const sums = Float64Array.from(clusters, (cluster) => cluster.sum);
  const counts = Float64Array.from(clusters, (cluster) => cluster.count);
  // Nearly always all clusters are of one size: then there is half as much to add.
  const size = counts.every((count) => count === counts[0]) ? counts[0]! : undefined;
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let [sum, count] = [0, 0];
    const end = (r + 1) * clusters.length;
    if (size === undefined) {
      for (let i = r * clusters.length; i < end; i++) {
        sum += sums[drawn[i]!]!;
        count += counts[drawn[i]!]!;
      }
    } else {
      for (let i = r * clusters.length; i < end; i++) sum += sums[drawn[i]!]!;
      count = size * clusters.length;
    }
    means[r] = sum / count;
  }
  means.sort();
  return { low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** The last draws: the many intervals of one table are over as many clusters, and drawing takes most of their time. */
let lastDraws: { key: string; drawn: Uint32Array } | undefined;

/** `resamples` times n indices below n, with replacement; they follow from the arguments alone. */
function draws(n: number, resamples: number, seed: number): Uint32Array {
  const key = `${n} ${resamples} ${seed}`;
  if (lastDraws?.key !== key) {
    const random = new RandomStream(seed, 'cluster bootstrap');
    lastDraws = { key, drawn: new Uint32Array(n * resamples).map(() => random.nextBelow(n)) };
  }
  return lastDraws.drawn;
}

/** The q-quantile of ascending values, interpolated linearly between neighbours (R's type 7). */
function quantile(sorted: Float64Array, q: number): number {
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at - Math.floor(at));
}
