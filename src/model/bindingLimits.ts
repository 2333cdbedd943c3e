// bindingLimits.ts: batches whose tensors no binding of this adapter can hold are refused before anything is allocated, with
// what to lower and how far. Weights of any size are the kernels' business (kernels/weights.ts).
import { PupilError } from '../base/errors';
import type { ModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import type { BatchLimits } from './batch';

type Limited = Pick<Gpu, 'limits'>;

/** Throws unless so many rows fit; `lower` says what to do, given how many would. */
function expectBindable(
  gpu: Limited,
  what: string,
  rows: number,
  rowBytes: number,
  lower: (mostRows: number) => string,
): void {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  if (rows * rowBytes <= limit) return;
  throw new PupilError(
    'gpu-limit',
    `${what} take ${rows * rowBytes} bytes, this adapter binds at most ${limit}`,
    lower(Math.floor(limit / rowBytes)),
  );
}

/** f32 bytes of a token in the widest tensor of a block. */
function widestRowBytes({ hiddenSize, intermediateSize, heads, headSize }: ModelConfig): number {
  return 4 * Math.max(hiddenSize, intermediateSize, heads * headSize);
}

/**
 * Refuses a trainer's batch that is too large for the adapter.
 * @throws PupilError `gpu-limit`, e.g. `Trainer: activations of 4096 tokens take 226492416 bytes, this adapter binds at most
 *   134217728` with the hint `Use micro-batches of at most 2427 tokens.`
 */
export function expectBatchBindable(gpu: Limited, config: ModelConfig, { tokens }: BatchLimits): void {
  expectBindable(
    gpu,
    `Trainer: activations of ${tokens} tokens`,
    tokens,
    widestRowBytes(config),
    (most) => `Use micro-batches of at most ${most} tokens.`,
  );
}

/**
 * Refuses a generator's batch whose key/value cache, logits or prompts are too large for the adapter.
 * @throws PupilError `gpu-limit`, e.g. `Generator: keys of 16 sequences of up to 1024 tokens take 268435456 bytes, this
 *   adapter binds at most 134217728` with the hint `Lower the batch size to 8 or less, …`
 */
export function expectGenerationBindable(
  gpu: Limited,
  config: ModelConfig,
  sizes: { batchSize: number; cacheCapacity: number; prefillTokens: number },
): void {
  const { batchSize, cacheCapacity, prefillTokens } = sizes;
  const { kvHeads, headSize, vocabSize } = config;
  expectBindable(
    gpu,
    `Generator: keys of ${batchSize} sequences of up to ${cacheCapacity} tokens`,
    batchSize * cacheCapacity,
    4 * kvHeads * headSize,
    (most) =>
      most >= cacheCapacity
        ? `Lower the batch size to ${Math.floor(most / cacheCapacity)} or less, or max-new-tokens.`
        : `Lower max-new-tokens or shorten the prompt: together at most ${most} tokens.`,
  );
  expectBindable(
    gpu,
    `Generator: logits of ${batchSize} sequences over ${vocabSize} tokens of the vocabulary`,
    batchSize,
    4 * vocabSize,
    (most) => `Lower the batch size to ${most} or less.`,
  );
  expectBindable(
    gpu,
    `Generator: activations of ${prefillTokens} tokens of prompts`,
    prefillTokens,
    widestRowBytes(config),
    (most) => `Shorten the prompt to ${most} tokens or less.`,
  );
}
