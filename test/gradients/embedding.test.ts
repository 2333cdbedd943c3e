// embedding.test.ts: the float64 gradient of the embedding table against central differences.
import { describe, it } from 'vitest';
import { embeddingBackward, embeddingForward } from '../../src/reference/embedding';
import { normals } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('embedding reference', () => {
  it('embeddingBackward matches central differences at (N,V,C)=(7,5,3): tokens that repeat, tokens that never occur', () => {
    const ids = [4, 0, 4, 2, 4, 0, 2];
    const table = normals('table', 5 * 3);
    const dY = normals('dY', 7 * 3);
    expectGradient(
      embeddingBackward(ids, dY, 5, 3),
      centralDifferences((probe) => dot(embeddingForward(ids, probe, 3), dY), table),
    );
  });
});
