// stored_bf16.wgsl (prelude): a checkpoint's BF16 elements: each is the upper half of a float32.

@group(0) @binding(0) var<storage, read> stored: array<u32>;

// The bits of element i as float32; exact, infinities and NaN included.
fn stored_bits(i: u32) -> u32 {
  return select(stored[i >> 1u] << 16u, stored[i >> 1u] & 0xffff0000u, (i & 1u) == 1u);
}
