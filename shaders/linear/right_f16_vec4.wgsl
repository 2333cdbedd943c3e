// right_f16_vec4.wgsl (prelude, enable_f16.wgsl first): a dense weight W (O, C), or the activations x of a weight's gradient, four neighbours
// at a time; needs C % 4 == 0.

@group(0) @binding(2) var<storage, read> right: array<vec4<f16>>; // (O, C) or (N, C) f16

fn right4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  return vec4<f32>(right[row * (width / 4u) + column4]);
}
