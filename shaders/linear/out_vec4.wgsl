// out_vec4.wgsl (prelude, after product.wgsl): where a tile of results goes, four neighbours at a time; needs
// out_width % 4 == 0, and the same of OUT_STRIDE. out = α·value, or out += α·value.

override OUT_STRIDE: u32 = 0; // elements from row to row, of columns of a wider matrix; 0: the width

@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>; // (rows, out_width) f32

fn out4(row: u32, column4: u32, value: vec4<f32>, p: Product) {
  if (4u * column4 >= p.out_width) {
    return;
  }
  let at = row * (select(OUT_STRIDE, p.out_width, OUT_STRIDE == 0u) / 4u) + column4;
  var v = p.alpha * value;
  if (p.accumulate != 0u) {
    v += out[at];
  }
  out[at] = v;
}
