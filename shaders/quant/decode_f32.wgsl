// decode_f32: a chunk of a checkpoint's tensor as float32, checked.
//   y[i] = stored[i], exactly, or stored[i] + offset (the factor 1 + w of a norm that stores w); non-finite elements are
//   refused (by bit pattern: WGSL may assume that there are none)
// Shapes   stored f32, f16 or bf16 as words [elements]; y f32 (as bits) [elements].
// Grid     one invocation per four elements, workgroups of 64, linear over x and y.
// Effect   writes y (0 for what is refused); raises chunk.refused.
// Preludes stored_chunk, and stored_f32, stored_f16 or stored_bf16.
// Pairs    kernels/decode.ts · reference/decode.ts · test/kernels/decode.test.ts

override offset: f32 = 0.0; // 0: the bits as they are, −0 too

@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn decode_f32(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let first = (id.x + id.y * groups.x * 64u) * 4u;
  let end = min(first + 4u, chunk.elements);
  for (var i = first; i < end; i++) {
    let bits = stored_bits(i);
    let finite = (bits & 0x7fffffffu) < 0x7f800000u;
    let shifted = select(bitcast<u32>(bitcast<f32>(bits) + offset), bits, offset == 0.0);
    y[i] = select(0u, shifted, finite);
    if (!finite) {
      refuse(i);
    }
  }
}
