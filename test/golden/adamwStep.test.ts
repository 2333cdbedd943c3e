// adamwStep.test.ts: one step of the optimiser on this device against torch's AdamW, from torch's own gradients. The walk
// from weights to gradients is another test's.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import { Optimizer, OPTIMIZER_DEFAULTS } from '../../src/optim/optimizer';
import { testGpu } from '../kernels/device';

const FOLDER = new URL('../fixtures/golden/lora-llama-tiny/', import.meta.url);

/** The F32 tensors of a small safetensors file. */
function tensors(path: string): Map<string, Float32Array> {
  const bytes = readFileSync(new URL(path, FOLDER));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<
    string,
    { dtype?: string; data_offsets: [number, number] }
  >;
  const out = new Map<string, Float32Array>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (dtype !== 'F32') continue;
    const [start, end] = data_offsets.map((offset) => offset + 8 + headerBytes) as [number, number];
    out.set(name, new Float32Array(Uint8Array.from(bytes.subarray(start, end)).buffer));
  }
  return out;
}

it("adamw equals torch's first step on all 28 LoRA tensors, and the global norm is torch's", async () => {
  const before = tensors('adapter_init/adapter_model.safetensors');
  const after = tensors('adapter_after_step1.safetensors');
  const expected = tensors('expected.safetensors');
  const { train } = JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8')) as {
    train: { grad_norms: number[] };
  };
  const names = [...before.keys()];
  expect(names.length).toBe(28);
  const flat = (pick: (name: string) => Float32Array): Float32Array =>
    Float32Array.from(names.flatMap((name) => Array.from(pick(name))));
  const parameters = flat((name) => before.get(name)!);
  const E = parameters.length;

  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const parameter = arena.upload('parameter', [E], 'f32', parameters);
  const gradient = arena.upload(
    'gradient',
    [E],
    'f32',
    flat((name) => expected.get(`grad.${name}`)!),
  );
  const optimizer = new Optimizer(gpu, arena, { parameter, gradient, kind: 'adamw', decayElements: E });
  await gpu.settled();
  optimizer.setStep({ ...OPTIMIZER_DEFAULTS.adamw, learningRate: 1e-2, weightDecay: 1e-4, maxNorm: 0, step: 1 });
  new Recorder(gpu, 'step').add(...optimizer.commands).submit();

  const got = await gpu.readF32(parameter);
  const want = flat((name) => after.get(name)!);
  let worst = 0;
  let moved = 0;
  for (let i = 0; i < E; i++) {
    worst = Math.max(worst, Math.abs(got[i]! - want[i]!));
    moved = Math.max(moved, Math.abs(want[i]! - parameters[i]!));
  }
  expect(moved).toBeGreaterThan(9e-3);
  // torch's own gradient of the training run differs from the stored one in its last bits; where |g| is near ε it shows.
  expect(worst).toBeLessThan(1e-6);
  const clip = await gpu.readF32(optimizer.clipState);
  expect(Math.abs(clip[0]! - train.grad_norms[0]!)).toBeLessThan(2e-6);
  expect(Array.from(clip.subarray(1))).toEqual([1, 0, 0]);
  arena.destroy();
});
