// head.test.ts: the float64 gradients of the output head with cross-entropy against central differences.
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { headBackward, headForward } from '../../src/reference/head';
import { lossSum } from '../../src/reference/loss';
import { centralDifferences, expectGradient } from './differences';

describe('head reference', () => {
  for (const [M, C, V, cap] of [
    [1, 1, 2, undefined],
    [3, 5, 7, undefined],
    [4, 8, 33, undefined],
    [3, 5, 7, 1.5],
  ] as const) {
    const random = new RandomStream(M, 'head gradients');
    const normal = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.nextNormal());
    const [x, weight, rowWeights] = [normal(M * C), normal(V * C), normal(M)];
    const targets = Array.from({ length: M }, () => random.nextBelow(V));
    const sizes = { M, C, V, ...(cap === undefined ? {} : { cap }) };
    const { dLogits, dX, dWeight } = headBackward(x, weight, targets, rowWeights, sizes);

    it(`headBackward matches central differences at (M,C,V)=(${M},${C},${V}), cap ${cap ?? 'none'}`, () => {
      const loss = (a: ArrayLike<number>, w: ArrayLike<number>): number =>
        lossSum(headForward(a, w, targets, sizes).tokenLogps, rowWeights);
      expectGradient(
        dX,
        centralDifferences((probe) => loss(probe, weight), x),
      );
      expectGradient(
        dWeight,
        centralDifferences((probe) => loss(x, probe), weight),
      );
    });

    if (cap !== undefined) continue; // the slope of the cap weighs each logit
    it(`each row of dLogits sums to zero at (M,C,V)=(${M},${C},${V})`, () => {
      for (let m = 0; m < M; m++) {
        const row = dLogits.slice(m * V, (m + 1) * V);
        expect(Math.abs(row.reduce((a, b) => a + b, 0))).toBeLessThan(1e-14 * V);
        expect(row.some((d) => d !== 0)).toBe(true);
      }
    });
  }

  it('log-probabilities of all targets of a row are those of a distribution', () => {
    const [C, V] = [3, 5];
    const x = [0.3, -1.2, 2];
    const weight = Float64Array.from({ length: V * C }, (_, i) => Math.sin(3 * i));
    const rows = Array.from({ length: V }, () => x).flat();
    const all = headForward(rows, weight, [0, 1, 2, 3, 4], { M: V, C, V }).tokenLogps;
    expect(all.reduce((sum, logp) => sum + Math.exp(logp), 0)).toBeCloseTo(1, 12);
  });
});
