// linear.test.ts: the linear kernels on this machine's adapter against reference/linear.ts, and that a row's bits do not
// depend on the batch around it.
import { expect, it } from 'vitest';
import { Recorder } from '../../src/gpu/commands';
import type { Gpu } from '../../src/gpu/device';
import { Rows } from '../../src/gpu/rows';
import { linearBackwardInput, linearForward } from '../../src/kernels/linear';
import { variantUnsupported, withVariant } from '../../src/kernels/linearChoice';
import { caseNumbers, caseWeight, linearCases, type WeightForm } from '../../src/selfcheck/cases/linear';
import { testFamily } from './family';
import { testGpu } from './device';

// Kernels that lavapipe would not choose: every one of them with NF4 keeps its compiler busy for seconds.
testFamily(linearCases, ({ kernel, name }) =>
  process.env['PUPIL_NODE_ADAPTER'] === 'lavapipe' && /nf4/.test(name) && !/subgroup/.test(kernel)
    ? 'slow to compile on lavapipe'
    : undefined,
);

const [C, O] = [48, 40];

/** The first rows of y = x·Wᵀ and of dX = dY·W, computed among `count` rows of a capacity. */
async function firstRows(gpu: Gpu, form: WeightForm, rowsKept: number, count: number, capacity: number) {
  const arena = gpu.arena('batch');
  try {
    const rows = new Rows(gpu, arena, 'rows', capacity);
    rows.set(count);
    const { inputs, weight } = caseWeight(form, O, C, 3);
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, dtype, data }]) => {
        const bytes = dtype === 'u8' ? Uint8Array.from(data) : Float32Array.from(data);
        return [name, arena.upload(name, shape, dtype ?? 'f32', bytes)];
      }),
    );
    const x = arena.upload('x', [capacity, C], 'f32', caseNumbers(capacity * C, 1));
    const dY = arena.upload('dY', [capacity, O], 'f32', caseNumbers(capacity * O, 2));
    const y = arena.tensor('y', [capacity, O]);
    const dX = arena.tensor('dX', [capacity, C]);
    const commands = [
      ...linearForward(gpu, { x, y }, { rows, weight: weight(tensors) }),
      ...linearBackwardInput(gpu, { dY, dX }, { rows, weight: weight(tensors) }),
    ];
    await gpu.settled();
    new Recorder(gpu, 'batch').add(...commands).submit();
    return {
      y: [...(await gpu.readF32(y)).subarray(0, rowsKept * O)],
      dX: [...(await gpu.readF32(dX)).subarray(0, rowsKept * C)],
    };
  } finally {
    arena.destroy();
  }
}

it.each(['register', 'subgroup', 'subgroup_few_rows'] as const)(
  '%s: a row has the same bits alone and among others, in tiles of every height, dense and NF4',
  async (variant) => {
    const gpu = await testGpu();
    if (variantUnsupported(gpu, variant) !== undefined) return; // the cases above say so
    for (const form of ['f32', 'nf4'] as const) {
      const run = (count: number, capacity: number) =>
        withVariant(gpu, variant, () => firstRows(gpu, form, 3, count, capacity)); // prepares before it first waits
      const alone = await run(3, 3);
      expect(alone.y.some((value) => value !== 0)).toBe(true);
      for (const [count, capacity] of [
        [3, 140],
        [139, 140],
        [37, 40],
        [16, 16],
      ] as const) {
        expect(await run(count, capacity), `${form}, ${count} of ${capacity} rows`).toEqual(alone);
      }
    }
  },
);
