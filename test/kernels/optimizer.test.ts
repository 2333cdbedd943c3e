// optimizer.test.ts: clipping, AdamW and RMSprop on this device against float64, windows, and many steps of the Optimizer.
import { expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { Recorder } from '../../src/gpu/commands';
import type { Gpu } from '../../src/gpu/device';
import { elementWindows } from '../../src/kernels/optimizer';
import { Optimizer, OPTIMIZER_DEFAULTS, type OptimizerKind } from '../../src/optim/optimizer';
import * as reference from '../../src/reference/optimizer';
import { optimizerCases } from '../../src/selfcheck/cases/optimizer';
import { freshGpu, testGpu } from './device';
import { testFamily } from './family';

testFamily(optimizerCases);

const E = 517;
const DECAY = 300;
const SETTINGS = { learningRate: 1e-2, weightDecay: 0.01, maxNorm: 0.3 };

function gradientAt(step: number): Float32Array {
  const random = new RandomStream(step, 'optimizer test');
  return Float32Array.from({ length: E }, () => 0.05 * random.nextNormal());
}

/** Runs the Optimizer for some steps; returns its parameters, moments and norms. */
async function train(gpu: Gpu, kind: OptimizerKind, steps: number, poison?: number) {
  const arena = gpu.arena('test');
  const parameter = arena.upload('parameter', [E], 'f32', gradientAt(0));
  const gradient = arena.tensor('gradient', [E]);
  const optimizer = new Optimizer(gpu, arena, { parameter, gradient, kind, decayElements: DECAY });
  await gpu.settled();
  const created = gpu.account.buffersCreated;
  for (let step = 1; step <= steps; step++) {
    const g = gradientAt(step);
    if (step === poison) g[E - 1] = NaN;
    gpu.write(gradient, g);
    optimizer.setStep({ ...SETTINGS, ...OPTIMIZER_DEFAULTS[kind], step });
    new Recorder(gpu, 'step').add(...optimizer.commands).submit();
  }
  expect(gpu.account.buffersCreated).toBe(created); // a step allocates nothing
  const { m, v } = optimizer.state();
  const result = {
    parameter: await gpu.readF32(parameter),
    m: m === undefined ? undefined : await gpu.readF32(m),
    v: await gpu.readF32(v),
    clip: await gpu.readF32(optimizer.clipState),
    dispatches: optimizer.commands.length,
  };
  arena.destroy();
  return result;
}

for (const kind of ['adamw', 'rmsprop'] as const) {
  it(`ten clipped ${kind} steps stay with f64 to 1e-5 and repeat bit for bit`, async () => {
    const gpu = await testGpu();
    const state = {
      parameter: Float64Array.from(gradientAt(0)),
      m: new Float64Array(E),
      v: new Float64Array(E),
    };
    let scale = 1;
    for (let step = 1; step <= 10; step++) {
      const g = gradientAt(step);
      ({ scale } = reference.clipGradient(g, Math.fround(SETTINGS.maxNorm)));
      reference[kind](state, g, scale, { ...SETTINGS, ...OPTIMIZER_DEFAULTS[kind], step }, DECAY);
    }
    expect(scale).toBeLessThan(1);
    const first = await train(gpu, kind, 10);
    for (let i = 0; i < E; i++) expect(Math.abs(first.parameter[i]! - state.parameter[i]!)).toBeLessThan(1e-5);
    expect(await train(gpu, kind, 10)).toEqual(first);
  });

  it(`${kind} in windows equals ${kind} in one piece`, async () => {
    // No device binds less than 128 MiB, so the engine's own account of the limit is lowered: windows of 64 elements.
    const gpu = await freshGpu();
    const whole = await train(gpu, kind, 1);
    gpu.limits.maxStorageBufferBindingSize = 300;
    expect(elementWindows(gpu, E).length).toBe(9);
    const cut = await train(gpu, kind, 1);
    gpu.destroy();
    expect(cut.dispatches).toBe(9 + 1 + 9);
    expect(cut.clip[0]).toBeCloseTo(whole.clip[0]!, 6);
    // The norm is summed in another order: the scale may differ in its last bit, the update by as much.
    for (let i = 0; i < E; i++) expect(Math.abs(cut.parameter[i]! - whole.parameter[i]!)).toBeLessThan(1e-7);
    expect(cut.parameter[E - 1]).not.toBe(gradientAt(0)[E - 1]);
  });
}

it('a step with one NaN gradient changes neither parameters nor moments and says so', async () => {
  const gpu = await testGpu();
  const before = await train(gpu, 'adamw', 2);
  const after = await train(gpu, 'adamw', 3, 3);
  expect(after.parameter).toEqual(before.parameter);
  expect(after.m).toEqual(before.m);
  expect(after.v).toEqual(before.v);
  expect(Array.from(after.clip)).toEqual([Infinity, 0, 1, 0]);
});

it('more than 65,535 workgroups: every element of 1,100,003 is updated', async () => {
  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const count = 1_100_003;
  const parameter = arena.tensor('parameter', [count]);
  const gradient = arena.upload('gradient', [count], 'f32', new Float32Array(count).fill(1));
  const optimizer = new Optimizer(gpu, arena, { parameter, gradient, kind: 'adamw', decayElements: 0 });
  await gpu.settled();
  optimizer.setStep({ ...OPTIMIZER_DEFAULTS.adamw, learningRate: 0.5, weightDecay: 0, maxNorm: 0, step: 1 });
  new Recorder(gpu, 'step').add(...optimizer.commands).submit();
  const values = await gpu.readF32(parameter);
  expect((await gpu.readF32(optimizer.clipState))[0]).toBeCloseTo(Math.sqrt(count), 1);
  expect(values.every((v) => Math.abs(v + 0.5) < 1e-6)).toBe(true);
  arena.destroy();
});
