// head.ts: the output head and cross-entropy, chunk by chunk over the vocabulary, so that the logits of all rows never exist
// at once. Rows are target rows: the caller gathered them, masked ones are gone. It does not reduce losses (see loss.ts).
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, view, type Tensor } from '../gpu/tensor';
import safeTanhWgsl from '../../shaders/common/safe_tanh.wgsl?raw';
import backwardWgsl from '../../shaders/loss/cross_entropy_backward.wgsl?raw';
import softcapWgsl from '../../shaders/loss/logit_softcap.wgsl?raw';
import updateWgsl from '../../shaders/loss/logsumexp_update.wgsl?raw';
import reduceWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import { elementGrid } from './elementwise';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear';
import { wideLanes } from './wideLanes';
import { rowAlignment, weightRows, type DenseWeight } from './weights';

const LOGSUMEXP_UPDATE = kernelSource('logsumexp_update', updateWgsl, reduceWgsl);
const CROSS_ENTROPY_BACKWARD = kernelSource('cross_entropy_backward', backwardWgsl);

const LOGIT_SOFTCAP = kernelSource('logit_softcap', softcapWgsl, safeTanhWgsl);

/** Rows [start, start + shape[0]) of a head's weight. */
export interface VocabularyChunk extends DenseWeight {
  readonly start: number;
}

/** Chunks start at multiples of so many rows: 256 bytes apart, which every offset of a binding needs. */
function chunkAlignment(weight: DenseWeight): number {
  return rowAlignment(weight.shape[1] * (weight.kind === 'f16' ? 2 : 4));
}

/** Most rows of the weight, or of its f32 gradient, in one binding. */
function bindableRows(gpu: Gpu, weight: DenseWeight): number {
  return Math.floor(gpu.limits.maxStorageBufferBindingSize / (weight.shape[1] * 4));
}

/**
 * Cuts a head's weight (V, C) into chunks of at most `maxChunkRows` rows that can be bound: each starts at a multiple of
 * 256 bytes and fits the adapter's largest binding, as does its f32 gradient. All but the last have the same size.
 *
 * @throws PupilError `gpu-limit` when not even the smallest chunk that keeps the alignment fits.
 */
export function vocabularyChunks(
  gpu: Gpu,
  weight: DenseWeight,
  { maxChunkRows = Infinity }: { maxChunkRows?: number } = {},
): VocabularyChunk[] {
  const V = weight.shape[0];
  const most = Math.min(maxChunkRows, bindableRows(gpu, weight));
  if (most >= V) return [{ ...weight, start: 0 }];
  const alignment = chunkAlignment(weight);
  const size = Math.floor(most / alignment) * alignment;
  if (size < 1) {
    throw new PupilError(
      'gpu-limit',
      `vocabularyChunks: chunks of (${weight.shape.join(', ')}) ${weight.kind} must be multiples of ${alignment} rows, at most ${most} were allowed`,
      'Give the head a larger logits scratch (headScratchRows says how large), or a smaller batch.',
    );
  }
  const chunks: VocabularyChunk[] = [];
  for (let start = 0; start < V; start += size) {
    chunks.push({ ...weightRows(weight, start, Math.min(size, V - start)), start });
  }
  return chunks;
}

/**
 * Vc, the width of the logits scratch [M, Vc] for so many target rows: the whole vocabulary where it fits the budget and
 * the adapter's largest binding, else as many rows as fit, and at least the smallest chunk that keeps the alignment.
 *
 * @throws PupilError `gpu-limit` when M rows of the smallest chunk exceed the largest binding.
 */
