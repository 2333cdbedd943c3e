// out_scalar.wgsl (prelude): where a tile of results of any width goes, four neighbours at a time.
// out = α·value, or out += α·value; nothing is written past the end of a row.

override OUT_WIDTH: u32;
override ACCUMULATE: bool = false;
override ALPHA: f32 = 1.0;
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // (rows, OUT_WIDTH) f32

fn out4(row: u32, column4: u32, value: vec4<f32>) {
  let c = 4u * column4;
  if (c >= OUT_WIDTH) {
    return;
  }
  let at = row * OUT_WIDTH + c;
  var v = ALPHA * value;
  for (var j = 0u; j < min(4u, OUT_WIDTH - c); j++) {
    if (ACCUMULATE) {
      out[at + j] += v[j];
    } else {
      out[at + j] = v[j];
    }
  }
}
