// decode.ts: a checkpoint's stored numbers as float32 or halves, and which of them may not be taken, in plain loops: the
// specification of shaders/quant/decode_*.wgsl. It reads no files.
import { bf16ToNumber, f16ToNumber, numberToF16 } from '../base/dtypes';

export type StoredDtype = 'f32' | 'f16' | 'bf16';

/** The elements that the words hold: one a word (f32), or two with the even one in the low half. */
export function storedNumbers(words: Uint32Array, dtype: StoredDtype, elements: number): Float32Array {
  if (dtype === 'f32') return new Float32Array(words.buffer, words.byteOffset, elements);
  const halves = new Uint16Array(words.buffer, words.byteOffset, elements);
  return Float32Array.from(halves, dtype === 'f16' ? f16ToNumber : bf16ToNumber);
}

/** Bits of the nearest halves, ties to even; 0 for what is refused. */
export function decodeF16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, (v) => (isRefused(v, true) ? 0 : numberToF16(v)));
}

/** The values; 0 for what is refused. */
export function decodeF32(values: ArrayLike<number>): Float32Array {
  return Float32Array.from(values, (v) => (isRefused(v, false) ? 0 : v));
}

/** Index of the first element that is not finite, or would not be as a half; −1 where there is none. */
export function firstRefused(values: ArrayLike<number>, asHalves: boolean): number {
  return Array.from(values).findIndex((v) => isRefused(v, asHalves));
}

function isRefused(value: number, asHalf: boolean): boolean {
  return !Number.isFinite(asHalf ? f16ToNumber(numberToF16(value)) : value);
}
