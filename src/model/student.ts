// student.ts: a decoder's base weights on the GPU: frozen (f32, f16 or NF4) under an adapter, or trainable as a whole. It
// holds weights, not activations; how they get there is studentLoading.ts.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { RandomStream } from '../base/random';
import type { Checkpoint } from '../formats/checkpointIndex';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import { ropeTables } from '../kernels/rope';
import type { DenseWeight, LinearWeight } from '../kernels/weights';
import { FlatParameters } from './flatParameters';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import { modulePath, normNames, normPath, type NormName } from './linearNames';
import { parameterShapes, type Quantization } from './parameterShapes';
import { flatWeights, loadWeights, type LoadedWeights, type LoadOptions } from './studentLoading';

/** One decoder block. */
export interface LayerWeights {
  /** Factors of its norms, (C), of queries and keys (K); those that the family has. */
  readonly norms: Readonly<Partial<Record<NormName, Tensor>>>;
  readonly linear: Readonly<Record<LinearName, LinearWeight>>;
  /** (O) */
  readonly biases: Readonly<Partial<Record<LinearName, Tensor>>>;
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
    if (prequantized && options.quantize !== 'none' && options.alreadyQuantized !== true) {
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
    if (options.trainable === true) expectTrainable(config);
    expectNoOthers(checkpoint, config);
    const arena = gpu.arena('student');
    try {
      const weights = await loadWeights(gpu, arena, checkpoint, config, options);
      return Student.assemble(gpu, arena, config, options.quantize, weights);
    } catch (error) {
      arena.destroy();
      throw error;
    }
  }

  /** A trainable student with random weights: normal(0, 0.02), norms 1 (as Hugging Face initialises Llama). Seeded by name. */
  static initialize(gpu: Gpu, config: ModelConfig, seed: number): Student {
    expectTrainable(config);
    const arena = gpu.arena('student');
    const { matrices, vectors } = parameterShapes(config);
    const flat = new FlatParameters(gpu, arena, 'student', matrices, vectors);
    const values = new Float32Array(flat.elements);
    for (const { name, shape } of matrices) {
      const random = new RandomStream(seed, name);
      const { offset } = flat.entries.get(name)!;
      for (let i = 0; i < elementCount(shape); i++) values[offset + i] = 0.02 * random.nextNormal();
    }
    for (const { name, shape } of vectors) {
      const { offset } = flat.entries.get(name)!;
      values.fill(1, offset, offset + elementCount(shape));
    }
    flat.write(values);
    return Student.assemble(gpu, arena, config, 'none', flatWeights(flat));
  }

  destroy(): void {
    this.arena.destroy();
  }

  private static assemble(
    gpu: Gpu,
    arena: Arena,
    config: ModelConfig,
    quantization: Quantization,
    weights: LoadedWeights,
  ): Student {
    const embedding = weights.dense('model.embed_tokens.weight');
    const layers = Array.from({ length: config.layers }, (_, layer) => ({
      norms: Object.fromEntries(
        normNames(config).map((name) => [name, weights.vector(normPath(config, layer, name))]),
      ) as LayerWeights['norms'],
      biases: Object.fromEntries(
        config.biases.map((name) => [name, weights.vector(`${modulePath(layer, name)}.bias`)]),
      ) as LayerWeights['biases'],
      linear: Object.fromEntries(
        LINEAR_NAMES.map((name) => [name, weights.linear(`${modulePath(layer, name)}.weight`)]),
      ) as Record<LinearName, LinearWeight>,
    }));
    const tables = ropeTables(config.maxPositions, config.headSize, config.rope);
    const half = config.headSize / 2;
    return new Student(
      gpu,
      config,
      arena,
      quantization,
      embedding,
      layers,
      weights.vector('model.norm.weight'),
      config.tiedEmbeddings ? embedding : weights.dense('lm_head.weight'),
      arena.upload('rope cos', [config.maxPositions, half], 'f32', tables.cos),
      arena.upload('rope sin', [config.maxPositions, half], 'f32', tables.sin),
      weights.parameters,
    );
  }
}

/** The backward of whole weights is written for plain Llama: gradients of biases and of further norms are not computed. */
function expectTrainable(config: ModelConfig): void {
  const { biases, qkNorms, branchNorms, embeddingScale, normOffset } = config;
  if (biases.length === 0 && !qkNorms && !branchNorms && embeddingScale === 1 && normOffset === 0) return;
  throw new PupilError(
    'config',
    `student: expected a decoder without biases, q/k norms, branch norms and scaled embeddings to train all of its weights, got a ${config.modelType} that has some`,
    'Train an adapter: that works with every family.',
  );
}

/** Weights that the config does not account for would be left out in silence, and the student would be another one. */
function expectNoOthers(checkpoint: Checkpoint, config: ModelConfig): void {
  const { matrices, vectors } = parameterShapes(config);
  const known = new Set([...matrices, ...vectors].map(({ name }) => name));
  if (config.tiedEmbeddings) known.add('lm_head.weight'); // some files store the one matrix twice
  const other = checkpoint.tensorNames.find((name) => /\.(weight|bias)$/.test(name) && !known.has(name));
  if (other === undefined) return;
  throw new PupilError(
    'checkpoint',
    `${checkpoint.name}: the weights hold "${other}", which the decoder that config.json describes (${config.modelType}) does not have`,
    'config.json and the weights belong to different models, or the file is of a relative that this engine does not compute.',
  );
}
