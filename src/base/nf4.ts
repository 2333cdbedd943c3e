// nf4.ts: the two constant tables of the NF4 format, once for the whole project: the 16 codes of a weight, and the 256
// codes of a doubly quantised absmax. It quantises and dequantises nothing: reference/ and kernels/ do.

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
