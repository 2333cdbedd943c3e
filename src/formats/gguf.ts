// gguf.ts: the container that llama.cpp reads: typed metadata and named tensors in one file, little-endian, written part by
// part (a model need never be in memory at once). It knows no model: what the keys mean is ggufModel.ts, ggufAdapter.ts and
// ggufVocabulary.ts. It reads nothing.
// Source: ggml, docs/gguf.md (version 3).
import { DTYPE_BYTES, elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';

/** A metadata value with its type in the file. */
export type GgufValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'i32s' | 'f32s'; value: ArrayLike<number> };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Dtypes that tensors are written in. */
export type GgufDtype = 'f32' | 'f16' | 'bf16';

/** A tensor's name, type and shape (row-major, as everywhere here; the file has the sizes the other way round). */
export interface GgufTensor {
  readonly name: string;
  readonly dtype: GgufDtype;
  readonly shape: readonly number[];
}

/** A file to be written piece by piece. */
export interface GgufParts {
  /** Everything before the tensors' bytes, padded. */
  readonly header: Uint8Array;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
  /** The header, then the tensors' bytes in order, padded; each call starts anew. */
  parts(): AsyncGenerator<Uint8Array>;
}

const VERSION = 3;
/** What a file without `general.alignment` has. */
const ALIGNMENT = 32;
/** enum ggml_type. */
const TENSOR_TYPES: Record<GgufDtype, number> = { f32: 0, f16: 1, bf16: 30 };
/** enum gguf_metadata_value_type. */
const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const MAX_DIMENSIONS = 4;
/** The specification allows 64 bytes; ggml keeps them with a NUL behind. */
const MAX_NAME_BYTES = 63;

/**
 * A GGUF file whose tensors are made one after the other while it is written.
 * @param produce the bytes of a tensor, when its turn comes, in pieces
 * @throws PupilError `shape` for a key or name that the format does not allow, or one that is taken; while iterating, where
 *   the bytes produced do not fit dtype and shape
 */
