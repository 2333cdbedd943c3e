// out_scalar.wgsl (prelude, after product.wgsl): where a tile of results of any width goes, four neighbours at a time.
// out = α·value, or out += α·value; nothing is written past the end of a row.

override OUT_STRIDE: u32 = 0; // elements from row to row, of columns of a wider matrix; 0: the width

@group(0) @binding(3) var<storage, read_write> out: array<f32>; // (rows, out_width) f32

fn out4(row: u32, column4: u32, value: vec4<f32>, p: Product) {
  let width = p.out_width;
  let c = 4u * column4;
  if (c >= width) {
    return;
  }
  let at = row * select(OUT_STRIDE, width, OUT_STRIDE == 0u) + c;
  let v = p.alpha * value;
  for (var j = 0u; j < min(4u, width - c); j++) {
    if (p.accumulate != 0u) {
      out[at + j] += v[j];
    } else {
      out[at + j] = v[j];
    }
  }
}