export function headScratchRows(
  gpu: Gpu,
  weight: DenseWeight,
  targetRows: number,
  { scratchBytes = 256 * 2 ** 20 }: { scratchBytes?: number } = {},
): number {
  const V = weight.shape[0];
  const columnBytes = Math.max(1, targetRows) * 4;
  const bindable = Math.floor(gpu.limits.maxStorageBufferBindingSize / columnBytes);
  const most = Math.min(bindable, Math.floor(scratchBytes / columnBytes), bindableRows(gpu, weight));
  if (most >= V) return V;
  const alignment = chunkAlignment(weight);
  const size = Math.max(alignment, Math.floor(most / alignment) * alignment);
  if (Math.min(size, V) > Math.min(bindable, bindableRows(gpu, weight))) {
    throw new PupilError(
      'gpu-limit',
      `headScratchRows: ${targetRows} target rows × ${size} logits exceed this adapter's largest binding of ${gpu.limits.maxStorageBufferBindingSize} bytes`,
      'Use a smaller batch or length.',
    );
  }
  return Math.min(size, V);
}

const CHUNK_SLOT_WORDS = 64; // 256 bytes, the alignment of a binding
const MAX_CHUNKS = 1024;
const chunkNumbers = new WeakMap<Gpu, Tensor>();

/** The number of a chunk as data: one pipeline serves all chunks. 256 KiB a device, made once. */
function chunkNumber(gpu: Gpu, index: number): Tensor {
  let numbers = chunkNumbers.get(gpu);
  if (numbers === undefined) {
    const words = new Uint32Array(MAX_CHUNKS * CHUNK_SLOT_WORDS).map((_, i) => Math.floor(i / CHUNK_SLOT_WORDS));
    numbers = gpu.arena('head').upload('chunk numbers', [words.length], 'u32', words);
    chunkNumbers.set(gpu, numbers);
  }
  if (index >= MAX_CHUNKS) {
    throw new PupilError(
      'gpu-limit',
      `head: the vocabulary is cut into more than ${MAX_CHUNKS} chunks`,
      'Give the head a larger logits scratch (headScratchRows says how large).',
    );
  }
  return view(numbers, index * CHUNK_SLOT_WORDS, [1], `chunk ${index}`);
}

interface HeadTensors {
  /** (M, C) final hidden states of the target rows */
  x: Tensor;
  /** (M) u32, below V */
  targets: Tensor;
  /** (M, Vc) scratch: its width decides the chunks */
  logits: Tensor;
  /** (M) */
  logsumexp: Tensor;
}

function checkedChunks(gpu: Gpu, op: string, t: HeadTensors, rows: Rows, weight: DenseWeight): VocabularyChunk[] {
  const M = rows.capacity;
  expectTensor(op, 'x', t.x, [M, weight.shape[1]], 'f32');
  expectTensor(op, 'targets', t.targets, [M], 'u32');
  expectTensor(op, 'logits', t.logits, [M, -1], 'f32');
  expectTensor(op, 'logsumexp', t.logsumexp, [M], 'f32');
  return vocabularyChunks(gpu, weight, { maxChunkRows: t.logits.shape[1]! });
}

function chunkLogits(logits: Tensor, chunk: VocabularyChunk): Tensor {
  return view(logits, 0, [logits.shape[0]!, chunk.shape[0]], `logits ${chunk.start}`);
}

/** y ← c·tanh(y/c) for the rows in use; y (M, V) f32. WRITES y in place; nothing where there is no cap. Throws `shape`. */
export function softcapLogits(gpu: Gpu, y: Tensor, options: { rows: Rows; cap: number | undefined }): Command[] {
  const { rows, cap } = options;
  if (cap === undefined) return [];
  expectTensor('softcapLogits', 'y', y, [rows.capacity, -1], 'f32');
  const width = y.shape[1]!;
  return [
    new Dispatch(gpu, LOGIT_SOFTCAP, { bind: { y }, constants: { width, cap }, rows, grid: elementGrid(gpu, width) }),
  ];
}

/**
 * Log-probability of each row's target under the head: logits = x Wᵀ (softly capped where `cap` is given), logsumexp over the vocabulary,
 * tokenLogps = targetLogit − logsumexp.
 *
 * @param tensors x (M, C), targets (M) u32, logits (M, Vc) scratch; WRITES logsumexp, targetLogit, tokenLogps (M).
 * @param options rows over M; weight (V, C) dense. A target ≥ V gives NaN.
 * @throws PupilError `shape`, `gpu-limit`.
 */
