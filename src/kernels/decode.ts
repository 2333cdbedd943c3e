// decode.ts: chunks of a checkpoint's tensor, as its bytes are stored, into dense f32 or f16 on the GPU, checked for values
// that may not be taken. Into NF4: quantize.ts. How the bytes come here is model/weightStream.ts.
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource, type KernelSource } from '../gpu/pipelines';
import { expectTensor, tensorBytes, type Tensor } from '../gpu/tensor';
import type { StoredDtype } from '../reference/decode';
import storedBf16Wgsl from '../../shaders/quant/stored_bf16.wgsl?raw';
import storedChunkWgsl from '../../shaders/quant/stored_chunk.wgsl?raw';
import storedF16Wgsl from '../../shaders/quant/stored_f16.wgsl?raw';
import storedF32Wgsl from '../../shaders/quant/stored_f32.wgsl?raw';
import decodeF16Wgsl from '../../shaders/quant/decode_f16.wgsl?raw';
import decodeF32Wgsl from '../../shaders/quant/decode_f32.wgsl?raw';

/** A chunk begins at a multiple of this many elements of its tensor, so that every part of it can be bound (256 bytes). */
export const CHUNK_STEP_ELEMENTS = 4096;

/** A chunk on the GPU. */
export interface StoredChunk {
  /** The bytes as they are stored. */
  stored: Tensor; // (words) u32
  /** Number of elements, then 0: where something is refused, 2³² − 1 − its index. */
  chunk: Tensor; // (2) u32
}

/** A kernel once for each dtype that it reads. */
export function storedKernels(name: string, wgsl: string, ...preludes: string[]): Record<StoredDtype, KernelSource> {
  return {
    f32: kernelSource(name, wgsl, storedChunkWgsl, storedF32Wgsl, ...preludes),
    f16: kernelSource(name, wgsl, storedChunkWgsl, storedF16Wgsl, ...preludes),
    bf16: kernelSource(name, wgsl, storedChunkWgsl, storedBf16Wgsl, ...preludes),
  };
}

const DECODE = {
  f32: storedKernels('decode_f32', decodeF32Wgsl),
  f16: storedKernels('decode_f16', decodeF16Wgsl),
};

/** @throws PupilError `shape` unless the chunk can hold so many elements. */
export function expectChunk(op: string, chunk: StoredChunk, dtype: StoredDtype, elements: number): void {
  expectTensor(op, 'stored', chunk.stored, [-1], 'u32');
  expectTensor(op, 'chunk', chunk.chunk, [2], 'u32');
  const needed = dtype === 'f32' ? 4 * elements : 2 * elements;
  if (needed > chunk.stored.sizeBytes) {
    throw new PupilError(
      'shape',
      `${op}: ${elements} elements of ${dtype} do not fit the chunk's ${chunk.stored.sizeBytes} bytes`,
    );
  }
}

/** The element of a chunk that was refused first, from the second word of `chunk` after the kernels; undefined for 0. */
export function refusedElement(word: number): number | undefined {
  return word === 0 ? undefined : 0xffffffff - word;
}

/**
 * y = the chunk's elements: exactly in f32, rounded to the nearest half (ties to even) in f16. Non-finite elements, and those
 * that f16 cannot hold, are marked in `chunk`.
 *
 * @param tensors the chunk, which says how many elements it has; y f32 or f16 [at least so many]
 * @param options dtype of the stored bytes; elements, at most so many
 * @throws PupilError `shape`
 */
export function decodeStored(
  gpu: Gpu,
  tensors: StoredChunk & { y: Tensor },
  options: { dtype: StoredDtype; elements: number },
): Command[] {
  const { stored, chunk, y } = tensors;
  const { dtype, elements } = options;
  expectChunk('decodeStored', tensors, dtype, elements);
  const to = y.dtype;
  if ((to !== 'f32' && to !== 'f16') || y.sizeBytes < tensorBytes([elements], to)) {
    throw new PupilError(
      'shape',
      `decodeStored: y must hold ${elements} of f32 or f16, got ${y.sizeBytes} bytes of ${to}`,
    );
  }
  return [
    new Dispatch(gpu, DECODE[to][dtype], {
      bind: { stored, chunk, y },
      grid: () => linearGrid(gpu, Math.ceil(elements / 256)),
    }),
  ];
}
