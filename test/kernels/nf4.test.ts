// nf4.test.ts: the nf4 kernels on this machine's adapter against reference/nf4.ts.
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { Recorder } from '../../src/gpu/commands';
import { makeNf4Weight, nf4Quantize } from '../../src/kernels/quantize';
import * as reference from '../../src/reference/nf4';
import { nf4Cases } from '../../src/selfcheck/cases/nf4';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(nf4Cases);

describe('the mean of all absmax, to the last bit', () => {
  // Counts on both sides of every turn: below a vector, around whole groups of 32, runs of 16, and 256 runs or more, where
  // a third level begins.
  for (const blocks of [1, 2, 4, 7, 8, 9, 31, 32, 63, 511, 512, 513, 1055, 8191, 8192, 8729]) {
    it(`${blocks} blocks`, async () => {
      const gpu = await testGpu();
      const random = new RandomStream(5, `mean ${blocks}`);
      // One value a block: the largest, at widely different scales.
      const absmax = Float32Array.from({ length: blocks }, () => Math.exp(3 * random.nextNormal()));
      const x = new Float32Array(64 * blocks);
      absmax.forEach((value, b) => (x[64 * b + (b % 64)] = b % 2 === 0 ? value : -value));
      const arena = gpu.arena('mean');
      try {
        const weight = makeNf4Weight(arena, 'w', [blocks, 64], { double: true });
        const tensor = arena.upload('x', [blocks, 64], 'f32', x);
        const commands = nf4Quantize(gpu, { x: tensor }, { weight, arena });
        await gpu.settled();
        new Recorder(gpu, 'quantise').add(...commands).submit();
        const wanted = reference.nf4QuantizeAbsmax(absmax);
        const nested = await gpu.readF32(weight.nested!);
        expect(nested[256]).toBe(wanted.offset);
        expect(Array.from(nested.subarray(257))).toEqual(Array.from(wanted.nestedAbsmax));
        const codes = new Uint8Array(await gpu.read(weight.absmax)).subarray(0, blocks);
        expect(Array.from(codes)).toEqual(Array.from(wanted.codes));
      } finally {
        arena.destroy();
      }
    });
  }

  it('the order matters: adding one after the other gives another mean', () => {
    const random = new RandomStream(5, 'order');
    const absmax = Float32Array.from({ length: 8729 }, () => Math.exp(3 * random.nextNormal()));
    const plain = absmax.reduce((sum, value) => Math.fround(sum + value), 0);
    expect(reference.torchSum(absmax)).not.toBe(plain);
    const exact = absmax.reduce((sum, value) => sum + value, 0);
    expect(Math.abs(reference.torchSum(absmax) / exact - 1)).toBeLessThan(2 ** -21);
  });
});
