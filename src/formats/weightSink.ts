// weightSink.ts: what a student's weights are handed to while they stream in, besides the GPU: a writer that keeps them for
// the next time, say. A type only; who writes what where is session/studentSink.ts.
import type { DType } from '../base/dtypes';
import type { Bnb4bitWeight } from './bnb4bit';

/** An NF4 weight as it is on the GPU: of what dtype it once was is for the checkpoint to know. */
export type StoredNf4 = Omit<Bnb4bitWeight, 'dtype'>;

/** Called in the order of loading; the loader waits for each call. */
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
