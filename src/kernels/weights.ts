// weights.ts: the forms in which a linear layer's weight W (O, C) lives on the GPU. Kernels choose by `kind`.
import { view, type Tensor } from '../gpu/tensor';

/** Row-major (O, C), f32 or f16. */
export interface DenseWeight {
  readonly kind: 'f32' | 'f16';
  readonly shape: readonly [O: number, C: number];
  readonly data: Tensor;
}

/**
 * NF4 as bitsandbytes packs it: elements flattened row-major, EVEN element in the HIGH nibble of each byte, blocks of
 * `blockSize` (64) with one absmax each. Blocks may straddle rows; the last may be short.
 */
export interface Nf4Weight {
  readonly kind: 'nf4';
  readonly shape: readonly [O: number, C: number];
  readonly blockSize: number;
  /** u8 [ceil(O·C/2)], padded to whole words. */
  readonly packed: Tensor;
  /** Single quantisation: f32 [blocks]. Double: u8 codes [blocks]. */
  readonly absmax: Tensor;
  /**
   * Double quantisation only, f32: 256 map values, then the offset, then ceil(blocks/256) nested absmax;
   * absmax[b] = map[code[b]] · nested_absmax[b / 256] + offset.
   */
  readonly nested?: Tensor;
}

export type LinearWeight = DenseWeight | Nf4Weight;

/** Rows [first, first + count) of a dense weight, for chunking a head over the vocabulary. `first·C` bytes must be 256-aligned. */
export function weightRows(weight: DenseWeight, first: number, count: number): DenseWeight {
  const C = weight.shape[1];
  return { kind: weight.kind, shape: [count, C], data: view(weight.data, first * C, [count, C]) };
}
