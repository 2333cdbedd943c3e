// lora.test.ts: the low-rank branch's derivatives in reference/lora.ts against central differences in float64, without
// dropout and with a fixed mask; and the mask's own statistics.
import { describe, expect, it } from 'vitest';
import { caseNumbers } from '../../src/selfcheck/cases/linear';
import { dropoutMask, loraBackward, loraForward } from '../../src/reference/lora';

const shape = { N: 4, C: 5, R: 3, O: 6 };
const { N, C, R, O } = shape;
const SCALE = 0.7;
const x = Float64Array.from(caseNumbers(N * C, 1));
const a = Float64Array.from(caseNumbers(R * C, 2));
const b = Float64Array.from(caseNumbers(O * R, 3));
const dY = Float64Array.from(caseNumbers(N * O, 4));
const key = { seed: 1, step: 2, micro: 0, layerStream: 3 };

describe.each([
  ['without dropout', undefined],
  ['with dropout 0.4', dropoutMask(N, C, { ...key, rate: 0.4 })],
] as const)('LoRA derivatives match central differences at (N,C,R,O)=(4,5,3,6) %s', (_, mask) => {
  const loss = (): number => loraForward(x, a, b, shape, SCALE, mask).y.reduce((sum, y, i) => sum + y * dY[i]!, 0);
  const { h } = loraForward(x, a, b, shape, SCALE, mask);
  const gradients = loraBackward(x, a, b, h, dY, shape, SCALE, mask);
  it.each([
    ['dX', x, gradients.dX],
    ['dA', a, gradients.dA],
    ['dB', b, gradients.dB],
  ] as const)('%s', (_name, values, gradient) => {
    const step = 1e-4;
    values.forEach((kept, i) => {
      values[i] = kept + step;
      const above = loss();
      values[i] = kept - step;
      const below = loss();
      values[i] = kept;
      const slope = (above - below) / (2 * step);
      expect(Math.abs(gradient[i]! - slope)).toBeLessThan(1e-6 * (1 + Math.abs(slope)));
    });
  });
});

describe('dropout masks', () => {
  it('drop the asked share of 20,000 elements and scale the rest by 1/(1 − rate)', () => {
    const mask = dropoutMask(200, 100, { ...key, rate: 0.1 });
    const dropped = mask.filter((v) => v === 0).length / mask.length;
    expect(Math.abs(dropped - 0.1)).toBeLessThan(0.01); // 4.7 standard deviations
    expect(new Set(mask)).toEqual(new Set([0, Math.fround(1 / 0.9)]));
  });
  it('differ by step, micro-batch and layer', () => {
    const of = (change: Partial<typeof key>): string => dropoutMask(8, 8, { ...key, ...change, rate: 0.5 }).join();
    const all = [of({}), of({ step: 3 }), of({ micro: 1 }), of({ layerStream: 4 }), of({ seed: 2 })];
    expect(new Set(all).size).toBe(5);
  });
});
