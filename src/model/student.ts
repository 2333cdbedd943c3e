// student.ts: a decoder's base weights on the GPU: frozen (f32, f16 or NF4) under an adapter, or trainable as a whole.
// Tensors stream in one at a time; NF4 quantisation happens on the GPU. It holds weights, not activations.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { throwIfCancelled, type ProgressListener } from '../base/progress';
import { RandomStream } from '../base/random';
import type { Checkpoint } from '../formats/checkpointIndex';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import { ropeTables } from '../kernels/rope';
import type { DenseWeight, LinearWeight } from '../kernels/weights';
import { FlatParameters } from './flatParameters';
import { LINEAR_NAMES, linearShape, modulePath, type LinearName } from './linearNames';
import { quantizeWeight, readChecked, uploadBnb4bit, uploadDense } from './studentWeights';

export type Quantization = 'none' | 'nf4' | 'nf4-double';

/** One decoder block. */
export interface LayerWeights {
  readonly inputNorm: Tensor; // (C)
  readonly postAttentionNorm: Tensor; // (C)
  readonly linear: Readonly<Record<LinearName, LinearWeight>>;
}

export interface LoadOptions {
  quantize: Quantization;
  /** Keep all weights in one flat f32 buffer, for full-parameter training. Not with quantisation. */
  trainable?: boolean;
  onProgress?: ProgressListener;
  signal?: AbortSignal;
}

interface NamedShape {
  name: string;
  shape: number[];
}

/** Every tensor that a checkpoint of this config must have: matrices, then norms. */
export function parameterShapes(config: ModelConfig): { matrices: NamedShape[]; norms: NamedShape[] } {
  const { hiddenSize: C, vocabSize: V } = config;
  const matrices: NamedShape[] = [{ name: 'model.embed_tokens.weight', shape: [V, C] }];
  const norms: NamedShape[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const name of LINEAR_NAMES)
      matrices.push({ name: `${modulePath(layer, name)}.weight`, shape: linearShape(config, name) });
    norms.push({ name: `model.layers.${layer}.input_layernorm.weight`, shape: [C] });
    norms.push({ name: `model.layers.${layer}.post_attention_layernorm.weight`, shape: [C] });
  }
  norms.push({ name: 'model.norm.weight', shape: [C] });
  if (!config.tiedEmbeddings) matrices.push({ name: 'lm_head.weight', shape: [V, C] });
  return { matrices, norms };
}

