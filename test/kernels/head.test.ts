// head.test.ts: the output head on this device against float64, and what the case table cannot say about it.
import { expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { headBackward, headForward, headScratchRows, vocabularyChunks } from '../../src/kernels/head';
import type { DenseWeight } from '../../src/kernels/weights';
import { headCases } from '../../src/selfcheck/cases/head';
import { freshGpu, testGpu } from './device';
import { testFamily } from './family';

testFamily(headCases);

it('a head larger than a binding is cut into aligned chunks that cover the vocabulary once', async () => {
  const gpu = await freshGpu();
  gpu.limits.maxStorageBufferBindingSize = 1 << 20; // devices never offer less than 128 MiB: the engine's own account is lowered
  try {
    const arena = gpu.arena('test');
    const weight: DenseWeight = { kind: 'f32', shape: [9001, 36], data: arena.tensor('w', [9001, 36]) };
    const chunks = vocabularyChunks(gpu, weight);
    expect(chunks.length).toBe(2);
    let next = 0;
    for (const chunk of chunks) {
      expect(chunk.start).toBe(next);
      expect(chunk.data.offset % 256).toBe(0);
      expect(chunk.data.sizeBytes).toBeLessThanOrEqual(1 << 20);
      next += chunk.shape[0];
    }
    expect(next).toBe(9001);
    const Vc = headScratchRows(gpu, weight, 100);
    expect(100 * Vc * 4).toBeLessThanOrEqual(1 << 20);
    expect(Vc % 16).toBe(0);
    expect(() => headScratchRows(gpu, weight, 100_000)).toThrow(/smaller batch|exceed/);
    expect(() => vocabularyChunks(gpu, weight, { maxChunkRows: 15 })).toThrow(/multiples of 16/);
  } finally {
    gpu.destroy();
  }
});

it('a target outside the vocabulary gives NaN, not a silent number', async () => {
  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const rows = new Rows(gpu, arena, 'targets', 2);
  rows.set(2);
  const weight: DenseWeight = {
    kind: 'f32',
    shape: [100, 4],
    data: arena.upload('w', [100, 4], 'f32', new Float32Array(400).fill(0.1)),
  };
  const tokenLogps = arena.tensor('tokenLogps', [2]);
  const commands = headForward(
    gpu,
    {
      x: arena.upload('x', [2, 4], 'f32', new Float32Array(8).fill(1)),
      targets: arena.upload('targets', [2], 'u32', Uint32Array.of(100, 99)),
      logits: arena.tensor('logits', [2, 48]),
      logsumexp: arena.tensor('logsumexp', [2]),
      targetLogit: arena.tensor('targetLogit', [2]),
      tokenLogps,
    },
    { rows, weight },
  );
  await gpu.settled();
  new Recorder(gpu, 'test').add(...commands).submit();
  const [outside, inside] = await gpu.readF32(tokenLogps);
  expect(outside).toBeNaN();
  expect(inside).toBeCloseTo(-Math.log(100), 5);
  arena.destroy();
});

it('reuseLogits gives the bits of the recomputation when the vocabulary is one chunk', async () => {
  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const [M, C, V] = [5, 8, 33];
  const rows = new Rows(gpu, arena, 'targets', M);
  rows.set(M);
  const wave = (n: number, f: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(f * i));
  const weight: DenseWeight = { kind: 'f32', shape: [V, C], data: arena.upload('w', [V, C], 'f32', wave(V * C, 0.7)) };
  const shared = {
    x: arena.upload('x', [M, C], 'f32', wave(M * C, 1.3)),
    targets: arena.upload('targets', [M], 'u32', Uint32Array.of(0, 32, 7, 7, 1)),
    logits: arena.tensor('logits', [M, V]),
    logsumexp: arena.tensor('logsumexp', [M]),
  };
  const forward = headForward(
    gpu,
    { ...shared, targetLogit: arena.tensor('a', [M]), tokenLogps: arena.tensor('b', [M]) },
    { rows, weight },
  );
  const rowWeights = arena.upload('rowWeights', [M], 'f32', wave(M, 2));
  const results: Float32Array[] = [];
  for (const reuseLogits of [false, true]) {
    const dX = arena.tensor('dX', [M, C]);
    const backward = headBackward(gpu, { ...shared, rowWeights, dX }, { rows, weight, reuseLogits });
    expect(backward.length).toBeLessThanOrEqual(reuseLogits ? 2 : 3);
    await gpu.settled();
    new Recorder(gpu, 'test').add(...forward, ...backward).submit();
    results.push(await gpu.readF32(dX));
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[0]!.some((v) => v !== 0)).toBe(true);
  arena.destroy();
});
