// throughNf4.ts: the values that a weight has for a student whose base is quantised: to NF4 and back, by the chunks and kernels
// that load it. Outside the GPU only a few rows of it are held at a time. It reads and writes no files.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { Recorder } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { view } from '../gpu/tensor';
import { makeNf4Weight, nf4Dequantize } from '../kernels/quantize';
import type { Nf4Weight } from '../kernels/weights';
import { WeightQuantizer } from './weightQuantizer';
import { WeightStream } from './weightStream';

/**
 * @param shape of the whole weight
 * @param blocks its float32 values in order
 * @param look called with the quantised weight before its values are made again
 * @returns the values after quantisation, in blocks of the same sizes
 * @throws PupilError `checkpoint` naming the element that is not finite
 */
export async function* throughNf4(
  gpu: Gpu,
  name: string,
  shape: readonly [number, number], // (O, C)
  blocks: AsyncIterable<Float32Array>,
  double: boolean,
  look?: (weight: Nf4Weight) => Promise<void>,
): AsyncGenerator<Float32Array> {
  const elements = elementCount(shape);
  const arena = gpu.arena('through NF4');
  const stream = new WeightStream(gpu, { largestElements: elements });
  const quantizer = new WeightQuantizer(gpu, stream, elements);
  try {
    const weight = makeNf4Weight(arena, name, shape, { double });
    const chunk = new Float32Array(stream.capacity / 4);
    const refused = (element: number): Promise<PupilError> =>
      Promise.resolve(new PupilError('checkpoint', `${name}: element ${element}: expected a finite number`));
    const counts: number[] = [];
    let first = 0;
    let held = 0;
    const send = async (): Promise<void> => {
      if (held === 0) return;
      await quantizer.push(weight, 'f32', first, new Uint8Array(chunk.buffer, 0, 4 * held), refused);
      first += held;
      held = 0;
    };
    for await (const block of blocks) {
      counts.push(block.length);
      for (let at = 0; at < block.length;) {
        const part = block.subarray(at, at + chunk.length - held);
        chunk.set(part, held);
        held += part.length;
        at += part.length;
        if (held === chunk.length) await send();
      }
    }
    await send();
    await quantizer.finish(weight);
    await stream.finish();
    await look?.(weight);
    const y = arena.tensor(`${name} values`, shape);
    const commands = nf4Dequantize(gpu, { y }, { weight });
    await gpu.settled();
    new Recorder(gpu, `dequantise ${name}`).add(...commands).submit();
    let at = 0;
    for (const count of counts) {
      yield await gpu.readF32(view(y, at, [count]));
      at += count;
    }
  } finally {
    quantizer.destroy();
    stream.destroy();
    arena.destroy();
  }
}
