// weights.ts: the forms in which a linear layer's weight W (O, C) lives on the GPU. Kernels choose by `kind`.
// Here too: how one too large for a binding of the adapter is cut into parts of whole rows.
import { PupilError } from '../base/errors';
import type { Gpu } from '../gpu/device';
import { view, type Tensor } from '../gpu/tensor';

/** What a storage binding's offset must be a multiple of, in bytes, on any adapter. */
const BINDING_ALIGNMENT = 256;

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

export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** Least number of rows, a power of two times `multiple`, that takes a multiple of 256 bytes; rowBytes may be a half. */
export function rowAlignment(rowBytes: number, multiple = 1): number {
  let rows = multiple;
  while ((rows * rowBytes) % BINDING_ALIGNMENT !== 0) rows *= 2;
  return rows;
}

/**
 * The rows of a matrix as ranges that a binding of this adapter can hold: one where all fit, else equal ones (the last may be
 * shorter) that begin at multiples of 256 bytes and of `multiple` rows.
 *
 * @throws PupilError `gpu-limit` where not even the shortest such range fits.
 */
export function bindableRanges(
  gpu: Pick<Gpu, 'limits'>,
  what: string,
  rows: number,
  rowBytes: number,
  multiple = 1,
): RowRange[] {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  if (rows * rowBytes <= limit) return [{ first: 0, count: rows }];
  const step = rowAlignment(rowBytes, multiple);
  const count = Math.floor(limit / rowBytes / step) * step;
  if (count === 0) {
    throw new PupilError('gpu-limit', `${what}: ${step} rows of ${rowBytes} bytes exceed a binding of ${limit} bytes`);
  }
  return Array.from({ length: Math.ceil(rows / count) }, (_, i) => ({
    first: i * count,
    count: Math.min(count, rows - i * count),
  }));
}

/**
 * Rows [first, first + count) of a weight, for chunking a head over the vocabulary and for parts that can be bound; `first`
 * rows must be a multiple of 256 bytes. An NF4 part keeps the whole's absmax: its first block is number first·C/64 of them.
 */
export function weightRows(weight: DenseWeight, first: number, count: number): DenseWeight;
export function weightRows(weight: LinearWeight, first: number, count: number): LinearWeight;
export function weightRows(weight: LinearWeight, first: number, count: number): LinearWeight {
  const C = weight.shape[1];
  const shape = [count, C] as const;
  if (weight.kind === 'nf4') {
    return { ...weight, shape, packed: view(weight.packed, (first * C) / 2, [Math.ceil((count * C) / 2)]) };
  }
  return { kind: weight.kind, shape, data: view(weight.data, first * C, shape) };
}
