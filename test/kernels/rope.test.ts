// rope.test.ts: the rotary position embedding against its float64 reference on this machine's device, its inverse, its
// tables, and Llama 3's frequency correction.
import { describe, expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { rope, ropeFrequencies, ropeTables } from '../../src/kernels/rope';
import { ropeCases } from '../../src/selfcheck/cases/rope';
import { normals } from '../../src/selfcheck/cases/samples';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(ropeCases);

describe('rope invariants', () => {
  it('the inverse after the rotation gives the input back at (N,H,K)=(17,3,10)', async () => {
    const gpu = await testGpu();
    const arena = gpu.arena('rope test');
    try {
      const [N, heads, headSize] = [17, 3, 10];
      const start = Float32Array.from(normals('rope', N * heads * headSize));
      const tables = ropeTables(N, headSize, { theta: 10_000 });
      const rows = new Rows(gpu, arena, 'test', N);
      rows.set(N);
      const x = arena.upload('x', [N, heads * headSize], 'f32', start);
      const positions = arena.upload(
        'positions',
        [N],
        'u32',
        Uint32Array.from({ length: N }, (_, n) => n),
      );
      const cos = arena.upload('cos', [N, headSize / 2], 'f32', tables.cos);
      const sin = arena.upload('sin', [N, headSize / 2], 'f32', tables.sin);
      const forward = rope(gpu, { x, positions, cos, sin }, { rows, heads, headSize });
      const inverse = rope(gpu, { x, positions, cos, sin }, { rows, heads, headSize, inverse: true });
      await gpu.settled();
      new Recorder(gpu, 'rope').add(...forward).submit();
      const rotated = await gpu.readF32(x);
      new Recorder(gpu, 'rope').add(...inverse).submit();
      const back = await gpu.readF32(x);
      const worst = (a: Float32Array): number => Math.max(...a.map((value, i) => Math.abs(value - start[i]!)));
      expect(worst(back)).toBeLessThan(2e-6);
      expect(worst(rotated)).toBeGreaterThan(0.1);
    } finally {
      arena.destroy();
    }
  });

  it('tables hold cos and sin of position · theta^(−2i/K) to f32 rounding, also at position 4095', () => {
    const { cos, sin } = ropeTables(4096, 64, { theta: 500_000 });
    for (const [position, i] of [
      [0, 0],
      [4095, 0],
      [4095, 31],
      [123, 7],
    ] as const) {
      const angle = position * 500_000 ** (-(2 * i) / 64);
      expect(cos[position * 32 + i]).toBe(Math.fround(Math.cos(angle)));
      expect(sin[position * 32 + i]).toBe(Math.fround(Math.sin(angle)));
    }
  });

  it('an odd head size is refused', () => {
    expect(() => ropeTables(4, 5, { theta: 10_000 })).toThrow(/head size must be even, got 5/);
  });

  it('linear scaling divides every position by the factor', () => {
    const scaled = ropeFrequencies(16, { theta: 10_000, scaling: { kind: 'linear', factor: 4 } });
    ropeFrequencies(16, { theta: 10_000 }).forEach((frequency, i) => expect(scaled[i]).toBe(frequency / 4));
  });

  it("Llama 3's correction keeps short wavelengths, divides long ones, and blends between", () => {
    const correction = { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 };
    const scaling = { kind: 'llama3', ...correction } as const;
    const plain = ropeFrequencies(64, { theta: 500_000 });
    const scaled = ropeFrequencies(64, { theta: 500_000, scaling });
    let blended = 0;
    plain.forEach((frequency, i) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < 8192 / 4) expect(scaled[i]).toBe(frequency);
      else if (wavelength > 8192) expect(scaled[i]).toBe(frequency / 32);
      else {
        blended++;
        expect(scaled[i]).toBeGreaterThan(frequency / 32);
        expect(scaled[i]).toBeLessThan(frequency);
      }
    });
    expect(blended).toBeGreaterThan(0);
  });
});
