// attention.test.ts: the float64 gradients of attention against central differences.
import { describe, expect, it } from 'vitest';
import {
  attentionBackward,
  attentionDecode,
  attentionForward,
  type AttentionSizes,
} from '../../src/reference/attention';
import { normals, packedSequences } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('attention reference', () => {
  const packs: (AttentionSizes & { lengths: number[] })[] = [
    { lengths: [5], heads: 1, kvHeads: 1, headSize: 1 },
    { lengths: [1, 4, 2], heads: 4, kvHeads: 2, headSize: 3 },
    { lengths: [3, 3], heads: 3, kvHeads: 1, headSize: 4 },
    { lengths: [6, 3], heads: 2, kvHeads: 1, headSize: 3, window: 2 },
    { lengths: [5], heads: 2, kvHeads: 1, headSize: 3, scale: 0.9 },
    { lengths: [2, 5], heads: 2, kvHeads: 1, headSize: 4, softcap: 1.5 },
    { lengths: [7], heads: 4, kvHeads: 2, headSize: 5, softcap: 0.8, scale: 1.3, window: 3 },
  ];
  for (const { lengths, ...sizes } of packs) {
    const { heads, kvHeads, headSize, ...rules } = sizes;
    const named = Object.entries(rules).map(([name, value]) => `, ${name} ${value}`);
    it(`attentionBackward matches central differences at lengths ${lengths.join('+')}, (H,Hkv,K)=(${heads},${kvHeads},${headSize})${named.join('')}`, () => {
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

  it('a window as long as the text and a softcap of 1e9 change nothing', () => {
    const sizes = { heads: 2, kvHeads: 1, headSize: 3 };
    const [q, k, v] = [normals('q', 30), normals('k', 15), normals('v', 15)];
    const plain = attentionForward(q, k, v, [0, 0, 0, 0, 0], sizes);
    const ruled = attentionForward(q, k, v, [0, 0, 0, 0, 0], { ...sizes, window: 5, softcap: 1e9 });
    plain.y.forEach((value, i) => expect(ruled.y[i]).toBeCloseTo(value, 12));
  });

  it('attentionDecode of the last token equals the last row of attentionForward under a window and a softcap', () => {
    const sizes = { heads: 4, kvHeads: 2, headSize: 3, window: 4, softcap: 2 };
    const T = 6;
    const q = normals('q', T * 12);
    const k = normals('k', T * 6);
    const v = normals('v', T * 6);
    const whole = attentionForward(q, k, v, new Array<number>(T).fill(0), sizes).y.subarray((T - 1) * 12);
    const last = attentionDecode(q.subarray((T - 1) * 12), k, v, [T], [0], sizes);
    expect(Array.from(last)).toEqual(Array.from(whole));
  });
});
