// attention.test.ts: the float64 gradients of attention against central differences.
import { describe, expect, it } from 'vitest';
import { attentionBackward, attentionDecode, attentionForward } from '../../src/reference/attention';
import { normals, packedSequences } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('attention reference', () => {
  for (const { lengths, heads, kvHeads, headSize } of [
    { lengths: [5], heads: 1, kvHeads: 1, headSize: 1 },
    { lengths: [1, 4, 2], heads: 4, kvHeads: 2, headSize: 3 },
    { lengths: [3, 3], heads: 3, kvHeads: 1, headSize: 4 },
  ]) {
    it(`attentionBackward matches central differences at lengths ${lengths.join('+')}, (H,Hkv,K)=(${heads},${kvHeads},${headSize})`, () => {
      const sizes = { heads, kvHeads, headSize };
      const { start } = packedSequences(lengths);
      const N = start.length;
      const q = normals('q', N * heads * headSize);
      const k = normals('k', N * kvHeads * headSize);
      const v = normals('v', N * kvHeads * headSize);
      const dY = normals('dY', N * heads * headSize);
      const { dQ, dK, dV } = attentionBackward(q, k, v, start, dY, sizes);
      expectGradient(
        dQ,
        centralDifferences((probe) => dot(attentionForward(probe, k, v, start, sizes).y, dY), q),
      );
      expectGradient(
        dK,
        centralDifferences((probe) => dot(attentionForward(q, probe, v, start, sizes).y, dY), k),
      );
      expectGradient(
        dV,
        centralDifferences((probe) => dot(attentionForward(q, k, probe, start, sizes).y, dY), v),
      );
    });
  }

  it('attentionDecode of the last token equals the last row of attentionForward', () => {
    const sizes = { heads: 4, kvHeads: 2, headSize: 3 };
    const T = 6;
    const q = normals('q', T * 12);
    const k = normals('k', T * 6);
    const v = normals('v', T * 6);
    const whole = attentionForward(q, k, v, new Array<number>(T).fill(0), sizes).y.subarray((T - 1) * 12);
    const last = attentionDecode(q.subarray((T - 1) * 12), k, v, [T], [0], sizes);
    expect(Array.from(last)).toEqual(Array.from(whole));
  });
});
