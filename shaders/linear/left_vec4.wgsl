// left_vec4.wgsl (prelude): the activations x or dY (N, width), four neighbours at a time; needs width % 4 == 0, and the same
// of LEFT_STRIDE.

override LEFT_STRIDE: u32 = 0; // elements from row to row, of columns of a wider matrix; 0: the width

@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>; // (N, width) f32

fn left4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  return left[row * (select(LEFT_STRIDE, width, LEFT_STRIDE == 0u) / 4u) + column4];
}
