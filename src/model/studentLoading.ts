// studentLoading.ts: all weights of a student from its checkpoint to the GPU, one tensor at a time: frozen (dense, or NF4 made
// on the GPU), or in one flat buffer to be trained. How one tensor gets there is studentWeights.ts; which there are is
// parameterShapes.ts.
import { elementCount } from '../base/dtypes';
import { throwIfCancelled, type ProgressListener } from '../base/progress';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { ModelConfig } from '../formats/modelConfig';
import type { WeightSink } from '../formats/weightSink';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import type { DenseWeight, LinearWeight } from '../kernels/weights';
import { FlatParameters } from './flatParameters';
import { parameterShapes, type Quantization } from './parameterShapes';
import { quantizeWeight, readChecked, uploadBnb4bit, uploadDense } from './studentWeights';
import { pourOut } from './weightReadback';

export interface LoadOptions {
  quantize: Quantization;
  /** Keep all weights in one flat f32 buffer, for full-parameter training. Not with quantisation. */
  trainable?: boolean;
  /** The checkpoint holds its linear weights as `quantize` says: a student that was packed here before. */
  alreadyQuantized?: boolean;
  onProgress?: ProgressListener;
  signal?: AbortSignal;
  /** Sees every weight, in the order of loading. */
  sink?: WeightSink;
}

/** A student's weights by tensor name. */
export interface LoadedWeights {
  linear(name: string): LinearWeight;
  dense(name: string): DenseWeight;
  norm(name: string): Tensor;
  /** Set when all of them are trainable. */
  parameters?: FlatParameters;
}

/** Weights that are parts of one flat buffer. */
export function flatWeights(flat: FlatParameters): LoadedWeights {
  const dense = (name: string): DenseWeight => {
    const data = flat.value(name);
    return { kind: 'f32', shape: [data.shape[0]!, data.shape[1]!], data };
  };
  return { linear: dense, dense, norm: (name) => flat.value(name), parameters: flat };
}

/**
 * Reads every weight of a student into the arena.
 * @throws PupilError `checkpoint` naming the tensor that is missing, misshapen or not finite; `cancelled`
 */
export async function loadWeights(
  gpu: Gpu,
  arena: Arena,
  checkpoint: Checkpoint,
  config: ModelConfig,
  options: LoadOptions,
): Promise<LoadedWeights> {
  const { matrices, norms } = parameterShapes(config);
  const all = [...matrices, ...norms];
  const total = all.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  let done = 0;
  const advance = (shape: readonly number[]): void => {
    done += elementCount(shape);
    options.onProgress?.({ task: 'Loading student', done, total, unit: 'parameters' });
    throwIfCancelled(options.signal, 'Loading student');
  };

  if (options.trainable === true) {
    const flat = new FlatParameters(gpu, arena, 'student', matrices, norms);
    for (const { name, shape } of all) {
      gpu.write(flat.value(name), await readChecked(checkpoint, name, shape));
      advance(shape);
    }
    await gpu.settled();
    return { ...flatWeights(flat), parameters: flat };
  }

  const dense = new Map<string, DenseWeight>();
  const linear = new Map<string, LinearWeight>();
  for (const { name, shape } of matrices) {
    const size = [shape[0]!, shape[1]!] as const;
    const isLinear = name.startsWith('model.layers.');
    if (isLinear && config.quantization !== undefined && checkpoint.info(name).dtype === 'u8') {
      linear.set(name, await uploadBnb4bit(arena, checkpoint, name, size));
    } else {
      const values = await readChecked(checkpoint, name, shape);
      if (!isLinear) dense.set(name, uploadDense(gpu, arena, name, size, values));
      else if (options.quantize === 'none') linear.set(name, uploadDense(gpu, arena, name, size, values));
      else linear.set(name, await quantizeWeight(gpu, arena, name, size, values, options.quantize === 'nf4-double'));
    }
    if (options.sink !== undefined) await pourOut(gpu, checkpoint, name, linear.get(name), options.sink);
    advance(shape);
  }
  const norm = new Map<string, Tensor>();
  for (const { name, shape } of norms) {
    norm.set(name, arena.upload(name, shape, 'f32', await readChecked(checkpoint, name, shape)));
    if (options.sink !== undefined) await pourOut(gpu, checkpoint, name, undefined, options.sink);
    advance(shape);
  }
  await gpu.settled();
  return {
    linear: (name) => linear.get(name)!,
    dense: (name) => dense.get(name)!,
    norm: (name) => norm.get(name)!,
  };
}
