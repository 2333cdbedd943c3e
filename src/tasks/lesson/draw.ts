// draw.ts: small random choices under a RandomStream: one of a list, a number of a range, a weighted key. The stream is
// the only state.
import type { RandomStream } from '../../base/random';

/** One of a list that is not empty. */
export const pick = <T>(random: RandomStream, list: readonly T[]): T => list[random.nextBelow(list.length)]!;

/** An integer of low … high, both included. */
export const between = (random: RandomStream, low: number, high: number): number =>
  low + random.nextBelow(high - low + 1);

/** True in this share of draws. */
export const chance = (random: RandomStream, share: number): boolean => random.nextUnit() < share;

/** A key in proportion to its weight; weights need not add up to one. A weight of 0 is never drawn. */
export function weighted<K extends string>(random: RandomStream, weights: Readonly<Record<K, number>>): K {
  const keys = Object.keys(weights) as K[];
  let rest = random.nextUnit() * keys.reduce((sum, key) => sum + weights[key], 0);
  for (const key of keys) {
    rest -= weights[key];
    if (rest < 0) return key;
  }
  return keys.findLast((key) => weights[key] > 0)!; // rounding left a last crumb
}

/** So many different ones of a list, in random order. */
export function several<T>(random: RandomStream, list: readonly T[], count: number): T[] {
  const left = list.slice();
  for (let i = 0; i < count; i++) {
    const j = i + random.nextBelow(left.length - i);
    [left[i], left[j]] = [left[j]!, left[i]!];
  }
  return left.slice(0, count);
}
