// right_nf4_scalar.wgsl (prelude, after nf4_weight.wgsl): four neighbours of an NF4 weight of any width; zeros past its end.

fn right4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  let at = row * width;
  let c = 4u * column4;
  let end = width - 1u;
  let v = vec4<f32>(
    nf4_element(at + min(c, end)),
    nf4_element(at + min(c + 1u, end)),
    nf4_element(at + min(c + 2u, end)),
    nf4_element(at + min(c + 3u, end)),
  );
  return select(vec4<f32>(), v, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(width));
}
