// linear_backward_input_subgroup: dX = dY·W, one subgroup a tile.
//   out[n, c] (+)= α Σ_o left[n, o] · right[o, c]
// Shapes   left dY (N, O), right W (O, C), out dX (N, C); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/(8·LANES)⌉, ⌈rows of out/8⌉) workgroups of one subgroup; a lane owns 8 rows × 8 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_backward_input_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = rows.first + 8u * group.y;
  let last = rows.end - 1u;
  let column4 = group.x * 2u * LANES + lane;
  let other4 = column4 + LANES;
  let most4 = (OUT_WIDTH - 1u) / 4u;
  let c0 = min(column4, most4);
  let c1 = min(other4, most4);
  let most = LEFT_WIDTH - 1u; // past it the left operand is zero
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  var more0 = vec4<f32>();
  var more1 = vec4<f32>();
  var more2 = vec4<f32>();
  var more3 = vec4<f32>();
  var more4 = vec4<f32>();
  var more5 = vec4<f32>();
  var more6 = vec4<f32>();
  var more7 = vec4<f32>();
  for (var k = 0u; k < (LEFT_WIDTH + 3u) / 4u; k++) {
    let panel = load_panel(first, last, lane, k);
    let o0 = min(4u * k + 0u, most);
    let o1 = min(4u * k + 1u, most);
    let o2 = min(4u * k + 2u, most);
    let o3 = min(4u * k + 3u, most);
    let b = mat4x4<f32>(right4(o0, c0), right4(o1, c0), right4(o2, c0), right4(o3, c0));
    let d = mat4x4<f32>(right4(o0, c1), right4(o1, c1), right4(o2, c1), right4(o3, c1));
    let a0 = row0(panel);
    acc0 += b * a0;
    more0 += d * a0;
    let a1 = row1(panel);
    acc1 += b * a1;
    more1 += d * a1;
    let a2 = row2(panel);
    acc2 += b * a2;
    more2 += d * a2;
    let a3 = row3(panel);
    acc3 += b * a3;
    more3 += d * a3;
    let a4 = row4(panel);
    acc4 += b * a4;
    more4 += d * a4;
    let a5 = row5(panel);
    acc5 += b * a5;
    more5 += d * a5;
    let a6 = row6(panel);
    acc6 += b * a6;
    more6 += d * a6;
    let a7 = row7(panel);
    acc7 += b * a7;
    more7 += d * a7;
  }
  if (first + 0u < rows.end) {
    out4(first + 0u, column4, acc0);
    out4(first + 0u, other4, more0);
  }
  if (first + 1u < rows.end) {
    out4(first + 1u, column4, acc1);
    out4(first + 1u, other4, more1);
  }
  if (first + 2u < rows.end) {
    out4(first + 2u, column4, acc2);
    out4(first + 2u, other4, more2);
  }
  if (first + 3u < rows.end) {
    out4(first + 3u, column4, acc3);
    out4(first + 3u, other4, more3);
  }
  if (first + 4u < rows.end) {
    out4(first + 4u, column4, acc4);
    out4(first + 4u, other4, more4);
  }
  if (first + 5u < rows.end) {
    out4(first + 5u, column4, acc5);
    out4(first + 5u, other4, more5);
  }
  if (first + 6u < rows.end) {
    out4(first + 6u, column4, acc6);
    out4(first + 6u, other4, more6);
  }
  if (first + 7u < rows.end) {
    out4(first + 7u, column4, acc7);
    out4(first + 7u, other4, more7);
  }
}
