// differences.ts: f64 central differences, to hold the reference backwards against their own forwards. No GPU.
import { expect } from 'vitest';

/** d/dx[i] of the scalar function for every i, by central differences of step `step`. */
export function centralDifferences(f: (x: Float64Array) => number, x: ArrayLike<number>, step = 1e-5): Float64Array {
  const probe = Float64Array.from(x);
  return probe.map((value, i) => {
    probe[i] = value + step;
    const above = f(probe);
    probe[i] = value - step;
    const below = f(probe);
    probe[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Σ a·b: the loss whose gradient with respect to a is b. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Fails unless the largest |Δ| is at most `relative` of the largest |expected|, which must not be zero. */
export function expectGradient(actual: ArrayLike<number>, expected: ArrayLike<number>, relative = 1e-6): void {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!));
  }
  expect(largest).toBeGreaterThan(0);
  expect(worst / largest).toBeLessThan(relative);
}
