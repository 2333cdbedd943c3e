// nf4.ts: products with an NF4 weight, dequantised inside the tile, against the naive way (dequantise into a buffer, then
// multiply by the dense kernel). No peer offers NF4, so both are Pupil's.
import { Recorder } from '../src/gpu/commands';
import type { Gpu } from '../src/gpu/device';
import { Rows } from '../src/gpu/rows';
import { view } from '../src/gpu/tensor';
import { linearBackwardInput, linearForward } from '../src/kernels/linear';
import { makeNf4Weight, nf4Dequantize, nf4Quantize } from '../src/kernels/quantize';
import type { DenseWeight } from '../src/kernels/weights';
import { normals } from './matmul';
import { inTurns, maxDifference, ratioOf } from './measure';
import type { Nf4Result } from './results';

/** N, C, O. */
export const NF4_SHAPES: readonly (readonly [number, number, number])[] = [
  [512, 128, 384],
  [128, 1024, 1024],
];

/** Forward and backward of each shape. */
export async function benchNf4(
  gpu: Gpu,
  options: { rounds: number; shapes?: readonly (readonly [number, number, number])[]; log: (line: string) => void },
): Promise<Nf4Result[]> {
  const results: Nf4Result[] = [];
  for (const shape of options.shapes ?? NF4_SHAPES) {
    options.log(`nf4 ${shape.join('×')}`);
    results.push(...(await benchShape(gpu, shape, options.rounds)));
  }
  return results;
}

async function benchShape(gpu: Gpu, shape: readonly [number, number, number], rounds: number): Promise<Nf4Result[]> {
  const [N, C, O] = shape;
  const arena = gpu.arena('bench nf4');
  try {
    const rows = new Rows(gpu, arena, 'rows', N);
    rows.set(N);
    const weight = makeNf4Weight(arena, 'weight', [O, C], { double: false });
    const values = arena.upload('values', [O, C], 'f32', normals('weight', O * C));
    const quantize = nf4Quantize(gpu, { x: values }, { weight, arena });
    const dequantize = nf4Dequantize(gpu, { y: values }, { weight });
    const dense: DenseWeight = { kind: 'f32', shape: [O, C], data: values };
    const x = arena.upload('x', [N, C], 'f32', normals('x', N * C));
    const dY = arena.upload('dY', [N, O], 'f32', normals('dY', N * O));
    const fused = { y: arena.tensor('y', [N, O]), dX: arena.tensor('dX', [N, C]) };
    const naive = { y: arena.tensor('y naive', [N, O]), dX: arena.tensor('dX naive', [N, C]) };
    const pairs = [
      {
        operation: 'forward' as const,
        out: [fused.y, naive.y] as const,
        fused: linearForward(gpu, { x, y: fused.y }, { rows, weight }),
        naive: [...dequantize, ...linearForward(gpu, { x, y: naive.y }, { rows, weight: dense })],
      },
      {
        operation: 'backward' as const,
        out: [fused.dX, naive.dX] as const,
        fused: linearBackwardInput(gpu, { dY, dX: fused.dX }, { rows, weight }),
        naive: [...dequantize, ...linearBackwardInput(gpu, { dY, dX: naive.dX }, { rows, weight: dense })],
      },
    ];
    await gpu.settled();
    new Recorder(gpu, 'quantise').add(...quantize).submit();
    const results: Nf4Result[] = [];
    for (const { operation, out, fused: fusedCommands, naive: naiveCommands } of pairs) {
      const contenders = ([fusedCommands, naiveCommands] as const).map((commands, i) => ({
        name: i === 0 ? 'fused' : 'naive',
        run: async () => {
          new Recorder(gpu, 'nf4').add(...commands).submit();
          await gpu.readF32(view(out[i]!, 0, [1]));
        },
      }));
      const [fast, slow] = await inTurns(contenders, { repeats: rounds });
      results.push({
        operation,
        shape,
        fusedMs: fast!.medianMs,
        naiveMs: slow!.medianMs,
        fusedGflops: (2 * N * C * O) / 1e6 / fast!.medianMs,
        ratio: ratioOf(slow!, fast!),
        difference: maxDifference(await gpu.readF32(out[0]), await gpu.readF32(out[1])),
      });
    }
    return results;
  } finally {
    arena.destroy();
  }
}
