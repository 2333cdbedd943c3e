// weightStream.ts: the way of weights' bytes from memory to the GPU, in chunks through a few staging buffers, so that neither
// side ever holds more than these of a tensor that is not the student's own. A buffer is filled again when the GPU has read
// it: that is the back-pressure, and where a chunk's refusal comes to light. What is done with a chunk is the caller's; where
// chunks come from is studentLoading.ts.
import { elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { Recorder, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import { CHUNK_STEP_ELEMENTS, refusedElement, type StoredChunk } from '../kernels/decode';

/**
 * Bytes of a chunk, unless told otherwise. A browser holds several times as many of each chunk under way (what it has
 * received, the array made of it, arrays not collected yet), so this is what decides how far a renderer grows.
 */
export const CHUNK_BYTES = 4 * 2 ** 20;
/** Chunks that the GPU may still be reading. */
const SLOTS = 3;
/** Number of elements, and what the kernels find: copied in front of the bytes and back behind them. */
const HEADER_BYTES = 8;
/** A chunk of float32 is so many bytes long, or a multiple: then every part of it can be bound in every dtype. */
const STEP_BYTES = 4 * CHUNK_STEP_ELEMENTS;

/** The elements of the largest of some tensors. */
export function largestElements(tensors: readonly { shape: readonly number[] }[]): number {
  return tensors.reduce((most, { shape }) => Math.max(most, elementCount(shape)), 1);
}

/** Bytes that a chunk holds at most, for tensors of at most so many elements. */
export function chunkCapacity(largestElements: number, chunkBytes = CHUNK_BYTES): number {
  const steps = Math.min(Math.floor(chunkBytes / STEP_BYTES), Math.ceil((4 * largestElements) / STEP_BYTES));
  return STEP_BYTES * Math.max(1, steps);
}

/** Bytes that a {@link WeightStream} takes of the GPU. */
export function streamBytes(largestElements: number, chunkBytes?: number): number {
  const capacity = chunkCapacity(largestElements, chunkBytes);
  return SLOTS * (capacity + 2 * HEADER_BYTES) + capacity + HEADER_BYTES;
}

interface Slot {
  /** Header, bytes. */
  readonly staging: GPUBuffer;
  /** The header as the kernels left it. */
  readonly result: GPUBuffer;
  /** Resolves when `staging` is mapped; rejects with what was wrong with the chunk before. */
  ready: Promise<void>;
}

/** What is to be done with a chunk. */
export interface ChunkWork {
  elements: number;
  commands(chunk: StoredChunk): Command[];
  /** The error for an element (counted from the chunk's first) that the kernels refused. */
  refused(element: number): Promise<PupilError>;
}

export class WeightStream {
  /** Most bytes of a chunk. */
  readonly capacity: number;
  private readonly arena: Arena;
  private readonly slots: Slot[] = [];
  private readonly chunk: StoredChunk;
  private next = 0;

  /** @param options largestElements of any tensor to come; chunkBytes at least 16 KiB (for tests of borders) */
  constructor(
    private readonly gpu: Gpu,
    options: { largestElements: number; chunkBytes?: number | undefined },
  ) {
    this.capacity = chunkCapacity(options.largestElements, options.chunkBytes);
    this.arena = gpu.arena('loading');
    for (let i = 0; i < SLOTS; i++) {
      const up = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
      const down = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      const staging = this.arena.buffer(`staging ${i}`, HEADER_BYTES + this.capacity, up);
      const result = this.arena.buffer(`result ${i}`, HEADER_BYTES, down);
      this.slots.push({ staging, result, ready: handled(gpu.guard(staging.mapAsync(GPUMapMode.WRITE))) });
    }
    this.chunk = {
      stored: this.arena.tensor('stored', [this.capacity / 4], 'u32'),
      chunk: this.arena.tensor('chunk', [HEADER_BYTES / 4], 'u32'),
    };
  }

  /**
   * Hands a chunk to the GPU, as soon as a staging buffer is free.
   * @throws PupilError what was refused of an earlier chunk; `gpu-…`
   */
  async push(bytes: Uint8Array, work: ChunkWork): Promise<void> {
    const commands = work.commands(this.chunk);
    const { stored, chunk } = this.chunk;
    await this.send(bytes, work.elements, work.refused, (recorder, slot, size) => {
      recorder.copy(slot.staging, HEADER_BYTES, stored.buffer, 0, size);
      recorder.copy(slot.staging, 0, chunk.buffer, 0, HEADER_BYTES);
      recorder.add(...commands);
      recorder.copy(chunk.buffer, 0, slot.result, 0, HEADER_BYTES);
    });
  }

  /** Copies bytes to a tensor as they are, from byte `start` (a multiple of 4) on. */
  async copy(bytes: Uint8Array, to: Tensor, start: number): Promise<void> {
    if (start % 4 !== 0 || start + bytes.byteLength > to.sizeBytes) {
      throw new PupilError(
        'shape',
        `WeightStream: ${bytes.byteLength} bytes at ${start} must lie on words inside ${to.label} (${to.sizeBytes} bytes)`,
      );
    }
    await this.send(bytes, 0, undefined, (recorder, slot, size) => {
      recorder.copy(slot.staging, HEADER_BYTES, to.buffer, to.offset + start, size);
    });
  }

  /** Resolves when the GPU has done everything. @throws PupilError what was refused of a chunk, the earliest first */
  async finish(): Promise<void> {
    for (let i = 0; i < SLOTS; i++) await this.slots[(this.next + i) % SLOTS]!.ready;
  }

  /** Frees the staging buffers. What has been handed over goes on. */
  destroy(): void {
    this.arena.destroy();
  }

  private async send(
    bytes: Uint8Array,
    elements: number,
    refused: ChunkWork['refused'] | undefined,
    record: (recorder: Recorder, slot: Slot, size: number) => void,
  ): Promise<void> {
    if (bytes.byteLength > this.capacity) {
      throw new PupilError('shape', `WeightStream: a chunk of ${bytes.byteLength} bytes, at most ${this.capacity}`);
    }
    const slot = this.slots[this.next]!;
    this.next = (this.next + 1) % SLOTS;
    await slot.ready;
    await this.gpu.settled();
    const size = Math.ceil(bytes.byteLength / 4) * 4;
    const mapped = slot.staging.getMappedRange(0, HEADER_BYTES + size);
    new Uint32Array(mapped, 0, 2).set([elements, 0]);
    const data = new Uint8Array(mapped, HEADER_BYTES);
    data.set(bytes);
    data.fill(0, bytes.byteLength); // the rest of a last word
    slot.staging.unmap();
    const recorder = new Recorder(this.gpu, 'weights');
    record(recorder, slot, size);
    recorder.submit();
    slot.ready = handled(this.settle(slot, refused));
  }

  /** Waits until the GPU has read the slot, and throws what the kernels refused. */
  private async settle(slot: Slot, refused: ChunkWork['refused'] | undefined): Promise<void> {
    const mapped = slot.staging.mapAsync(GPUMapMode.WRITE);
    if (refused === undefined) return this.gpu.guard(mapped);
    await this.gpu.guard(Promise.all([mapped, slot.result.mapAsync(GPUMapMode.READ)]));
    const element = refusedElement(new Uint32Array(slot.result.getMappedRange())[1]!);
    slot.result.unmap();
    if (element !== undefined) throw await refused(element);
  }
}

/** The same promise, whose failure is seen by whoever awaits it and by nobody else. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