export function writeGguf<T extends GgufTensor>(
  metadata: GgufMetadata,
  tensors: readonly T[],
  produce: (tensor: T) => AsyncIterable<Uint8Array>,
): GgufParts {
  const header = encodeHeader(metadata, tensors);
  return {
    header,
    totalBytes: tensors.reduce((sum, tensor) => sum + aligned(sizeBytes(tensor)), header.byteLength),
    async *parts() {
      yield header;
      for (const tensor of tensors) {
        const expected = sizeBytes(tensor);
        let written = 0;
        for await (const piece of produce(tensor)) {
          written += piece.byteLength;
          if (written > expected) break;
          yield piece;
        }
        if (written !== expected) {
          throw new PupilError(
            'shape',
            `writeGguf: "${tensor.name}": expected ${expected} bytes for ${tensor.dtype} [${tensor.shape.join(', ')}], got ${written}`,
          );
        }
        if (aligned(expected) > expected) yield new Uint8Array(aligned(expected) - expected);
      }
    },
  };
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

const sizeBytes = ({ dtype, shape }: GgufTensor): number => elementCount(shape) * DTYPE_BYTES[dtype];

function encodeHeader(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Uint8Array {
  const out = new ByteWriter();
  out.bytes(new TextEncoder().encode('GGUF'));
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    if (!/^[a-z0-9_]+(\.[a-z0-9_]+)*$/.test(key) || key.length > 65_535) {
      throw new PupilError('shape', `writeGguf: expected a key like general.name, got ${JSON.stringify(key)}`);
    }
    out.string(key);
    writeValue(out, key, value);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    const nameBytes = new TextEncoder().encode(name).byteLength;
    if (names.has(name) || nameBytes === 0 || nameBytes > MAX_NAME_BYTES) {
      throw new PupilError(
        'shape',
        `writeGguf: expected distinct tensor names of 1 to ${MAX_NAME_BYTES} bytes, got "${name}"`,
      );
    }
    names.add(name);
    const fits = shape.length >= 1 && shape.length <= MAX_DIMENSIONS;
    if (!fits || !shape.every((size) => Number.isSafeInteger(size) && size >= 1)) {
      throw new PupilError('shape', `writeGguf: "${name}": expected 1 to 4 sizes ≥ 1, got [${shape.join(', ')}]`);
    }
    out.string(name);
    out.u32(shape.length);
    for (const size of shape.slice().reverse()) out.u64(size);
    out.u32(TENSOR_TYPES[dtype]);
    out.u64(offset);
    offset += aligned(sizeBytes(tensor));
  }
  out.pad(ALIGNMENT);
  return out.take();
}

function writeValue(out: ByteWriter, key: string, entry: GgufValue): void {
  const expectRange = (value: number, low: number, high: number): number => {
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    throw new PupilError('shape', `writeGguf: ${key}: expected a whole number from ${low} to ${high}, got ${value}`);
  };
  const u32 = (value: number): void => out.u32(expectRange(value, 0, 2 ** 32 - 1));
  const i32 = (value: number): void => out.u32(expectRange(value, -(2 ** 31), 2 ** 31 - 1) >>> 0);
  const array = <T>(type: number, values: ArrayLike<T>, write: (value: T) => void): void => {
    out.u32(VALUE_TYPES.array);
    out.u32(type);
    out.u64(values.length);
    for (let i = 0; i < values.length; i++) write(values[i]!);
  };
  switch (entry.type) {
    case 'u32':
      out.u32(VALUE_TYPES.u32);
      return u32(entry.value);
    case 'i32':
      out.u32(VALUE_TYPES.i32);
      return i32(entry.value);
    case 'f32':
      out.u32(VALUE_TYPES.f32);
      return out.f32(entry.value);
    case 'bool':
      out.u32(VALUE_TYPES.bool);
      return out.bytes(Uint8Array.of(entry.value ? 1 : 0));
    case 'string':
      out.u32(VALUE_TYPES.string);
      return out.string(entry.value);
    case 'strings':
      return array(VALUE_TYPES.string, entry.value, (value) => out.string(value));
    case 'i32s':
      return array(VALUE_TYPES.i32, entry.value, i32);
    case 'f32s':
      return array(VALUE_TYPES.f32, entry.value, (value) => out.f32(value));
  }
}

/** Little-endian bytes, one value after the other. */
class ByteWriter {
  private buffer = new Uint8Array(65_536);
  private data = new DataView(this.buffer.buffer);
  private size = 0;
  private readonly encoder = new TextEncoder();

  // Each first makes room: that may replace the buffer.
  u32(value: number): void {
    const at = this.room(4);
    this.data.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.room(8);
    this.data.setBigUint64(at, BigInt(value), true);
  }

  f32(value: number): void {
    const at = this.room(4);
    this.data.setFloat32(at, value, true);
  }

  bytes(values: Uint8Array): void {
    const at = this.room(values.byteLength);
    this.buffer.set(values, at);
  }

  string(value: string): void {
    const text = this.encoder.encode(value);
    this.u64(text.byteLength);
    this.bytes(text);
  }

  /** Zeros up to a multiple of `alignment`. */
  pad(alignment: number): void {
    this.bytes(new Uint8Array((alignment - (this.size % alignment)) % alignment));
  }

  take(): Uint8Array {
    return this.buffer.slice(0, this.size);
  }

  /** Makes room for so many bytes and returns where they begin. */
  private room(bytes: number): number {
    const at = this.size;
    this.size += bytes;
    if (this.size > this.buffer.byteLength) {
      const larger = new Uint8Array(Math.max(this.size, 2 * this.buffer.byteLength));
      larger.set(this.buffer.subarray(0, at));
      this.buffer = larger;
      this.data = new DataView(larger.buffer);
    }
    return at;
  }
}
