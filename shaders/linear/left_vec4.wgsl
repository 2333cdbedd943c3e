// left_vec4.wgsl (prelude): the activations x or dY (N, LEFT_WIDTH), four neighbours at a time;
// needs LEFT_WIDTH % 4 == 0.

override LEFT_WIDTH: u32;
@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>; // (N, LEFT_WIDTH) f32

fn left4(row: u32, column4: u32) -> vec4<f32> {
  return left[row * (LEFT_WIDTH / 4u) + column4];
}
