// rope.test.ts: the float64 inverse rotation is the gradient of the rotation, by central differences.
import { describe, it } from 'vitest';
import { rope } from '../../src/reference/rope';
import { normals } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('rope reference', () => {
  it('the inverse rotation matches central differences at (N,H,K)=(3,2,6)', () => {
    const x = normals('x', 3 * 2 * 6);
    const dY = normals('dY', 3 * 2 * 6);
    const positions = [0, 7, 3];
    expectGradient(
      rope(dY, positions, 2, 6, 100, true),
      centralDifferences((probe) => dot(rope(probe, positions, 2, 6, 100), dY), x),
    );
  });
});
