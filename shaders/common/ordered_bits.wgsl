// ordered_bits.wgsl (prelude): floats as unsigned integers that compare in the same order, by their bits: WGSL may assume that
// there is no NaN and no infinity, the bits of logits may hold both.

// Unsigned integers in the order of the floats; −0 equals 0.
fn ordered(x: u32) -> u32 {
  let bits = select(x, 0u, x == 0x80000000u);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
