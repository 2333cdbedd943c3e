// studentLoading.ts: all weights of a student from its checkpoint to the GPU, in bounded pieces that are read ahead: frozen
// (dense, or NF4 made on the GPU), or in one flat buffer to be trained. How one tensor gets there is weightReads.ts; which
// there are is parameterShapes.ts.
import { elementCount } from '../base/dtypes';
import { throwIfCancelled, type ProgressListener } from '../base/progress';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { ModelConfig } from '../formats/modelConfig';
import { readAhead } from '../formats/readAhead';
import type { WeightSink } from '../formats/weightSink';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import { makeNf4Weight } from '../kernels/quantize';
import type { DenseWeight, LinearWeight } from '../kernels/weights';
import { FlatParameters } from './flatParameters';
import { parameterShapes, type Quantization } from './parameterShapes';
import { expectWeight } from './studentWeights';
import { WeightQuantizer } from './weightQuantizer';
import { bnb4bitReads, denseReads, quantizedReads, type LoadContext, type WeightRead } from './weightReads';
import { largestElements, WeightStream } from './weightStream';

/** Reads under way while a piece is used: with the staging buffers, all that is held of a checkpoint in memory. */
const READ_AHEAD = 4;

export interface LoadOptions {
  quantize: Quantization;
  /** Keep all weights in one flat f32 buffer, for full-parameter training. Not with quantisation. */
  trainable?: boolean;
  /** The checkpoint holds its linear weights as `quantize` says: a student that was packed here before. */
  alreadyQuantized?: boolean;
  onProgress?: ProgressListener;
  signal?: AbortSignal;
  /** Sees every weight, in the order of loading. Where there is none, nothing is read back from the GPU. */
  sink?: WeightSink;
  /** Most bytes of a piece, 16 KiB to 16 MiB; 4 MiB unless said otherwise. */
  chunkBytes?: number;
}

/** A student's weights by tensor name. */
export interface LoadedWeights {
  linear(name: string): LinearWeight;
  dense(name: string): DenseWeight;
  /** A norm's factor or a bias. */
  vector(name: string): Tensor;
  /** Set when all of them are trainable. */
  parameters?: FlatParameters;
}

/** Weights that are parts of one flat buffer. */
export function flatWeights(flat: FlatParameters): LoadedWeights {
  const dense = (name: string): DenseWeight => {
    const data = flat.value(name);
    return { kind: 'f32', shape: [data.shape[0]!, data.shape[1]!], data };
  };
  return { linear: dense, dense, vector: (name) => flat.value(name), parameters: flat };
}

/**
 * Reads every weight of a student into the arena. What the headers say is checked first; values are, on the GPU, as they
 * come by.
 * @throws PupilError `checkpoint` naming the tensor that is missing, misshapen, not finite, or too large for tier f16;
 *   `cancelled`
 */
export async function loadWeights(
  gpu: Gpu,
  arena: Arena,
  checkpoint: Checkpoint,
  config: ModelConfig,
  options: LoadOptions,
): Promise<LoadedWeights> {
  const { matrices, vectors } = parameterShapes(config);
  const all = [...matrices, ...vectors];
  const isStoredNf4 = (name: string): boolean =>
    (config.quantization !== undefined || options.alreadyQuantized === true) &&
    isLinear(name) &&
    checkpoint.info(name).dtype === 'u8';
  for (const { name, shape } of all) if (!isStoredNf4(name)) expectWeight(checkpoint, name, shape);

  const dense = new Map<string, DenseWeight>();
  const linear = new Map<string, LinearWeight>();
  const vector = new Map<string, Tensor>();
  const flat = options.trainable === true ? new FlatParameters(gpu, arena, 'student', matrices, vectors) : undefined;

  function* reads(context: LoadContext): Generator<WeightRead> {
    if (flat !== undefined) {
      for (const { name } of all) yield* denseReads(context, name, () => flat.value(name));
      return;
    }
    for (const { name, shape } of matrices) {
      const size = [shape[0]!, shape[1]!] as const;
      if (isStoredNf4(name)) {
        yield* bnb4bitReads(context, arena, name, size, (weight) => void linear.set(name, weight));
      } else if (isLinear(name) && options.quantize !== 'none') {
        yield* quantizedReads(context, name, () => {
          const weight = makeNf4Weight(arena, name, size, { double: options.quantize === 'nf4-double' });
          linear.set(name, weight);
          return weight;
        });
      } else {
        yield* denseReads(context, name, () => {
          const data = arena.tensor(name, size, gpu.tier);
          (isLinear(name) ? linear : dense).set(name, { kind: gpu.tier, shape: size, data });
          return data;
        });
      }
    }
    for (const { name, shape, offset } of vectors) {
      const make = (): Tensor => {
        const data = arena.tensor(name, shape);
        vector.set(name, data);
        return data;
      };
      yield* denseReads(context, name, make, offset);
    }
  }

  const stream = new WeightStream(gpu, { largestElements: largestElements(all), chunkBytes: options.chunkBytes });
  const quantizer = new WeightQuantizer(gpu, stream, largestElements(matrices.filter(({ name }) => isLinear(name))));
  const context = { gpu, checkpoint, stream, quantizer, sink: options.sink };
  const total = all.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  let done = 0;
  try {
    throwIfCancelled(options.signal, 'Loading student');
    for await (const step of readAhead(reads(context), READ_AHEAD)) {
      await step.run();
      done += step.elements;
      options.onProgress?.({ task: 'Loading student', done, total, unit: 'parameters' });
      throwIfCancelled(options.signal, 'Loading student');
    }
    await stream.finish();
  } finally {
    quantizer.destroy();
    stream.destroy();
  }
  await gpu.settled();
  if (flat !== undefined) return flatWeights(flat);
  return {
    linear: (name) => linear.get(name)!,
    dense: (name) => dense.get(name)!,
    vector: (name) => vector.get(name)!,
  };
}

/** Weights that quantisation is for: those of the blocks, not the embedding and the head. */
function isLinear(name: string): boolean {
  return name.startsWith('model.layers.');
}