/** Number of parameters, tied weights counted once. */
export function parameterCount(config: ModelConfig): number {
  const { matrices, norms } = parameterShapes(config);
  return [...matrices, ...norms].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

export class Student {
  /** Set when all weights are trainable. */
  readonly parameters: FlatParameters | undefined;
  private constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    private readonly arena: Arena,
    readonly quantization: Quantization,
    readonly embedding: DenseWeight,
    readonly layers: readonly LayerWeights[],
    readonly finalNorm: Tensor,
    readonly head: DenseWeight,
    readonly ropeCos: Tensor,
    readonly ropeSin: Tensor,
    parameters?: FlatParameters,
  ) {
    this.parameters = parameters;
  }

  /** Bytes on the GPU. */
  get sizeBytes(): number {
    return this.arena.sizeBytes;
  }

  /**
   * Reads a Hugging Face checkpoint (f32, f16, bf16, or bnb-4bit as it is).
   * @throws PupilError `checkpoint` naming the tensor that is missing, misshapen or not finite; `config` when asked to
   *   quantise what is quantised already.
   */
  static async load(gpu: Gpu, checkpoint: Checkpoint, options: LoadOptions): Promise<Student> {
    const config = parseModelConfig(checkpoint.config);
    const prequantized = config.quantization !== undefined;
    if (prequantized && options.quantize !== 'none') {
      throw new PupilError(
        'config',
        `student: the checkpoint is already quantised (bitsandbytes NF4), quantize "${options.quantize}" was asked for`,
        'Use quantize "none": it is read as it is.',
      );
    }
    if (options.trainable === true && (prequantized || options.quantize !== 'none')) {
      throw new PupilError(
        'config',
        'student: a quantised student cannot be trained as a whole',
        'Train an adapter, or use quantize "none".',
      );
    }
    const arena = gpu.arena('student');
    try {
      return await loadInto(gpu, arena, checkpoint, config, options);
    } catch (error) {
      arena.destroy();
      throw error;
    }
  }

  /** A trainable student with random weights: normal(0, 0.02), norms 1 (as Hugging Face initialises Llama). Seeded by name. */
  static initialize(gpu: Gpu, config: ModelConfig, seed: number): Student {
    const arena = gpu.arena('student');
    const { matrices, norms } = parameterShapes(config);
    const flat = new FlatParameters(gpu, arena, 'student', matrices, norms);
    const values = new Float32Array(flat.elements);
    for (const { name, shape } of matrices) {
      const random = new RandomStream(seed, name);
      const { offset } = flat.entries.get(name)!;
      for (let i = 0; i < elementCount(shape); i++) values[offset + i] = 0.02 * random.nextNormal();
    }
    for (const { name, shape } of norms) {
      const { offset } = flat.entries.get(name)!;
      values.fill(1, offset, offset + elementCount(shape));
    }
    flat.write(values);
    return fromFlat(gpu, arena, config, flat);
  }

  destroy(): void {
    this.arena.destroy();
  }

  /** @internal Used by the loaders below. */
  static assemble(
    gpu: Gpu,
    arena: Arena,
    config: ModelConfig,
    quantization: Quantization,
    weights: {
      linear: (name: string) => LinearWeight;
      dense: (name: string) => DenseWeight;
      norm: (name: string) => Tensor;
    },
    parameters?: FlatParameters,
  ): Student {
    const embedding = weights.dense('model.embed_tokens.weight');
    const layers = Array.from({ length: config.layers }, (_, layer) => ({
      inputNorm: weights.norm(`model.layers.${layer}.input_layernorm.weight`),
      postAttentionNorm: weights.norm(`model.layers.${layer}.post_attention_layernorm.weight`),
      linear: Object.fromEntries(
        LINEAR_NAMES.map((name) => [name, weights.linear(`${modulePath(layer, name)}.weight`)]),
      ) as Record<LinearName, LinearWeight>,
    }));
    const tables = ropeTables(config.maxPositions, config.headSize, config.ropeTheta);
    const half = config.headSize / 2;
    return new Student(
      gpu,
      config,
      arena,
      quantization,
      embedding,
      layers,
      weights.norm('model.norm.weight'),
      config.tiedEmbeddings ? embedding : weights.dense('lm_head.weight'),
      arena.upload('rope cos', [config.maxPositions, half], 'f32', tables.cos),
      arena.upload('rope sin', [config.maxPositions, half], 'f32', tables.sin),
      parameters,
    );
  }
}

function fromFlat(gpu: Gpu, arena: Arena, config: ModelConfig, flat: FlatParameters): Student {
  const dense = (name: string): DenseWeight => {
    const data = flat.value(name);
    return { kind: 'f32', shape: [data.shape[0]!, data.shape[1]!], data };
  };
  return Student.assemble(gpu, arena, config, 'none', { linear: dense, dense, norm: (name) => flat.value(name) }, flat);
}

async function loadInto(
  gpu: Gpu,
  arena: Arena,
  checkpoint: Checkpoint,
  config: ModelConfig,
  options: LoadOptions,
): Promise<Student> {
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
    return fromFlat(gpu, arena, config, flat);
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
    advance(shape);
  }
  const norm = new Map<string, Tensor>();
  for (const { name, shape } of norms) {
    norm.set(name, arena.upload(name, shape, 'f32', await readChecked(checkpoint, name, shape)));
    advance(shape);
  }
  await gpu.settled();
  return Student.assemble(gpu, arena, config, options.quantize, {
    linear: (name) => linear.get(name)!,
    dense: (name) => dense.get(name)!,
    norm: (name) => norm.get(name)!,
  });
}
