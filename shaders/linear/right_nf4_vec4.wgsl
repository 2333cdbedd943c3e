// right_nf4_vec4.wgsl (prelude, after nf4_weight.wgsl): four neighbours of an NF4 weight; needs C % 4 == 0, so that the four
// lie in one half word and one block.

fn right4(row: u32, column4: u32) -> vec4<f32> {
  let i = row * RIGHT_WIDTH + 4u * column4;
  let half = right[i >> 3u] >> ((i & 4u) << 2u); // low 16 bits: bytes (e0 e1) (e2 e3), high nibble first
  let codes = vec4<f32>(
    NF4_CODES[(half >> 4u) & 15u],
    NF4_CODES[half & 15u],
    NF4_CODES[(half >> 12u) & 15u],
    NF4_CODES[(half >> 8u) & 15u],
  );
  return codes * nf4_scale(i >> 6u);
}
