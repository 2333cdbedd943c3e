// memory.ts: bytes on the GPU, from the config alone, before anything is loaded: the same sums that student.ts, adapter.ts,
// trainerGraph.ts and generator.ts will allocate. Held against the account of real runs in test/unit/session/plan. An
// estimate of time is not made here.
import { elementCount } from '../base/dtypes';
import type { ModelConfig } from '../formats/modelConfig';
import type { BatchLimits } from './batch';
import { linearShape, parseLinearNames } from './linearNames';
import { parameterShapes, type Quantization } from './parameterShapes';
import { quantizerBytes } from './weightQuantizer';
import { largestElements, streamBytes } from './weightStream';

/** What is on the GPU at one time beside weights and adapter. Stages follow one another. */
export type MemoryStage =
  | {
      kind: 'training';
      limits: BatchLimits;
      optimizer: 'adamw' | 'rmsprop';
      dropout: boolean;
      /** Absent: as the trainer chooses. */
      activations?: 'keep' | 'recompute';
    }
  | { kind: 'scoring'; limits: BatchLimits; adapted: boolean }
  | { kind: 'generation'; batchSize: number; maxPromptTokens: number; maxNewTokens: number; adapted: boolean };

export interface MemoryRequest {
  quantize: Quantization;
  /** How frozen dense weights are stored. */
  tier: 'f32' | 'f16';
  adapter: { rank: number; targets: readonly string[] };
  stages: readonly MemoryStage[];
}

/** Bytes by part. */
export interface MemoryParts {
  weightsBytes: number;
  /** Values and, where it is trained, gradients. */
  adapterBytes: number;
  optimizerBytes: number;
  /** Of blocks and between them, with their gradients; of prompts while generating. */
  activationsBytes: number;
  headBytes: number;
  /** Keys and values of sequences under way. */
  cacheBytes: number;
  /** Uniform buffers and staging: what does not grow with the student. */
  fixedBytes: number;
  totalBytes: number;
}

/** The parts at the moment when most is held, and what each stage holds. */
export interface MemoryPlan extends MemoryParts {
  parameters: number;
  /** In the order of the request. */
  stages: MemoryParts[];
  /** While weights stream in. */
  loading: MemoryParts;
}

const NF4_BLOCK = 64;
const NESTED_BLOCK = 256;
/** Activations of all blocks are kept below this. */
const KEEP_BELOW_BYTES = 256 * 2 ** 20;
/** Adapted layers of a block, at most. */
const BLOCK_LINEARS = 7;
/** Logits of one chunk of the vocabulary (kernels/head.ts). */
const LOGITS_BYTES = 256 * 2 ** 20;
/** One row count with its slices (gpu/rows.ts), and the chunk numbers of the head (once a device): 256 KiB each. */
const TABLE_BYTES = 256 * 2 ** 10;
/** Slots of a trainer's ring of staging buffers, of a generator's, and the least that one holds. */
const TRAINER_SLOTS = 16;
const GENERATOR_SLOTS = 2;
const SLOT_BYTES = 256;
/** Prompt tokens that a generator prefills at once, unless one prompt is longer. */
const PREFILL_TOKENS = 2048;

/** Bytes that one block of N rows keeps for its backward; `loraWidth` is the sum of its adapters' ranks. */
export function activationBytes(config: ModelConfig, loraWidth: number, N: number): number {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K } = config;
  const branches = config.branchNorms ? 2 * (C + 1) : 0;
  const unnormed = config.qkNorms ? (H + kvHeads) * (K + 1) : 0;
  return 4 * N * (3 * C + 3 * F + 2 * H * K + 2 * kvHeads * K + H + 2 + loraWidth + branches + unnormed);
}

/** Whether all blocks keep their activations, or run their forward again in the backward. The bits are the same. */
export function activationPolicy(config: ModelConfig, rank: number, N: number): 'keep' | 'recompute' {
  const bytes = config.layers * activationBytes(config, BLOCK_LINEARS * rank, N);
  return bytes <= KEEP_BELOW_BYTES ? 'keep' : 'recompute';
}

