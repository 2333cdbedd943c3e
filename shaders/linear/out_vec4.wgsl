// out_vec4.wgsl (prelude, after product.wgsl): where a tile of results goes, four neighbours at a time; needs
// out_width % 4 == 0. out = α·value, or out += α·value.

@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>; // (rows, out_width) f32

fn out4(row: u32, column4: u32, value: vec4<f32>, p: Product) {
  if (4u * column4 >= p.out_width) {
    return;
  }
  let at = row * (p.out_width / 4u) + column4;
  var v = p.alpha * value;
  if (p.accumulate != 0u) {
    v += out[at];
  }
  out[at] = v;
}
