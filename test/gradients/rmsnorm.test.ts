// rmsnorm.test.ts: the float64 gradients of RMSNorm against central differences.
import { describe, it } from 'vitest';
import { rmsnormBackward, rmsnormForward } from '../../src/reference/rmsnorm';
import { normals } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('rmsnorm reference', () => {
  for (const [N, C, epsilon] of [
    [1, 1, 0.1],
    [3, 5, 1e-5],
    [2, 8, 1],
  ] as const) {
    it(`rmsnormBackward matches central differences at (N,C,ε)=(${N},${C},${epsilon})`, () => {
      const x = normals('x', N * C);
      const weight = normals('weight', C);
      const dY = normals('dY', N * C);
      const { inverseRms } = rmsnormForward(x, weight, epsilon);
      const { dX, dWeight } = rmsnormBackward(x, weight, inverseRms, dY);
      expectGradient(
        dX,
        centralDifferences((probe) => dot(rmsnormForward(probe, weight, epsilon).y, dY), x),
      );
      expectGradient(
        dWeight,
        centralDifferences((probe) => dot(rmsnormForward(x, probe, epsilon).y, dY), weight),
      );
    });
  }
});
