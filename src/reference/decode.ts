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

/** Nearest halves, ties to even, as bits. */
export function decodeF16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, numberToF16);
}

/** Index of the first element that is not finite, or would not be as a half; −1 where there is none. */
export function firstRefused(values: ArrayLike<number>, asHalves: boolean): number {
  return Array.from(values).findIndex((v) => !Number.isFinite(asHalves ? f16ToNumber(numberToF16(v)) : v));
}
