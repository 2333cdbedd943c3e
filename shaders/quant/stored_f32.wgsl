// stored_f32.wgsl (prelude): a checkpoint's F32 elements as they are.

@group(0) @binding(0) var<storage, read> stored: array<u32>;

// The bits of element i as float32.
fn stored_bits(i: u32) -> u32 {
  return stored[i];
}
