// studentWeights.ts: what one tensor of a checkpoint must be to become a student's weight: of the shape that the config says,
// of floating-point numbers, finite; and a weight's values to NF4 and back. How tensors get to the GPU while a student is
// loaded is weightReads.ts.
import { DTYPE_BYTES } from '../base/dtypes';
import { PupilError } from '../base/errors';
import type { Checkpoint } from '../formats/checkpointIndex';
import { expectFloats } from '../formats/safetensors';
import { decodeF32Into } from '../formats/tensorBytes';
import { Recorder } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Arena } from '../gpu/tensor';
import { makeNf4Weight, nf4Dequantize } from '../kernels/quantize';
import type { Nf4Weight } from '../kernels/weights';
import { WeightQuantizer } from './weightQuantizer';
import { WeightStream } from './weightStream';

/**
 * Refuses a tensor by what its header says, before any of its bytes are read.
 * @throws PupilError `checkpoint` where it is missing, of another shape, or holds no floating-point numbers
 */
export function expectWeight(checkpoint: Checkpoint, name: string, shape: readonly number[]): void {
  const info = checkpoint.info(name);
  if (info.shape.length !== shape.length || info.shape.some((size, i) => size !== shape[i])) {
    throw new PupilError(
      'checkpoint',
      `${checkpoint.name}: "${name}": expected shape [${shape.join(', ')}] from config.json, the file has [${info.shape.join(', ')}]`,
      'config.json and the weights belong to different models.',
    );
  }
  expectFloats(info.file ?? checkpoint.name, name, info.dtype);
}

/** f32 values of a tensor, checked for shape and non-finite values. Held whole: for tensors that are wanted on the CPU. */
export async function readChecked(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  expectWeight(checkpoint, name, shape);
  const values = await checkpoint.readF32(name);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw notFinite(checkpoint, name, i, values[i]!);
  }
  return values;
}

function notFinite(checkpoint: Checkpoint, name: string, element: number, value: number): PupilError {
  return new PupilError(
    'checkpoint',
    `${checkpoint.name}: "${name}": element ${element} is ${value}, expected a finite number`,
    'The file is damaged, or was saved after a diverged training.',
  );
}

/** Why the GPU refused an element: its value is read once more. */
export async function refusal(checkpoint: Checkpoint, name: string, element: number): Promise<PupilError> {
  const { dtype } = checkpoint.info(name);
  const width = DTYPE_BYTES[dtype];
  const value = new Float32Array(1);
  decodeF32Into(value, 0, await checkpoint.readBytes(name, element * width, (element + 1) * width), dtype);
  if (!Number.isFinite(value[0])) return notFinite(checkpoint, name, element, value[0]!);
  return new PupilError(
    'checkpoint',
    `${checkpoint.name}: "${name}": element ${element} is ${value[0]}, expected a number that a half can hold (below 65520)`,
    'Use tier f32: tier f16 stores dense weights as halves.',
  );
}

/** Quantises values on the GPU, through the chunks that a loading student's weights go through. */
async function quantizeValues(
  gpu: Gpu,
  arena: Arena,
  name: string,
  shape: readonly [number, number],
  values: Float32Array,
  double: boolean,
): Promise<Nf4Weight> {
  const weight = makeNf4Weight(arena, name, shape, { double });
  const stream = new WeightStream(gpu, { largestElements: values.length });
  const quantizer = new WeightQuantizer(gpu, stream, values.length);
  try {
    const step = stream.capacity / 4;
    for (let first = 0; first < values.length; first += step) {
      const part = values.subarray(first, first + step);
      await quantizer.push(weight, 'f32', first, new Uint8Array(part.buffer, part.byteOffset, part.byteLength), (i) =>
        Promise.resolve(
          new PupilError('checkpoint', `${name}: element ${i} is ${values[i]}, expected a finite number`),
        ),
      );
    }
    await quantizer.finish(weight);
    await stream.finish();
  } finally {
    quantizer.destroy();
    stream.destroy();
  }
  return weight;
}

/**
 * The values that a weight has for a student whose base is quantised: to NF4 and back, by the same kernels.
 * @throws PupilError `checkpoint` naming the element that is not finite
 */
export async function throughNf4(
  gpu: Gpu,
  name: string,
  shape: readonly [number, number],
  values: Float32Array,
  double: boolean,
): Promise<Float32Array> {
  const arena = gpu.arena('through NF4');
  try {
    const weight = await quantizeValues(gpu, arena, name, shape, values, double);
    const y = arena.tensor(`${name} values`, shape);
    const commands = nf4Dequantize(gpu, { y }, { weight });
    await gpu.settled();
    new Recorder(gpu, `dequantise ${name}`).add(...commands).submit();
    return await gpu.readF32(y);
  } finally {
    arena.destroy();
  }
}
