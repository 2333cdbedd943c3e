// memory.ts: bytes on the GPU, from the config alone, before anything is loaded: the same sums that student.ts, adapter.ts,
// trainer.ts and generator.ts will allocate. An estimate of time is not made here.
import { elementCount } from '../base/dtypes';
import type { ModelConfig } from '../formats/modelConfig';
import type { BatchLimits } from './batch';
import { linearShape, parseLinearNames } from './linearNames';
import { parameterShapes, type Quantization } from './student';

export interface MemoryRequest {
  quantize: Quantization;
  /** How frozen dense weights are stored. */
  tier: 'f32' | 'f16';
  adapter: { rank: number; targets: readonly string[] };
  training: BatchLimits;
  /** Absent: no generation at the same time. */
  generation?: { batchSize: number; maxPromptTokens: number; maxNewTokens: number };
  optimizer: 'adamw' | 'rmsprop';
  /** `keep` multiplies the activations by the layers. */
  activations: 'keep' | 'recompute';
}

/** Bytes by part. */
export interface MemoryPlan {
  parameters: number;
  weightsBytes: number;
  adapterBytes: number;
  optimizerBytes: number;
  activationsBytes: number;
  headBytes: number;
  cacheBytes: number;
  totalBytes: number;
}

const NF4_BLOCK = 64;
const NESTED_BLOCK = 256;

/** Bytes of one NF4 weight with its scales. */
function nf4Bytes(elements: number, double: boolean): number {
  const blocks = Math.ceil(elements / NF4_BLOCK);
  const packed = Math.ceil(elements / 2);
  return double ? packed + blocks + 4 * (257 + Math.ceil(blocks / NESTED_BLOCK)) : packed + 4 * blocks;
}

/** Activations of all blocks are kept below this. */
const KEEP_BELOW_BYTES = 256 * 2 ** 20;
/** Adapted layers of a block, at most. */
const BLOCK_LINEARS = 7;

/** Bytes that one block of N rows keeps for its backward; `loraWidth` is the sum of its adapters' ranks. */
export function activationBytes(config: ModelConfig, loraWidth: number, N: number): number {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K } = config;
  return 4 * N * (3 * C + 3 * F + 2 * H * K + 2 * kvHeads * K + H + 2 + loraWidth);
}

/** Whether all blocks keep their activations, or run their forward again in the backward. The bits are the same. */
export function activationPolicy(config: ModelConfig, rank: number, N: number): 'keep' | 'recompute' {
  const bytes = config.layers * activationBytes(config, BLOCK_LINEARS * rank, N);
  return bytes <= KEEP_BELOW_BYTES ? 'keep' : 'recompute';
}

/** What a run will hold at its peak, by part. Uniform buffers and staging (a few MiB) are left out. */
export function planMemory(config: ModelConfig, request: MemoryRequest): MemoryPlan {
  const { matrices, norms } = parameterShapes(config);
  const dense = request.tier === 'f16' ? 2 : 4;
  let parameters = 0;
  let weightsBytes = 2 * 4 * config.maxPositions * (config.headSize / 2); // RoPE tables
  for (const { name, shape } of matrices) {
    const elements = elementCount(shape);
    parameters += elements;
    const quantized = name.startsWith('model.layers.') && request.quantize !== 'none';
    weightsBytes += quantized ? nf4Bytes(elements, request.quantize === 'nf4-double') : dense * elements;
  }
  for (const { shape } of norms) {
    parameters += elementCount(shape);
    weightsBytes += 4 * elementCount(shape);
  }

  const { rank } = request.adapter;
  let adapterElements = 0;
  for (const name of parseLinearNames(request.adapter.targets)) {
    const [O, C] = linearShape(config, name);
    adapterElements += config.layers * rank * (O + C);
  }
  const adapterBytes = 2 * 4 * adapterElements; // values and gradients
  const optimizerBytes = (request.optimizer === 'adamw' ? 2 : 1) * 4 * adapterElements;

  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K, layers: L, vocabSize: V } = config;
  const Q = H * K;
  const KV = kvHeads * K;
  const block = (N: number): number => activationBytes(config, request.adapter.targets.length * rank, N);
  const { tokens: N, targets: M } = request.training;
  const backward = 4 * N * (C + 2 * Q + 2 * KV + H + 3 * F + rank);
  const residual = 4 * N * C * (L + 1);
  const shared = 4 * N * (3 * C + 1) + 5 * 4 * N;
  const activationsBytes =
    block(N) * (request.activations === 'keep' ? Math.max(1, L) : 1) + backward + residual + shared;
  const headBytes = 4 * M * (2 * C + Math.min(V, Math.floor((256 * 2 ** 20) / (4 * M))) + 6);

  let cacheBytes = 0;
  if (request.generation !== undefined) {
    const { batchSize: B, maxPromptTokens, maxNewTokens } = request.generation;
    const prefill = Math.max(maxPromptTokens, Math.min(B * maxPromptTokens, 2048));
    cacheBytes =
      2 * 4 * L * B * (maxPromptTokens + maxNewTokens) * KV +
      block(prefill) +
      4 * prefill * (3 * C + 4) +
      block(B) +
      4 * B * (5 * C + V + maxNewTokens + 12);
  }
  const totalBytes = weightsBytes + adapterBytes + optimizerBytes + activationsBytes + headBytes + cacheBytes;
  return {
    parameters,
    weightsBytes,
    adapterBytes,
    optimizerBytes,
    activationsBytes,
    headBytes,
    cacheBytes,
    totalBytes,
  };
}
