// studentWeights.ts: what one tensor of a checkpoint must be to become a student's weight: of the shape that the config says,
// of floating-point numbers, finite; and a weight's values to NF4 and back. How tensors get to the GPU while a student is
// loaded is weightReads.ts.
import { DTYPE_BYTES } from '../base/dtypes';
import { PupilError } from '../base/errors';
import type { Checkpoint } from '../formats/checkpointIndex';
import { expectFloats } from '../formats/safetensors';
import { decodeF32Into } from '../formats/tensorBytes';

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
  expectFinite(checkpoint, name, values);
  return values;
}

/**
 * Refuses values that are not finite.
 * @param first index in the tensor of the first value, for the message
 * @throws PupilError `checkpoint` naming tensor and element
 */
export function expectFinite(checkpoint: Checkpoint, name: string, values: Float32Array, first = 0): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw notFinite(checkpoint, name, first + bad, values[bad]!);
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
