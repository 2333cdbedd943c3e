// statistics.test.ts: against values known from elsewhere (formulas by hand, R, published tables).
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mcnemarExact, mean, median, standardDeviation, wilsonInterval } from '../../../src/base/statistics';

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
