// out_vec4.wgsl (prelude): where a tile of results goes, four neighbours at a time; needs
// OUT_WIDTH % 4 == 0. out = α·value, or out += α·value.

override OUT_WIDTH: u32;
override ACCUMULATE: bool = false;
override ALPHA: f32 = 1.0;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>; // (rows, OUT_WIDTH) f32

fn out4(row: u32, column4: u32, value: vec4<f32>) {
  if (4u * column4 >= OUT_WIDTH) {
    return;
  }
  let at = row * (OUT_WIDTH / 4u) + column4;
  var v = ALPHA * value;
  if (ACCUMULATE) {
    v += out[at];
  }
  out[at] = v;
}
