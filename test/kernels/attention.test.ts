// attention.test.ts: the attention kernels against their float64 reference on this machine's device, and what must hold
// whatever the numbers: no look into the future, packed = alone, decoding over a cache = the full forward.
import { afterEach, describe, expect, it } from 'vitest';
import { Recorder, type Command } from '../../src/gpu/commands';
import type { Gpu } from '../../src/gpu/device';
import { Rows } from '../../src/gpu/rows';
import type { Arena, Tensor } from '../../src/gpu/tensor';
import { attentionDecode, attentionForward, kvCacheWrite } from '../../src/kernels/attention';
import type { AttentionTiling } from '../../src/kernels/attentionTiling';
import { attentionCases } from '../../src/selfcheck/cases/attention';
import { normals, packedSequences } from '../../src/selfcheck/cases/samples';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(attentionCases);

const open: Arena[] = [];
afterEach(() => {
  for (const arena of open.splice(0)) arena.destroy();
});

function openArena(gpu: Gpu): Arena {
  const arena = gpu.arena('attention test');
  open.push(arena);
  return arena;
}

function f32(arena: Arena, label: string, shape: number[], data: Float64Array): Tensor {
  return arena.upload(label, shape, 'f32', Float32Array.from(data));
}

async function submit(gpu: Gpu, commands: Command[]): Promise<void> {
  await gpu.settled();
  new Recorder(gpu, 'attention test').add(...commands).submit();
}

interface Sizes {
  heads: number;
  kvHeads: number;
  headSize: number;
  window?: number;
}

interface Qkv {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
}

function randomQkv(name: string, N: number, { heads, kvHeads, headSize }: Sizes): Qkv {
  return {
    q: normals(`${name} q`, N * heads * headSize),
    k: normals(`${name} k`, N * kvHeads * headSize),
    v: normals(`${name} v`, N * kvHeads * headSize),
  };
}

