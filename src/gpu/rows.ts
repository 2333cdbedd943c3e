// rows.ts: how many rows (tokens, targets, elements) the commands of a step work on, as data. A step is recorded once
// for the largest batch; each batch only writes its counts. The same mechanism cuts long dispatches into slices, so that
// none risks the driver's watchdog.
import { PupilError } from '../base/errors';
import type { Gpu } from './device';
import type { Arena } from './tensor';

const SLOT_BYTES = 256; // the largest minUniformBufferOffsetAlignment that WebGPU allows
const MAX_SLOTS = 1024;

/**
 * A row count shared by many dispatches. In WGSL:
 *
 *     struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
 *     @group(0) @binding(0) var<uniform> rows: RowSlice;
 *
 * A kernel handles rows [first, end) of `count`; `end` is at most `count`. Without slicing first = 0, end = count.
 */
export class Rows {
  readonly buffer: GPUBuffer;
  private readonly words = new Uint32Array((MAX_SLOTS * SLOT_BYTES) / 4);
  private readonly groups = new Map<number, number>(); // rows in a slice → its first slot
  private slots = 0;
  private current = 0;

  constructor(
    private readonly gpu: Gpu,
    arena: Arena,
    readonly label: string,
    readonly capacity: number,
  ) {
    this.buffer = arena.buffer(
      `rows ${label}`,
      MAX_SLOTS * SLOT_BYTES,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    );
  }

  get count(): number {
    return this.current;
  }

  /** Sets the number of rows for the work submitted from now on. */
  set(count: number): void {
    if (!Number.isInteger(count) || count < 0 || count > this.capacity) {
      throw new PupilError('shape', `rows ${this.label}: expected 0 to ${this.capacity}, got ${count}`);
    }
    this.current = count;
    for (const [sliceRows, firstSlot] of this.groups) this.fill(sliceRows, firstSlot);
    this.flush();
  }

  /** Registers a slicing and returns its first slot. At most one slot a slice of the capacity. */
  slicing(rowsPerSlice: number): number {
    const sliceRows = Math.max(1, Math.min(this.capacity, Math.floor(rowsPerSlice)));
    const known = this.groups.get(sliceRows);
    if (known !== undefined) return known;
    const first = this.slots;
    this.slots += Math.max(1, Math.ceil(this.capacity / sliceRows));
    if (this.slots > MAX_SLOTS) {
      throw new PupilError(
        'gpu-limit',
        `rows ${this.label}: slices of ${sliceRows} of ${this.capacity} rows are too many`,
      );
    }
    this.groups.set(sliceRows, first);
    this.fill(sliceRows, first);
    this.flush();
    return first;
  }

  /** The slices that have rows at the present count, as [byte offset, rows in the slice]. */
  slices(firstSlot: number, rowsPerSlice: number): [number, number][] {
    const sliceRows = Math.max(1, Math.min(this.capacity, Math.floor(rowsPerSlice)));
    const out: [number, number][] = [];
    for (let first = 0, slot = firstSlot; first < this.current; first += sliceRows, slot++) {
      out.push([slot * SLOT_BYTES, Math.min(sliceRows, this.current - first)]);
    }
    return out;
  }

  private fill(sliceRows: number, firstSlot: number): void {
    for (let first = 0, slot = firstSlot; first < Math.max(1, this.capacity); first += sliceRows, slot++) {
      const at = (slot * SLOT_BYTES) / 4;
      this.words[at] = first;
      this.words[at + 1] = Math.min(first + sliceRows, this.current);
      this.words[at + 2] = this.current;
      this.words[at + 3] = this.capacity;
    }
  }

  private flush(): void {
    if (this.slots > 0) this.gpu.device.queue.writeBuffer(this.buffer, 0, this.words, 0, (this.slots * SLOT_BYTES) / 4);
  }
}