/** Bytes of one NF4 weight with its scales. */
function nf4Bytes(elements: number, double: boolean): number {
  const blocks = Math.ceil(elements / NF4_BLOCK);
  const packed = Math.ceil(elements / 2);
  return double ? packed + blocks + 4 * (257 + Math.ceil(blocks / NESTED_BLOCK)) : packed + 4 * blocks;
}

/** How linear weights will lie on the GPU: a checkpoint that is quantised already stays as it is. */
export function storedQuantization(config: ModelConfig, quantize: Quantization): Quantization {
  if (config.quantization === undefined) return quantize;
  return config.quantization.doubleQuantized ? 'nf4-double' : 'nf4';
}

/** Bytes of a frozen student, RoPE tables included. */
export function weightBytes(config: ModelConfig, asked: Quantization, tier: 'f32' | 'f16'): number {
  const quantize = storedQuantization(config, asked);
  const { matrices, vectors } = parameterShapes(config);
  const dense = tier === 'f16' ? 2 : 4;
  let bytes = 2 * 4 * config.maxPositions * (config.headSize / 2);
  for (const { name, shape } of matrices) {
    const quantized = name.startsWith('model.layers.') && quantize !== 'none';
    bytes += quantized ? nf4Bytes(elementCount(shape), quantize === 'nf4-double') : dense * elementCount(shape);
  }
  for (const { shape } of vectors) bytes += 4 * elementCount(shape);
  return bytes;
}

/** Values of an adapter: a tensor begins at every 64th element (flatParameters.ts). */
export function adapterElements(config: ModelConfig, adapter: MemoryRequest['adapter']): number {
  let elements = 0;
  for (const name of parseLinearNames(adapter.targets)) {
    const [O, C] = linearShape(config, name);
    for (const size of [adapter.rank * C, O * adapter.rank]) elements += 64 * Math.ceil(size / 64);
  }
  return config.layers * elements;
}

const NOTHING = { optimizerBytes: 0, activationsBytes: 0, headBytes: 0, cacheBytes: 0, fixedBytes: 0 };
type StageParts = typeof NOTHING;

/** What a trainer allocates; `loraWidth` 0 for the untouched student. */
export function trainerBytes(
  config: ModelConfig,
  adapter: { rank: number; loraWidth: number; elements: number },
  stage: Extract<MemoryStage, { kind: 'training' | 'scoring' }>,
): StageParts {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K, layers: L, vocabSize: V } = config;
  const { tokens: N, targets: M } = stage.limits;
  const P = Math.ceil(stage.limits.sequences / 2);
  const S = 2 * P;
  const trains = stage.kind === 'training';
  const keep = trains && (stage.activations ?? activationPolicy(config, adapter.rank, N)) === 'keep';
  const ids = 4 * (4 * N + 3 * M + 2 * S + 1);
  const residual = 4 * N * C * (trains ? L + 1 : Math.min(2, L + 1));
  const kept = activationBytes(config, adapter.loraWidth, N) * (keep ? Math.max(1, L) : 1);
  const shared = 4 * N * (2 * C + 1); // branch, final norm
  const logits = 4 * M * Math.min(V, Math.max(1, Math.floor(LOGITS_BYTES / (4 * M))));
  const pairs = 4 * (4 * S + 3 * P + 5);
  const parts = {
    ...NOTHING,
    activationsBytes: ids + residual + kept + shared,
    headBytes: 4 * M * (C + 4) + logits + pairs,
    fixedBytes: 4 * TABLE_BYTES + TRAINER_SLOTS * Math.max(SLOT_BYTES, 20 * P, 4 * M),
  };
  if (!trains) return parts;
  const backward = 4 * N * (C + 2 * H * K + 2 * kvHeads * K + H + 3 * F + (adapter.loraWidth === 0 ? 0 : adapter.rank));
  const normed = 4 * N * ((config.branchNorms ? C : 0) + (config.qkNorms ? (H + kvHeads) * K : 0));
  const dropout = stage.dropout ? 4 * N * Math.max(C, F, H * K) : 0;
  parts.activationsBytes += backward + normed + 4 * N * C + dropout;
  parts.headBytes += 4 * M * C;
  parts.optimizerBytes = (stage.optimizer === 'adamw' ? 2 : 1) * 4 * adapter.elements;
  parts.fixedBytes += 4 * adapter.elements; // staging of one array while a checkpoint is made
  return parts;
}

