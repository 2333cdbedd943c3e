// right_nf4_vec4.wgsl (prelude, after nf4_weight.wgsl): four neighbours of an NF4 weight; needs C % 4 == 0, so that the four
// lie in one half word and one block.

fn right4(row: u32, column4: u32, width: u32) -> vec4<f32> {
  let i = row * width + 4u * column4;
  return nf4_codes(right[i >> 3u] >> ((i & 4u) << 2u)) * nf4_scale(i >> 6u);
}
