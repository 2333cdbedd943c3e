// elementwise.test.ts: the float64 scatter is the transpose of the gather, and sums pass gradients on, by central differences.
import { describe, it } from 'vitest';
import { add, gatherRows, scatterRows } from '../../src/reference/elementwise';
import { normals } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('elementwise reference', () => {
  it('scatterRows is the gradient of gatherRows at (N,M,C)=(6,4,3)', () => {
    const x = normals('x', 6 * 3);
    const dY = normals('dY', 4 * 3);
    const index = [5, 0, 3, 2];
    expectGradient(
      scatterRows(dY, index, 6, 3),
      centralDifferences((probe) => dot(gatherRows(probe, index, 3), dY), x),
    );
  });

  it('add passes its gradient on to both terms', () => {
    const a = normals('a', 7);
    const b = normals('b', 7);
    const dY = normals('dY', 7);
    expectGradient(
      dY,
      centralDifferences((probe) => dot(add(probe, b), dY), a),
    );
    expectGradient(
      dY,
      centralDifferences((probe) => dot(add(a, probe), dY), b),
    );
  });
});
