// dtypes.ts: element types and their conversions. It knows neither files nor the GPU.

export type DType =
  'f32' | 'f16' | 'bf16' | 'u32' | 'i32' | 'u8' | 'i8' | 'i64' | 'f64' | 'bool' | 'u16' | 'i16' | 'u64';

/** Bytes of one element. */
export const DTYPE_BYTES: Record<DType, number> = {
  f64: 8,
  i64: 8,
  u64: 8,
  f32: 4,
  u32: 4,
  i32: 4,
  f16: 2,
  bf16: 2,
  u16: 2,
  i16: 2,
  u8: 1,
  i8: 1,
  bool: 1,
};

/** Product of the sizes; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

const scratch = new DataView(new ArrayBuffer(8));

/** bfloat16 bits → the same value (exact). */
export function bf16ToNumber(bits: number): number {
  scratch.setUint32(0, (bits & 0xffff) << 16);
  return scratch.getFloat32(0);
}

/** Nearest bfloat16 (ties to even) as bits; NaN stays NaN. */
export function numberToBf16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** IEEE half bits → the same value (exact). */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Nearest IEEE half (ties to even) as bits. The value is first rounded to f32, as a cast on a GPU would. */
export function numberToF16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // ≥ 65520 rounds to infinity
  if (magnitude < 0x33000001) return sign; // ≤ 2^-25 rounds to zero
  const exponent = magnitude >>> 23;
  if (exponent < 113) {
    // Subnormal half: shift the full mantissa into place, round to even.
    const mantissa = (magnitude & 0x7fffff) | 0x800000;
    const shift = 126 - exponent;
    const rounded = mantissa >>> shift;
    const rest = mantissa & ((1 << shift) - 1);
    const half = 1 << (shift - 1);
    return sign | (rounded + (rest > half || (rest === half && (rounded & 1) === 1) ? 1 : 0));
  }
  const base = ((exponent - 112) << 10) | ((magnitude >>> 13) & 0x3ff);
  const rest = magnitude & 0x1fff;
  return sign | (base + (rest > 0x1000 || (rest === 0x1000 && (base & 1) === 1) ? 1 : 0));
}
