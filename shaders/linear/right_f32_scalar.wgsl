// right_f32_scalar.wgsl (prelude): a dense weight W (O, C), or the activations x of a weight's gradient, of any width,
// as four neighbours; zeros past the end of a row.

@group(0) @binding(2) var<storage, read> right: array<f32>; // (O, C) or (N, C) f32

fn right4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  let at = row * width;
  let c = 4u * column4;
  let end = width - 1u;
  let v = vec4<f32>(right[at + min(c, end)], right[at + min(c + 1u, end)], right[at + min(c + 2u, end)], right[at + min(c + 3u, end)]);
  return select(vec4<f32>(), vec4<f32>(v), vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(width));
}
