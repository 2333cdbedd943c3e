// readback.ts: a ring of staging buffers that carries small results (losses, norms, token ids) to the CPU without
// stopping the GPU. Reads of many bytes (weights, logits) use gpu.read instead.
import { PupilError } from '../base/errors';
import type { Recorder } from './commands';
import type { Gpu } from './device';
import type { Arena, Tensor } from './tensor';

/**
 * `slots` staging buffers of `slotBytes`. Call {@link StagingRing.copy} while recording, submit, then await the returned
 * function. Only when all slots are in flight does the next copy wait (through `await ring.free()`).
 */
export class StagingRing {
  private readonly buffers: GPUBuffer[] = [];
  private readonly busy: (Promise<void> | undefined)[];
  private next = 0;

  constructor(
    private readonly gpu: Gpu,
    arena: Arena,
    label: string,
    slots: number,
    private readonly slotBytes: number,
  ) {
    for (let i = 0; i < slots; i++) {
      this.buffers.push(
        arena.buffer(`${label} staging ${i}`, slotBytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
      );
    }
    this.busy = new Array<Promise<void> | undefined>(slots).fill(undefined);
  }

  /** Resolves when the slot that comes next is free. */
  async free(): Promise<void> {
    await this.busy[this.next];
  }

  /**
   * Records copies of the tensors, one behind the other, into the next slot. After submitting, call the returned function
   * once: it resolves with the bytes of each tensor.
   */
  copy(recorder: Recorder, tensors: readonly Tensor[]): () => Promise<ArrayBuffer[]> {
    const slot = this.next;
    if (this.busy[slot] !== undefined) {
      throw new PupilError('gpu-validation', 'StagingRing: every slot is in flight; await free() first');
    }
    this.next = (slot + 1) % this.buffers.length;
    const buffer = this.buffers[slot]!;
    let at = 0;
    for (const tensor of tensors) {
      if (at + tensor.sizeBytes > this.slotBytes) {
        throw new PupilError('shape', `StagingRing: ${tensor.label} does not fit a slot of ${this.slotBytes} bytes`);
      }
      recorder.copy(tensor.buffer, tensor.offset, buffer, at, tensor.sizeBytes);
      at += tensor.sizeBytes;
    }
    let release!: () => void;
    this.busy[slot] = new Promise<void>((resolve) => (release = resolve));
    return async () => {
      try {
        await this.gpu.guard(buffer.mapAsync(GPUMapMode.READ, 0, at));
        const mapped = buffer.getMappedRange(0, at);
        let from = 0;
        const out = tensors.map((tensor) => mapped.slice(from, (from += tensor.sizeBytes)));
        buffer.unmap();
        return out;
      } finally {
        this.busy[slot] = undefined;
        release();
      }
    };
  }
}
