// studentWeights.ts: one weight of a student from its checkpoint to the GPU: dense, quantised to NF4 here, or NF4 as a
// bnb-4bit checkpoint stores it. Which weights there are, and where they belong, is student.ts.
import { numberToF16 } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { readBnb4bitWeight } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import { Recorder } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Arena } from '../gpu/tensor';
import { makeNf4Weight, nf4Quantize } from '../kernels/quantize';
import type { DenseWeight, Nf4Weight } from '../kernels/weights';

/** f32 values of a tensor, checked for shape and non-finite values. */
export async function readChecked(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  const info = checkpoint.info(name);
  if (info.shape.length !== shape.length || info.shape.some((size, i) => size !== shape[i])) {
    throw new PupilError(
      'checkpoint',
      `${checkpoint.name}: "${name}": expected shape [${shape.join(', ')}] from config.json, the file has [${info.shape.join(', ')}]`,
      'config.json and the weights belong to different models.',
    );
  }
  const values = await checkpoint.readF32(name);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new PupilError(
        'checkpoint',
        `${checkpoint.name}: "${name}": element ${i} is ${values[i]}, expected a finite number`,
        'The file is damaged, or was saved after a diverged training.',
      );
    }
  }
  return values;
}

export function uploadDense(
  gpu: Gpu,
  arena: Arena,
  name: string,
  shape: readonly [number, number],
  values: Float32Array,
): DenseWeight {
  if (gpu.tier === 'f16') {
    const halves = new Uint16Array(values.length);
    for (let i = 0; i < values.length; i++) halves[i] = numberToF16(values[i]!);
    return { kind: 'f16', shape, data: arena.upload(name, shape, 'f16', halves) };
  }
  return { kind: 'f32', shape, data: arena.upload(name, shape, 'f32', values) };
}

/** Quantises on the GPU; the f32 staging copy is freed before the next tensor is read. */
export async function quantizeWeight(
  gpu: Gpu,
  arena: Arena,
  name: string,
  shape: readonly [number, number],
  values: Float32Array,
  double: boolean,
): Promise<Nf4Weight> {
  const weight = makeNf4Weight(arena, name, shape, { double });
  const staging = gpu.arena('quantise');
  try {
    const x = staging.upload(name, shape, 'f32', values);
    const commands = nf4Quantize(gpu, { x }, { weight, arena: staging });
    await gpu.settled();
    new Recorder(gpu, `quantise ${name}`).add(...commands).submit();
    await gpu.idle();
  } finally {
    staging.destroy();
  }
  return weight;
}

export async function uploadBnb4bit(
  arena: Arena,
  checkpoint: Checkpoint,
  name: string,
  shape: readonly [number, number],
): Promise<Nf4Weight> {
  const stored = await readBnb4bitWeight(checkpoint, name);
  if (stored.shape[0] !== shape[0] || stored.shape[1] !== shape[1]) {
    throw new PupilError(
      'checkpoint',
      `${checkpoint.name}: "${name}": expected shape [${shape.join(', ')}] from config.json, its quant_state says [${stored.shape.join(', ')}]`,
    );
  }
  const packed = arena.upload(`${name} packed`, [stored.packed.length], 'u8', stored.packed);
  if (stored.absmax instanceof Float32Array) {
    const absmax = arena.upload(`${name} absmax`, [stored.absmax.length], 'f32', stored.absmax);
    return { kind: 'nf4', shape, blockSize: stored.blockSize, packed, absmax };
  }
  const { codes, nestedAbsmax, nestedMap, offset } = stored.absmax;
  const nested = new Float32Array(257 + nestedAbsmax.length);
  nested.set(nestedMap);
  nested[256] = offset;
  nested.set(nestedAbsmax, 257);
  return {
    kind: 'nf4',
    shape,
    blockSize: stored.blockSize,
    packed,
    absmax: arena.upload(`${name} absmax codes`, [codes.length], 'u8', codes),
    nested: arena.upload(`${name} nested absmax`, [nested.length], 'f32', nested),
  };
}