export function headForward(
  gpu: Gpu,
  tensors: HeadTensors & { targetLogit: Tensor; tokenLogps: Tensor },
  options: { rows: Rows; weight: DenseWeight; cap?: number | undefined },
): Command[] {
  const { x, targets, logits, logsumexp, targetLogit, tokenLogps } = tensors;
  const { rows, weight, cap } = options;
  const chunks = checkedChunks(gpu, 'headForward', tensors, rows, weight);
  expectTensor('headForward', 'targetLogit', targetLogit, [rows.capacity], 'f32');
  expectTensor('headForward', 'tokenLogps', tokenLogps, [rows.capacity], 'f32');
  return chunks.flatMap((chunk, i) => {
    const y = chunkLogits(logits, chunk);
    return [
      ...linearForward(gpu, { x, y }, { rows, weight: chunk }),
      ...softcapLogits(gpu, y, { rows, cap }),
      new Dispatch(gpu, LOGSUMEXP_UPDATE, {
        bind: {
          logits: y,
          targets,
          logsumexp,
          target_logit: targetLogit,
          token_logps: tokenLogps,
          chunk: chunkNumber(gpu, i),
        },
        constants: { lanes: wideLanes(gpu), V: weight.shape[0], SIZE: chunks[0]!.shape[0] },
        rows,
        grid: (count) => linearGrid(gpu, count),
      }),
    ];
  });
}

/**
 * Gradient of −Σ_m rowWeights[m]·tokenLogps[m]: dLogits = rowWeights·(softmax − onehot), times
 * 1 − (logits/c)² under a soft cap c, dX = dLogits W,
 * dW += dLogitsᵀ x. Logits are computed anew chunk by chunk.
 *
 * @param tensors as in the forward, logsumexp from it; rowWeights (M). WRITES dX (M, C); ADDS dWeight (V, C) f32, absent
 *   for a frozen head.
 * @param options reuseLogits: the scratch still holds this forward's logits (whole vocabulary in one chunk, nothing else
 *   used it since): saves the recomputation; ignored where there are several chunks.
 * @throws PupilError `shape`, `gpu-limit`.
 */
export function headBackward(
  gpu: Gpu,
  tensors: HeadTensors & { rowWeights: Tensor; dX: Tensor; dWeight?: Tensor | undefined },
  options: { rows: Rows; weight: DenseWeight; reuseLogits?: boolean; cap?: number | undefined },
): Command[] {
  const { x, targets, logits, logsumexp, rowWeights, dX, dWeight } = tensors;
  const { rows, weight, cap } = options;
  const [V, C] = weight.shape;
  const chunks = checkedChunks(gpu, 'headBackward', tensors, rows, weight);
  expectTensor('headBackward', 'rowWeights', rowWeights, [rows.capacity], 'f32');
  expectTensor('headBackward', 'dX', dX, [rows.capacity, C], 'f32');
  if (dWeight !== undefined) expectTensor('headBackward', 'dWeight', dWeight, [V, C], 'f32');
  const reuse = options.reuseLogits === true && chunks.length === 1;
  const lanes = wideLanes(gpu);
  return chunks.flatMap((chunk, i) => {
    const width = chunk.shape[0];
    const dY = chunkLogits(logits, chunk);
    return [
      ...(reuse
        ? []
        : [...linearForward(gpu, { x, y: dY }, { rows, weight: chunk }), ...softcapLogits(gpu, dY, { rows, cap })]),
      new Dispatch(gpu, CROSS_ENTROPY_BACKWARD, {
        bind: { logits: dY, targets, logsumexp, row_weights: rowWeights, chunk: chunkNumber(gpu, i) },
        constants: { lanes, V, SIZE: chunks[0]!.shape[0], cap: cap ?? 0 },
        rows,
        grid: (count) => linearGrid(gpu, count),
      }),
      ...linearBackwardInput(gpu, { dY, dX }, { rows, weight: chunk, accumulate: i > 0 }),
      ...(dWeight === undefined
        ? []
        : linearBackwardWeight(
            gpu,
            { x, dY, dW: view(dWeight, chunk.start * C, [width, C], `dWeight ${chunk.start}`) },
            { rows },
          )),
    ];
  });
}
