// tensorBytes.ts: raw little-endian tensor bytes ↔ typed arrays and numbers. It knows no file: safetensors.ts does.
// Every machine that runs WebGPU is little-endian, so typed arrays over the bytes are the numbers.
import { bf16ToNumber, DTYPE_BYTES, f16ToNumber, numberToBf16, numberToF16, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';

/** All 65,536 halves as f32, made at first use: a table is far faster than arithmetic per element. */
let halfTable: Float32Array | undefined;

/** The same bytes at an address that is a multiple of `alignment`: itself where it already is, else a copy. */
function aligned(bytes: Uint8Array, alignment: number): Uint8Array {
  return bytes.byteOffset % alignment === 0 ? bytes : bytes.slice();
}

/** A typed array over the bytes (a view where they are aligned, a copy where not). */
function view<T>(
  type: { new (buffer: ArrayBufferLike, offset: number, length: number): T; readonly BYTES_PER_ELEMENT: number },
  bytes: Uint8Array,
): T {
  const at = aligned(bytes, type.BYTES_PER_ELEMENT);
  return new type(at.buffer, at.byteOffset, at.byteLength / type.BYTES_PER_ELEMENT);
}

/** The dtypes that {@link decodeF32Into} reads. */
export function isFloatDtype(dtype: DType): boolean {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' || dtype === 'f64';
}

/** Writes the elements held by `bytes` to out[offset …] as float32 (f64 is rounded; the others are exact). */
export function decodeF32Into(out: Float32Array, offset: number, bytes: Uint8Array, dtype: DType): void {
  switch (dtype) {
    case 'f32':
      out.set(view(Float32Array, bytes), offset);
      return;
    case 'f64':
      out.set(view(Float64Array, bytes), offset);
      return;
    case 'f16': {
      halfTable ??= Float32Array.from({ length: 65_536 }, (_, bits) => f16ToNumber(bits));
      const halves = view(Uint16Array, bytes);
      for (let i = 0; i < halves.length; i++) out[offset + i] = halfTable[halves[i]!]!;
      return;
    }
    case 'bf16': {
      // bfloat16 is the upper half of a float32.
      const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
      const halves = view(Uint16Array, bytes);
      for (let i = 0; i < halves.length; i++) words[offset + i] = halves[i]! << 16;
      return;
    }
    default:
      throw new PupilError('shape', `decodeF32Into: expected f32, f16, bf16 or f64, got ${dtype}`);
  }
}

/**
 * The elements as numbers. 64-bit integers must fit a number exactly.
 * @throws PupilError `format` with `label` and the element's index where one does not
 */
export function decodeNumbers(bytes: Uint8Array, dtype: DType, label: string): Float64Array {
  switch (dtype) {
    case 'f64':
      return Float64Array.from(view(Float64Array, bytes));
    case 'f32':
      return Float64Array.from(view(Float32Array, bytes));
    case 'f16':
      return Float64Array.from(view(Uint16Array, bytes), f16ToNumber);
    case 'bf16':
      return Float64Array.from(view(Uint16Array, bytes), bf16ToNumber);
    case 'u32':
      return Float64Array.from(view(Uint32Array, bytes));
    case 'i32':
      return Float64Array.from(view(Int32Array, bytes));
    case 'u16':
      return Float64Array.from(view(Uint16Array, bytes));
    case 'i16':
      return Float64Array.from(view(Int16Array, bytes));
    case 'u8':
    case 'bool':
      return Float64Array.from(bytes);
    case 'i8':
      return Float64Array.from(view(Int8Array, bytes));
    case 'i64':
    case 'u64': {
      const words = dtype === 'i64' ? view(BigInt64Array, bytes) : view(BigUint64Array, bytes);
      const out = new Float64Array(words.length);
      for (let i = 0; i < words.length; i++) {
        out[i] = Number(words[i]!);
        if (!Number.isSafeInteger(out[i])) {
          throw new PupilError('format', `${label}: expected integers within ±2^53, element ${i} is ${words[i]}`);
        }
      }
      return out;
    }
  }
}

/** Float32 values as bytes of a float dtype; f16 and bf16 round to nearest, ties to even. */
export function encodeFloats(values: Float32Array, dtype: 'f32' | 'f16' | 'bf16'): Uint8Array {
  if (dtype === 'f32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const encode = dtype === 'f16' ? numberToF16 : numberToBf16;
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = encode(values[i]!);
  return new Uint8Array(out.buffer);
}

/** Integers as I64 bytes (labels, token ids). */
export function encodeI64(values: ArrayLike<number>): Uint8Array {
  const out = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = BigInt(values[i]!);
  return new Uint8Array(out.buffer);
}

/** Bytes of `count` elements. */
export function bytesOf(dtype: DType, count: number): number {
  return DTYPE_BYTES[dtype] * count;
}