async function forward(
  gpu: Gpu,
  { q, k, v }: Qkv,
  lengths: number[],
  sizes: Sizes,
  tiling?: AttentionTiling | 'none',
): Promise<Float32Array> {
  const { heads, kvHeads, headSize } = sizes;
  const arena = openArena(gpu);
  const start = packedSequences(lengths).start;
  const N = start.length;
  const rows = new Rows(gpu, arena, 'test', N);
  rows.set(N);
  const y = arena.tensor('y', [N, heads * headSize]);
  await submit(
    gpu,
    attentionForward(
      gpu,
      {
        q: f32(arena, 'q', [N, heads * headSize], q),
        k: f32(arena, 'k', [N, kvHeads * headSize], k),
        v: f32(arena, 'v', [N, kvHeads * headSize], v),
        sequenceStart: arena.upload('start', [N], 'u32', Uint32Array.from(start)),
        y,
        logsumexp: arena.tensor('logsumexp', [N, heads]),
      },
      { rows, ...sizes, ...(tiling === undefined ? {} : { tiling }) },
    ),
  );
  return gpu.readF32(y);
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

const SIZES: [string, Sizes, AttentionTiling | 'none' | undefined][] = [
  ['tiled', { heads: 4, kvHeads: 2, headSize: 8 }, undefined],
  ['any head size', { heads: 4, kvHeads: 2, headSize: 7 }, undefined],
  ['tiled, window 5', { heads: 4, kvHeads: 2, headSize: 8, window: 5 }, undefined],
];

describe('attention invariants', () => {
  for (const [algorithm, sizes, tiling] of SIZES) {
    it(`changing a later token leaves earlier outputs bit-equal at T=70, K=${sizes.headSize} (${algorithm})`, async () => {
      const gpu = await testGpu();
      const T = 70;
      const changed = 41;
      const before = randomQkv('future', T, sizes);
      const after = { q: before.q.slice(), k: before.k.slice(), v: before.v.slice() };
      const width = sizes.kvHeads * sizes.headSize;
      after.k.fill(9, changed * width, (changed + 1) * width);
      after.v.fill(-5, changed * width, (changed + 1) * width);
      const a = await forward(gpu, before, [T], sizes, tiling);
      const b = await forward(gpu, after, [T], sizes, tiling);
      const edge = changed * sizes.heads * sizes.headSize;
      expect(Array.from(b.subarray(0, edge))).toEqual(Array.from(a.subarray(0, edge)));
      expect(largestDifference(b.subarray(edge), a.subarray(edge))).toBeGreaterThan(0.1);
    });

    it(`packed sequences equal the sequences alone bit for bit at lengths 5+60+20+1+70, K=${sizes.headSize} (${algorithm})`, async () => {
      const gpu = await testGpu();
      // Tiles of 64 keys counted from token 5 would cut the third sequence at token 69.
      const lengths = [5, 60, 20, 1, 70];
      const all = randomQkv('packed', 156, sizes);
      const packed = await forward(gpu, all, lengths, sizes, tiling);
      const qWidth = sizes.heads * sizes.headSize;
      const kWidth = sizes.kvHeads * sizes.headSize;
      let first = 0;
      for (const length of lengths) {
        const end = first + length;
        const alone = await forward(
          gpu,
          {
            q: all.q.slice(first * qWidth, end * qWidth),
            k: all.k.slice(first * kWidth, end * kWidth),
            v: all.v.slice(first * kWidth, end * kWidth),
          },
          [length],
          sizes,
          tiling,
        );
        expect(Array.from(packed.subarray(first * qWidth, end * qWidth))).toEqual(Array.from(alone));
        first = end;
      }
    });

    it(`decoding token by token over the cache equals the full forward at T=9, B=2, K=${sizes.headSize} (${algorithm})`, async () => {
      const gpu = await testGpu();
      const { heads, kvHeads, headSize } = sizes;
      const T = 9;
      const B = 2;
      const P = 11; // cache rows a sequence
      const all = randomQkv('decode', B * T, sizes);
      const whole = await forward(gpu, all, [T, T], sizes, tiling);
      const arena = openArena(gpu);
      const rows = new Rows(gpu, arena, 'decode', B);
      rows.set(B);
      const qWidth = heads * headSize;
      const kWidth = kvHeads * headSize;
      const q = arena.tensor('q', [B, qWidth]);
      const k = arena.tensor('k', [B, kWidth]);
      const v = arena.tensor('v', [B, kWidth]);
      const y = arena.tensor('y', [B, qWidth]);
      const slots = arena.tensor('slots', [B], 'u32');
      const lengths = arena.tensor('lengths', [B], 'u32');
      const cacheStarts = arena.upload('starts', [B], 'u32', Uint32Array.from([P, 0])); // rows need not lie in order
      const keyCache = arena.tensor('keyCache', [B * P, kWidth]);
      const valueCache = arena.tensor('valueCache', [B * P, kWidth]);
      const commands = [
        ...kvCacheWrite(gpu, { k, v, slots, keyCache, valueCache }, { rows, width: kWidth }),
        ...attentionDecode(
          gpu,
          { q, keyCache, valueCache, lengths, cacheStarts, y },
          { rows, ...sizes, cacheCapacity: P },
        ),
      ];
      const pick = (data: Float64Array, width: number, t: number): Float32Array =>
        Float32Array.from([0, 1].flatMap((b) => Array.from(data.slice((b * T + t) * width, (b * T + t + 1) * width))));
      for (let t = 0; t < T; t++) {
        gpu.write(q, pick(all.q, qWidth, t));
        gpu.write(k, pick(all.k, kWidth, t));
        gpu.write(v, pick(all.v, kWidth, t));
        gpu.write(slots, Uint32Array.from([P + t, t]));
        gpu.write(lengths, Uint32Array.from([t + 1, t + 1]));
        await submit(gpu, commands);
        const expected = pick(Float64Array.from(whole), qWidth, t);
        expect(largestDifference(await gpu.readF32(y), expected)).toBeLessThan(2e-6);
      }
    });
  }

  it('tiled and untiled kernels agree at lengths 30+50, K=8, also where a tile is wider than the sequence', async () => {
    const gpu = await testGpu();
    const sizes = { heads: 2, kvHeads: 1, headSize: 8 };
    const all = randomQkv('tilings', 80, sizes);
    const plain = await forward(gpu, all, [30, 50], sizes, 'none');
    for (const tiling of [
      { lanes: 4, groups: 2, tile: 16 },
      { lanes: 32, groups: 4, tile: 64 },
    ]) {
      const tiled = await forward(gpu, all, [30, 50], sizes, tiling);
      expect(largestDifference(tiled, plain)).toBeLessThan(2e-6);
    }
  });

  it.each([
    [{ window: 0 }, /attentionForward: window must be a whole number of keys, at least 1, got 0/],
    [{ window: 2.5 }, /window must be .*, got 2.5/],
    [{ softcap: -50 }, /attentionForward: softcap must be a number above 0, got -50/],
    [{ scale: NaN }, /attentionForward: scale must be a number above 0, got NaN/],
  ])('%o is refused by name', async (rule, message) => {
    const sizes = { heads: 2, kvHeads: 1, headSize: 4, ...rule };
    await expect(forward(await testGpu(), randomQkv('rule', 2, sizes), [2], sizes)).rejects.toThrow(message);
  });

  it('heads that do not divide are refused by name', async () => {
    const gpu = await testGpu();
    await expect(
      forward(gpu, randomQkv('odd', 2, { heads: 3, kvHeads: 2, headSize: 4 }), [2], {
        heads: 3,
        kvHeads: 2,
        headSize: 4,
      }),
    ).rejects.toThrow(/attentionForward: heads must be a multiple of kvHeads/);
  });
});
