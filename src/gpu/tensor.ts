// tensor.ts: tensors on the GPU and the arenas that own their buffers. It knows no mathematics.
import { DTYPE_BYTES, elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';

/** Element types that live on the GPU. `u8` is packed four to a word; the buffer is padded to whole words. */
export type GpuDType = Extract<DType, 'f32' | 'f16' | 'u32' | 'i32' | 'u8'>;

/**
 * A row-major tensor in one GPU buffer. Views share a buffer at another offset. WebGPU forbids binding one buffer both
 * read-only and writable in a dispatch, whatever the ranges, so views are for buffers used one way at a time.
 */
export interface Tensor {
  readonly label: string;
  readonly buffer: GPUBuffer;
  /** Byte offset of the first element; a multiple of 256 wherever the tensor is bound. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly dtype: GpuDType;
  /** Bytes bound: the elements, padded to a multiple of 4. */
  readonly sizeBytes: number;
}

export function tensorBytes(shape: readonly number[], dtype: GpuDType): number {
  return Math.ceil((elementCount(shape) * DTYPE_BYTES[dtype]) / 4) * 4;
}

/** A part of a tensor's buffer as a tensor of its own. Throws `shape` when it would reach past the end. */
export function view(
  tensor: Tensor,
  elementOffset: number,
  shape: readonly number[],
  label = tensor.label,
  dtype: GpuDType = tensor.dtype,
): Tensor {
  const start = elementOffset * DTYPE_BYTES[dtype];
  const sizeBytes = tensorBytes(shape, dtype);
  if (start % 4 !== 0 || start + sizeBytes > tensor.sizeBytes) {
    throw new PupilError(
      'shape',
      `view of ${tensor.label}: [${shape.join(', ')}] at element ${elementOffset} must lie inside ${tensor.sizeBytes} bytes`,
    );
  }
  return { label, buffer: tensor.buffer, offset: tensor.offset + start, shape, dtype, sizeBytes };
}

/** Throws a `shape` error unless the tensor has this shape and dtype. `-1` matches any size. */
export function expectTensor(
  op: string,
  name: string,
  tensor: Tensor,
  shape: readonly number[],
  dtype?: GpuDType,
): void {
  const fits =
    tensor.shape.length === shape.length && shape.every((size, i) => size === -1 || size === tensor.shape[i]);
  if (!fits || (dtype !== undefined && dtype !== tensor.dtype)) {
    throw new PupilError(
      'shape',
      `${op}: ${name} must be (${shape.map((s) => (s === -1 ? '*' : s)).join(', ')}) ${dtype ?? ''}, ` +
        `got (${tensor.shape.join(', ')}) ${tensor.dtype} ("${tensor.label}")`,
    );
  }
}

/** What an arena needs of the device; device.ts is the one that offers it. */
export interface BufferHost {
  readonly limits: { readonly maxBufferSize: number };
  readonly account: ByteAccount;
  createAccountedBuffer(label: string, size: number, usage: GPUBufferUsageFlags, arena: string): GPUBuffer;
  write(tensor: Tensor, data: ArrayBufferView): void;
}

/**
 * Owns buffers that live and die together (a model's weights, a training step's activations) and counts their bytes.
 * Every byte that Pupil takes of the GPU goes through an arena, so `gpu.account` is complete.
 */
export class Arena {
  private readonly buffers: GPUBuffer[] = [];
  private bytes = 0;
  private open = true;

  constructor(
    private readonly gpu: BufferHost,
    readonly label: string,
  ) {}

  get sizeBytes(): number {
    return this.bytes;
  }

  /** A raw buffer. Size is rounded up to 4. Throws `gpu-limit` when it exceeds the device's largest buffer. */
  buffer(label: string, sizeBytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    if (!this.open) throw new PupilError('gpu-validation', `Arena ${this.label}: already destroyed`);
    const size = Math.max(4, Math.ceil(sizeBytes / 4) * 4);
    const most = this.gpu.limits.maxBufferSize;
    if (size > most) {
      throw new PupilError(
        'gpu-limit',
        `${this.label}/${label}: a buffer of ${size} bytes exceeds this adapter's largest of ${most}`,
        'Use a smaller batch or length, or a smaller student.',
      );
    }
    const buffer = this.gpu.createAccountedBuffer(`${this.label}/${label}`, size, usage, this.label);
    this.buffers.push(buffer);
    this.bytes += size;
    return buffer;
  }

  /** A tensor in a storage buffer of its own, zero-filled (as WebGPU guarantees). */
  tensor(
    label: string,
    shape: readonly number[],
    dtype: GpuDType = 'f32',
    extraUsage: GPUBufferUsageFlags = 0,
  ): Tensor {
    for (const size of shape) {
      if (!Number.isInteger(size) || size < 0) {
        throw new PupilError('shape', `${this.label}/${label}: sizes must be whole numbers, got [${shape.join(', ')}]`);
      }
    }
    const sizeBytes = Math.max(4, tensorBytes(shape, dtype));
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | extraUsage;
    return { label, buffer: this.buffer(label, sizeBytes, usage), offset: 0, shape, dtype, sizeBytes };
  }

  /** A tensor with its contents. The typed array's bytes are taken as they are. */
  upload(label: string, shape: readonly number[], dtype: GpuDType, data: ArrayBufferView): Tensor {
    const tensor = this.tensor(label, shape, dtype);
    this.gpu.write(tensor, data);
    return tensor;
  }

  /** Frees everything. Only call when no submitted work still uses it (WebGPU defers the destruction safely). */
  destroy(): void {
    if (!this.open) return;
    this.open = false;
    for (const buffer of this.buffers) buffer.destroy();
    this.gpu.account.release(this.label, this.bytes, this.buffers.length);
    this.buffers.length = 0;
  }
}

/** How many bytes each arena holds now, and the most that all held at once. */
export class ByteAccount {
  private readonly byLabel = new Map<string, number>();
  current = 0;
  peak = 0;
  /** Buffers made since the device was acquired; a training step must not raise it. */
  buffersCreated = 0;
  buffersAlive = 0;

  take(label: string, bytes: number): void {
    this.byLabel.set(label, (this.byLabel.get(label) ?? 0) + bytes);
    this.current += bytes;
    this.peak = Math.max(this.peak, this.current);
    this.buffersCreated++;
    this.buffersAlive++;
  }

  release(label: string, bytes: number, buffers: number): void {
    this.byLabel.set(label, (this.byLabel.get(label) ?? 0) - bytes);
    this.current -= bytes;
    this.buffersAlive -= buffers;
  }

  /** Forgets what was held before now: the peak is that of the work which begins. */
  restartPeak(): void {
    this.peak = this.current;
  }

  /** Bytes by arena, largest first. */
  entries(): [string, number][] {
    return [...this.byLabel].filter(([, bytes]) => bytes > 0).sort((a, b) => b[1] - a[1]);
  }
}
