// stored_f16.wgsl (prelude): a checkpoint's F16 elements, without shader-f16. In whole numbers, because unpack2x16float may
// take subnormal halves for 0 and may assume that NaN and infinity do not occur.

@group(0) @binding(0) var<storage, read> stored: array<u32>;

// The bits of element i as float32; exact, infinities and NaN included.
fn stored_bits(i: u32) -> u32 {
  let half = (stored[i >> 1u] >> ((i & 1u) << 4u)) & 0xffffu;
  let rest = half & 0x7fffu;
  var bits = (rest << 13u) + 0x38000000u; // exponent: bias 15 → 127
  if (rest < 0x400u) {
    bits = bitcast<u32>(f32(rest) * 5.9604644775390625e-8); // subnormal: rest · 2⁻²⁴, a normal float32
  } else if (rest >= 0x7c00u) {
    bits = (rest << 13u) | 0x7f800000u;
  }
  return bits | ((half & 0x8000u) << 16u);
}