/** What a generator allocates. */
export function generatorBytes(
  config: ModelConfig,
  loraWidth: number,
  stage: Extract<MemoryStage, { kind: 'generation' }>,
): StageParts {
  const { hiddenSize: C, kvHeads, headSize: K, layers: L, vocabSize: V } = config;
  const { batchSize: B, maxPromptTokens, maxNewTokens } = stage;
  const N = Math.max(maxPromptTokens, Math.min(B * maxPromptTokens, PREFILL_TOKENS));
  const prompts = activationBytes(config, loraWidth, N) + 4 * N * (3 * C + 4);
  const decoding = activationBytes(config, loraWidth, B) + 4 * B * (5 * C + maxNewTokens + 12);
  return {
    ...NOTHING,
    activationsBytes: prompts + decoding,
    headBytes: 4 * B * V,
    cacheBytes: 2 * 4 * L * B * (maxPromptTokens + maxNewTokens) * kvHeads * K,
    fixedBytes: 3 * TABLE_BYTES + GENERATOR_SLOTS * Math.max(SLOT_BYTES, 4 * B * (maxNewTokens + 2)),
  };
}

/** Beside a student that is being loaded: staging, and the scales of the largest weight that is quantised twice. */
function loadingBytes(config: ModelConfig, quantize: Quantization): number {
  const { matrices, vectors } = parameterShapes(config);
  const staging = streamBytes(largestElements([...matrices, ...vectors]));
  if (quantize !== 'nf4-double' || config.quantization !== undefined) return staging;
  return staging + quantizerBytes(largestElements(matrices.filter(({ name }) => name.startsWith('model.layers.'))));
}

/** What a run will hold at its peak, by part. */
export function planMemory(config: ModelConfig, request: MemoryRequest): MemoryPlan {
  const { matrices, vectors } = parameterShapes(config);
  const parameters = [...matrices, ...vectors].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const weightsBytes = weightBytes(config, request.quantize, request.tier);
  const { rank, targets } = request.adapter;
  const elements = adapterElements(config, request.adapter);
  const loraWidth = parseLinearNames(targets).length * rank;
  const trained = request.stages.some(({ kind }) => kind === 'training');
  const adapterBytes = (trained ? 2 : 1) * 4 * elements;
  // What the first trainer leaves to the device stays.
  const always = request.stages.some(({ kind }) => kind !== 'generation') ? TABLE_BYTES : 0;

  const parts = (stage: StageParts): MemoryParts => {
    const own = { weightsBytes, adapterBytes, ...stage, fixedBytes: stage.fixedBytes + always };
    return { ...own, totalBytes: Object.values(own).reduce((sum, bytes) => sum + bytes, 0) };
  };
  const stages = request.stages.map((stage) => {
    const width = stage.kind === 'training' || stage.adapted ? loraWidth : 0;
    if (stage.kind === 'generation') return parts(generatorBytes(config, width, stage));
    return parts(trainerBytes(config, { rank, loraWidth: width, elements }, stage));
  });
  // The adapter comes later, when what loading took has been given back.
  const scratch = loadingBytes(config, request.quantize);
  const loading = { ...parts({ ...NOTHING, fixedBytes: scratch }), adapterBytes: 0, totalBytes: 0 };
  loading.totalBytes = weightsBytes + loading.fixedBytes;
  const peak = [loading, ...stages].reduce((a, b) => (b.totalBytes > a.totalBytes ? b : a));
  return { parameters, ...peak, stages, loading };
}
