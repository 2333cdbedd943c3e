// dropout.ts: from what the dropout masks of a training step are drawn: counters of each adapted layer, as data on the GPU.
// A mask follows from (seed, step, micro-batch, layer) and never from history, so that a resumed run draws the same ones.
// The drawing itself is shaders/lora/lora_dropout.wgsl.
import type { Gpu } from '../gpu/device';
import { view, type Arena, type Tensor } from '../gpu/tensor';
import type { Adapter } from './adapter';

/** Where the layers of a block find their counters. */
export interface DropoutState {
  /** Counters of an adapted layer, by its stream: u32 [4] = (seed, step, micro-batch, stream). */
  counters(stream: number): Tensor;
  /** f32, N rows of the widest adapted input. */
  readonly scratch: Tensor;
}

/** Four counters a layer, 256 bytes apart so that each can be bound. */
const STRIDE_WORDS = 64;

export class DropoutCounters implements DropoutState {
  readonly scratch: Tensor;
  private readonly table: Tensor;
  private readonly words: Uint32Array<ArrayBuffer>;
  private readonly streams: readonly number[];

  constructor(
    private readonly gpu: Gpu,
    arena: Arena,
    adapter: Adapter,
    N: number,
  ) {
    const { hiddenSize: C, intermediateSize: F, heads: H, headSize: K } = adapter.student.config;
    this.streams = [...adapter.sites()].map((site) => site.stream);
    this.words = new Uint32Array(this.streams.length * STRIDE_WORDS);
    this.streams.forEach((stream, s) => (this.words[s * STRIDE_WORDS + 3] = stream));
    this.table = arena.tensor('dropout counters', [this.words.length], 'u32');
    this.scratch = arena.tensor('dropout', [N, Math.max(C, F, H * K)]);
  }

  counters(stream: number): Tensor {
    return view(this.table, this.streams.indexOf(stream) * STRIDE_WORDS, [4], 'dropout counters');
  }

  /** For the work submitted from now on. */
  set(seed: number, step: number, microBatch: number): void {
    for (let at = 0; at < this.words.length; at += STRIDE_WORDS) {
      this.words[at] = seed;
      this.words[at + 1] = step;
      this.words[at + 2] = microBatch;
    }
    this.gpu.write(this.table, this.words);
  }
}
