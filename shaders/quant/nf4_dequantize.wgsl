// nf4_dequantize: an NF4 weight back to f32.
//   y[i] = code[nibble(i)] · absmax[i / 64]        (double quantisation: see common/nf4_weight.wgsl)
// Shapes   right (packed), absmax, nested as in common/nf4_weight.wgsl; y f32 [elements].
// Grid     one invocation per packed word (8 elements), workgroups of 64, linear over x and y.
// Effect   writes y.
// Preludes nf4_codebook, nf4_weight.
// Pairs    kernels/quantize.ts · reference/nf4.ts · test/kernels/nf4.test.ts · test/golden/nf4.test.ts

override ELEMENTS: u32;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn nf4_dequantize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let word_at = id.x + id.y * groups.x * 64u;
  let first = word_at * 8u;
  if (first >= ELEMENTS) {
    return;
  }
  let word = right[word_at];
  let scale = nf4_scale(first >> 6u);
  for (var j = 0u; j < min(8u, ELEMENTS - first); j++) {
    y[first + j] = NF4_CODES[(word >> ((j * 4u) ^ 4u)) & 15u] * scale;
  }
}
