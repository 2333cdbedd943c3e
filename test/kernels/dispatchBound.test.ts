// dispatchBound.test.ts: long dispatches are cut to what an adapter was measured to do in a quarter of a second, and where they
// are cut changes no bit. Speed itself is made up here: this machine's proves nothing.
import { afterEach, describe, expect, it } from 'vitest';
import { Recorder, type Command } from '../../src/gpu/commands';
import type { Gpu } from '../../src/gpu/device';
import { Rows } from '../../src/gpu/rows';
import { attentionForward } from '../../src/kernels/attention';
import { DISPATCH_MS, measuredBound, setDispatchBound, standingBound } from '../../src/kernels/dispatchBound';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../../src/kernels/linear';
import { testGpu } from './device';

const adapter = (software: boolean): Pick<Gpu, 'adapter'> => ({ adapter: { software } as Gpu['adapter'] });

describe('the bound of an adapter', () => {
  it('is what it does in a quarter of a second, a power of two', () => {
    expect(measuredBound(adapter(false), 1e8)).toBe(2 ** 34); // 200 GFLOP/s: 2.5e10
    expect(measuredBound(adapter(false), 2.2e8)).toBe(2 ** 35);
    expect((2 ** 34 / 1e8) * 1.0).toBeLessThanOrEqual(DISPATCH_MS);
  });

  it('never exceeds what stands without a measurement, nor falls to nothing', () => {
    expect(measuredBound(adapter(false), 5e9)).toBe(standingBound(adapter(false)));
    expect(measuredBound(adapter(true), 1e9)).toBe(2 ** 31);
    expect(measuredBound(adapter(false), 1)).toBe(2 ** 26);
  });
});

const N = 320;
const C = 64;

/** The number of dispatches of some commands, and what they leave in a tensor. */
async function played(
  gpu: Gpu,
  prepare: (tensor: (name: string, seed?: number) => ReturnType<typeof make>) => Command[],
) {
  const arena = gpu.arena('bound');
  const tensors = new Map<string, ReturnType<typeof make>>();
  const tensor = (name: string, seed?: number) => {
    const made = make(gpu, arena, name, seed);
    tensors.set(name, made);
    return made;
  };
  try {
    const commands = prepare(tensor);
    await gpu.settled();
    const recorder = new Recorder(gpu, 'bound').add(...commands);
    recorder.submit();
    return { dispatches: recorder.dispatches, out: Array.from(await gpu.readU32(tensors.get('out')!)) };
  } finally {
    arena.destroy();
  }
}

/** (N, C) f32, filled where a seed is given; `weight` is (C, C). */
function make(gpu: Gpu, arena: ReturnType<Gpu['arena']>, name: string, seed?: number) {
  const tensor = arena.tensor(name, [name === 'weight' || name === 'dW' ? C : N, C]);
  const values = Float32Array.from({ length: tensor.shape[0]! * C }, (_, i) =>
    seed === undefined ? 0 : Math.sin(seed + i),
  );
  gpu.write(tensor, values);
  return tensor;
}

const rowsOf = (gpu: Gpu): Rows => {
  const rows = new Rows(gpu, gpu.arena('rows'), 'bound', N);
  rows.set(N - 3);
  return rows;
};

describe('a device with a small bound', () => {
  afterEach(async () => setDispatchBound(await testGpu(), undefined));

  it.each([
    [
      'linear forward',
      (gpu: Gpu, rows: Rows, tensor: (name: string, seed?: number) => ReturnType<typeof make>) => {
        const data = tensor('weight', 2);
        const weight = { kind: 'f32', shape: [C, C], data } as const;
        return linearForward(gpu, { x: tensor('x', 1), y: tensor('out') }, { rows, weight });
      },
    ],
    [
      'linear backward of the input',
      (gpu: Gpu, rows: Rows, tensor: (name: string, seed?: number) => ReturnType<typeof make>) => {
        const data = tensor('weight', 2);
        const weight = { kind: 'f32', shape: [C, C], data } as const;
        return linearBackwardInput(gpu, { dY: tensor('dY', 1), dX: tensor('out') }, { rows, weight });
      },
    ],
    [
      'attention',
      (gpu: Gpu, rows: Rows, tensor: (name: string, seed?: number) => ReturnType<typeof make>) => {
        const arena = gpu.arena('attention');
        const sequenceStart = arena.tensor('start', [N], 'u32');
        gpu.write(sequenceStart, new Uint32Array(N));
        const tensors = { q: tensor('q', 1), k: tensor('k', 2), v: tensor('v', 3), y: tensor('out') };
        const logsumexp = arena.tensor('logsumexp', [N, 2]);
        return attentionForward(
          gpu,
          { ...tensors, sequenceStart, logsumexp },
          { rows, heads: 2, kvHeads: 2, headSize: 32 },
        );
      },
    ],
  ])('takes more dispatches and gives the same bits: %s', async (_, prepare) => {
    const gpu = await testGpu();
    const whole = await played(gpu, (tensor) => prepare(gpu, rowsOf(gpu), tensor));
    setDispatchBound(gpu, 64 * C * C);
    const cut = await played(gpu, (tensor) => prepare(gpu, rowsOf(gpu), tensor));
    expect(whole.dispatches).toBe(1);
    expect(cut.dispatches).toBeGreaterThanOrEqual(3);
    expect(cut.out.some((word) => word !== 0)).toBe(true);
    expect(cut.out).toEqual(whole.out);
  });

  it('does not cut the gradient of a weight: its slices would be parts of one sum', async () => {
    const gpu = await testGpu();
    setDispatchBound(gpu, 1);
    const { dispatches } = await played(gpu, (tensor) => {
      const rows = rowsOf(gpu);
      return linearBackwardWeight(gpu, { x: tensor('x', 1), dY: tensor('out', 2), dW: tensor('dW') }, { rows });
    });
    expect(dispatches).toBe(1);
  });
});
