// throughNf4.ts: the values that a weight has for a student whose base is quantised: to NF4 and back, by the kernels that
// load it. The weight is on the GPU; here only a few rows of it are held at a time. It reads and writes no files.
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/commands';
import { view } from '../gpu/tensor';
import { makeNf4Weight, nf4Dequantize, nf4Quantize } from '../kernels/quantize';

/**
 * @param shape of the whole weight
 * @param blocks its float32 values in order
 * @returns the values after quantisation, in blocks of the same sizes
 */
export async function* throughNf4(
  gpu: Gpu,
  name: string,
  shape: readonly [number, number], // (O, C)
  blocks: AsyncIterable<Float32Array>,
  double: boolean,
): AsyncGenerator<Float32Array> {
  const arena = gpu.arena('through NF4');
  try {
    const values = arena.tensor(name, shape);
    const counts: number[] = [];
    let at = 0;
    for await (const block of blocks) {
      gpu.write(view(values, at, [block.length]), block);
      await gpu.idle(); // else the queue holds copies of all blocks
      counts.push(block.length);
      at += block.length;
    }
    const weight = makeNf4Weight(arena, name, shape, { double });
    const commands = [
      ...nf4Quantize(gpu, { x: values }, { weight, arena }),
      ...nf4Dequantize(gpu, { y: values }, { weight }),
    ];
    await gpu.settled();
    new Recorder(gpu, `through NF4: ${name}`).add(...commands).submit();
    at = 0;
    for (const count of counts) {
      yield await gpu.readF32(view(values, at, [count]));
      at += count;
    }
  } finally {
    arena.destroy();
  }
}
