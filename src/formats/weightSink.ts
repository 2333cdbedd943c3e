// weightSink.ts: what wants to see the weights of a student while they stream in: a cache that keeps them. It stores nothing
// itself.
import type { DType } from '../base/dtypes';
import type { Bnb4bitWeight } from './bnb4bit';

/** A linear weight in NF4 as bitsandbytes lays it out on disk: packed, absmax (f32, or codes and what they nest in), shape. */
export type StoredNf4 = Bnb4bitWeight;

/**
 * Called while a student streams in, in the order of loading, one call after the other. What was passed on may still turn
 * out to be bad (a value that is not finite): only when the load has succeeded may it be kept.
 */
export interface WeightSink {
  /** A dense tensor's bytes as the checkpoint stores them (dtype f32/f16/bf16, as in the file), pieces in order, each ≤ 16 MiB; `start` is the byte offset. */
  dense(
    name: string,
    info: { dtype: DType; shape: readonly number[]; sizeBytes: number },
    start: number,
    bytes: Uint8Array,
  ): Promise<void>;
  /** A linear weight that was quantised on the GPU, read back as bitsandbytes lays it out on disk. */
  nf4(name: string, weight: StoredNf4): Promise<void>;
}
