// statistics.test.ts: against values known from elsewhere (formulas by hand, R, published tables).
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clusterBootstrap,
  holm,
  mcnemarExact,
  mean,
  median,
  standardDeviation,
  wilsonInterval,
  type Cluster,
} from '../../../src/base/statistics';

describe('mean, standard deviation, median', () => {
  it('of 2, 4, 4, 4, 5, 5, 7, 9: mean 5, population sd 2, sample sd 2.138', () => {
    const values = [2, 4, 4, 4, 5, 5, 7, 9];
    expect(mean(values)).toBe(5);
    expect(standardDeviation(values, 'population')).toBe(2);
    expect(standardDeviation(values)).toBeCloseTo(2.13808993529939, 12);
    expect(median(values)).toBe(4.5);
    expect(median([9, 1, 5])).toBe(5);
  });

  it('of nothing, and the spread of one value, are not numbers', () => {
    expect([mean([]), median([]), standardDeviation([3])]).toEqual([NaN, NaN, NaN]);
  });

  it('median does not disturb its argument', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('wilsonInterval', () => {
  // R: prop.test(k, n, correct = FALSE)$conf.int
  it.each([
    [81, 263, 0.2553, 0.3662], // Newcombe 1998, table I
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [29, 29, 0.883, 1],
  ])('%d of %d: %f to %f', (k, n, low, high) => {
    const interval = wilsonInterval(k, n);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it('GSM8K at 70 % of 1319: a half-width of about 2.5 points', () => {
    const { low, high } = wilsonInterval(923, 1319);
    expect((high - low) / 2).toBeCloseTo(0.0247, 3);
  });

  it('contains the proportion, mirrors for failures, and narrows with n', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, p) => {
        const k = Math.round(n * p);
        const { low, high } = wilsonInterval(k, n);
        const mirror = wilsonInterval(n - k, n);
        expect(low).toBeLessThanOrEqual(k / n);
        expect(high).toBeGreaterThanOrEqual(k / n);
        expect(mirror.low).toBeCloseTo(1 - high, 12);
        const wider = wilsonInterval(k, n);
        const narrower = wilsonInterval(4 * k, 4 * n);
        expect(narrower.high - narrower.low).toBeLessThan(wider.high - wider.low);
      }),
    );
  });

  it('knows nothing from no trials and refuses impossible counts', () => {
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
    expect(() => wilsonInterval(3, 2)).toThrow(/k = 3, n = 2/);
    expect(() => wilsonInterval(0.5, 2)).toThrow(RangeError);
  });
});

describe('mcnemarExact', () => {
  // R: binom.test(min(b, c), b + c)$p.value
  it.each([
    [0, 0, 1],
    [5, 0, 0.0625],
    [6, 0, 0.03125],
    [10, 2, 0.03857421875],
    [8, 8, 1],
    [3, 1, 0.625],
  ])('%d against %d: p = %f', (b, c, p) => {
    expect(mcnemarExact(b, c)).toBeCloseTo(p, 6);
    expect(mcnemarExact(c, b)).toBe(mcnemarExact(b, c));
  });

  it('does not overflow for large counts', () => {
    expect(mcnemarExact(2000, 2000)).toBe(1);
    // Python's exact integers: 2·Σ C(3800, i) / 2^3800
    expect(mcnemarExact(2000, 1800)).toBeCloseTo(0.0012427867782631994, 12);
    expect(mcnemarExact(121, 59)).toBeCloseTo(4.434449263755176e-6, 15);
  });

  it('refuses what are no counts', () => {
    expect(() => mcnemarExact(-1, 2)).toThrow(RangeError);
  });
});

describe('holm', () => {
  it('of 0.01, 0.04, 0.03, 0.005: R’s p.adjust(p, "holm") gives 0.03, 0.06, 0.06, 0.02', () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((p, i) => expect(adjusted[i]).toBeCloseTo(p, 12));
  });

  it('leaves one test as it is, never exceeds 1, and keeps the order of equals', () => {
    expect(holm([0.2])).toEqual([0.2]);
    expect(holm([0.6, 0.7, 0.6])).toEqual([1, 1, 1]);
    expect(holm([])).toEqual([]);
  });

  it('is at least the p-value and at most Bonferroni’s', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (ps) => {
        holm(ps).forEach((p, i) => {
          expect(p).toBeGreaterThanOrEqual(ps[i]!);
          expect(p).toBeLessThanOrEqual(Math.min(1, ps.length * ps[i]!) + 1e-12);
        });
      }),
    );
  });
});

describe('clusterBootstrap', () => {
  const single = (values: readonly number[]): Cluster[] => values.map((sum) => ({ sum, count: 1 }));

  it('of independent values is close to the normal interval: 70 of 100, ± 9 points', () => {
    const { low, high } = clusterBootstrap(single(Array.from({ length: 100 }, (_, i) => (i < 70 ? 1 : 0))));
    expect(Math.abs(low - 0.61)).toBeLessThan(0.015);
    expect(Math.abs(high - 0.79)).toBeLessThan(0.015);
  });

  it('three answers that always agree are worth one: as wide as with one of them, and wider than 300 answers', () => {
    const values = Array.from({ length: 100 }, (_, i) => (i < 70 ? 1 : 0));
    const tripled = values.map((sum) => ({ sum: 3 * sum, count: 3 }));
    expect(clusterBootstrap(tripled)).toEqual(clusterBootstrap(single(values)));
    const apart = clusterBootstrap(single([...values, ...values, ...values]));
    const together = clusterBootstrap(tripled);
    // √3 narrower where they are taken for independent, which they are not
    expect((together.high - together.low) / (apart.high - apart.low)).toBeGreaterThan(1.5);
  });

  it('weighs clusters by their size, gives the same again, and nothing for nothing', () => {
    const clusters = [
      { sum: 9, count: 9 },
      { sum: 0, count: 1 },
    ];
    // Two clusters: both ends are one cluster drawn twice.
    expect(clusterBootstrap(clusters)).toEqual({ low: 0, high: 1 });
    expect(clusterBootstrap([{ sum: 1, count: 4 }])).toEqual({ low: 0.25, high: 0.25 });
    expect(clusterBootstrap(clusters, { seed: 5 })).toEqual(clusterBootstrap(clusters, { seed: 5 }));
    expect(clusterBootstrap([])).toEqual({ low: NaN, high: NaN });
  });
});
