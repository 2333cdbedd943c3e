// left_scalar.wgsl (prelude): the activations x or dY (N, width) of any width, as four neighbours; zeros past the end of a row.

override LEFT_STRIDE: u32 = 0; // elements from row to row, of columns of a wider matrix; 0: the width

@group(0) @binding(1) var<storage, read> left: array<f32>; // (N, width) f32

fn left4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  let at = row * select(LEFT_STRIDE, width, LEFT_STRIDE == 0u);
  let c = 4u * column4;
  let end = width - 1u;
  let v = vec4<f32>(left[at + min(c, end)], left[at + min(c + 1u, end)], left[at + min(c + 2u, end)], left[at + min(c + 3u, end)]);
  return select(vec4<f32>(), v, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(width));
}
