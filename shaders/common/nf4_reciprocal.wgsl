// nf4_reciprocal.wgsl (prelude): 1/a rounded to nearest, on every device; 0 for a = 0. WGSL's own division may err by 2.5
// units in the last place. It binds nothing.

// a = m · 2^(e−150) with a 24-bit m, so 1/a = (2^47 / m) · 2^(103−e): 24 quotient bits by long division, then rounding.
// There are no ties: m would have to be a power of two, and then the division is exact.
fn reciprocal(a: f32) -> f32 {
  let bits = bitcast<u32>(a);
  let exponent = bits >> 23u;
  if (bits == 0u) {
    return 0.0;
  }
  if (exponent == 0u || exponent >= 253u) {
    return 1.0 / a;
  }
  let m = (bits & 0x7fffffu) | 0x800000u;
  if (m == 0x800000u) {
    return bitcast<f32>((254u - exponent) << 23u);
  }
  var rest = 0x800000u; // 2^23 < m: the first 24 bits of 2^47 give quotient 0
  var quotient = 0u;
  for (var i = 0u; i < 24u; i++) {
    rest <<= 1u;
    quotient <<= 1u;
    if (rest >= m) {
      rest -= m;
      quotient |= 1u;
    }
  }
  quotient += select(0u, 1u, 2u * rest > m);
  return bitcast<f32>(((253u - exponent) << 23u) + (quotient - 0x800000u));
}
