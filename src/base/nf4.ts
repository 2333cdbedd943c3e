// nf4.ts: the NF4 format's constants and its rounding, once for the whole project: the 16 codes of a weight, how a block of
// weights gets them, and the 256 codes of a doubly quantised absmax. Whole tensors, packed, are reference/'s and kernels/'s.

/**
 * The NF4 codebook, ascending; index 7 is exactly 0. Values are those of bitsandbytes (`functional.py`), in float32.
 * Paper: Dettmers et al. 2023, arXiv:2305.14314, appendix E.
 */
export const NF4_CODES: Float32Array = new Float32Array([
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]); // (16) f32

/** Weights that share one absmax. */
export const NF4_BLOCK = 64;
/** Absmax values that share one nested absmax, in double quantisation. */
export const NF4_NESTED_BLOCK = 256;

/** Float32 midpoints between neighbouring codes; a value on one takes the lower code. */
export const NF4_THRESHOLDS: Float32Array = Float32Array.from(
  { length: 15 },
  (_, i) => Math.fround(NF4_CODES[i]! + NF4_CODES[i + 1]!) / 2,
); // (15) f32

/** The code (0 … 15) of a weight divided by its block's absmax: how many thresholds lie strictly below it. */
export function nf4CodeOf(scaled: number): number {
  let code = 0;
  while (code < 15 && scaled > NF4_THRESHOLDS[code]!) code++;
  return code;
}

export interface Nf4Block {
  /** The largest magnitude, f32. */
  absmax: number;
  /** One a weight, 0 … 15. */
  codes: Uint8Array;
}

/**
 * One block, x[start … end): absmax = max |x|, code(x · (1/absmax)), each step rounded to float32 as bitsandbytes does. A block
 * of zeros gets the code of 0.
 */
export function nf4QuantizeBlock(x: ArrayLike<number>, start = 0, end = x.length): Nf4Block {
  const f = Math.fround;
  let absmax = 0;
  for (let i = start; i < end; i++) absmax = Math.max(absmax, Math.abs(f(x[i]!)));
  const inverse = absmax === 0 ? 0 : f(1 / absmax);
  return {
    absmax,
    codes: Uint8Array.from({ length: end - start }, (_, i) => nf4CodeOf(f(f(x[start + i]!) * inverse))),
  };
}

/** What a weight is read back as: code · absmax, rounded to float32. */
export const nf4Value = (code: number, absmax: number): number => Math.fround(NF4_CODES[code]! * absmax);

/**
 * torch.linspace(0.1, 1, steps) in float32, as torch rounds it on a CPU: from both ends towards the middle, with a fused
 * multiply-add (one rounding).
 */
function linspace(steps: number): Float32Array {
  const f = Math.fround;
  const start = f(0.1);
  const step = f(f(1 - start) / (steps - 1));
  return Float32Array.from({ length: steps }, (_, i) =>
    i < steps / 2 ? f(start + step * i) : f(1 - step * (steps - 1 - i)),
  );
}

/**
 * The signed dynamic 8-bit map of bitsandbytes (`create_dynamic_map(signed=True, max_exponent_bits=7, total_bits=8)`),
 * ascending, in which a doubly quantised absmax is stored. Bit-equal to the map in bitsandbytes' files.
 * A file's own `nested_quant_map` takes precedence over this one.
 *
 * For i = 0 … 6: ±10^(i−6) · the 2^i means of neighbours in linspace(0.1, 1, 2^i + 1); then 0 and 1.
 * Paper: Dettmers 2015, arXiv:1511.04561, §2.1.
 */
export function createDynamicMap(): Float32Array {
  const f = Math.fround;
  const values: number[] = [0, 1];
  for (let i = 0; i < 7; i++) {
    const boundaries = linspace(2 ** i + 1);
    const power = f(10 ** (i - 6));
    for (let k = 0; k < 2 ** i; k++) {
      const mean = f(f(boundaries[k]! + boundaries[k + 1]!) / 2);
      values.push(f(power * mean), -f(power * mean));
    }
  }
  return Float32Array.from(values).sort();
}
