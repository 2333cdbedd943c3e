// linear_backward_input_subgroup: dX = dY·W, one subgroup a tile.
//   out[n, c] (+)= α Σ_o left[n, o] · right[o, c]
// Shapes   left dY (N, O), right W (O, C), out dX (N, C); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/(4·LANES)⌉, ⌈rows of out/16⌉) workgroups of one subgroup; a lane owns 16 rows × 4 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_backward_input_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = rows.first + 16u * group.y;
  let last = rows.end - 1u;
  let column4 = group.x * 1u * LANES + lane;
  let most4 = (OUT_WIDTH - 1u) / 4u;
  let c0 = min(column4, most4);
  let most = LEFT_WIDTH - 1u; // past it the left operand is zero
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  var acc8 = vec4<f32>();
  var acc9 = vec4<f32>();
  var acc10 = vec4<f32>();
  var acc11 = vec4<f32>();
  var acc12 = vec4<f32>();
  var acc13 = vec4<f32>();
  var acc14 = vec4<f32>();
  var acc15 = vec4<f32>();
  for (var k = 0u; k < (LEFT_WIDTH + 3u) / 4u; k++) {
    let panel = load_panel(first, last, lane, k);
    let o0 = min(4u * k + 0u, most);
    let o1 = min(4u * k + 1u, most);
    let o2 = min(4u * k + 2u, most);
    let o3 = min(4u * k + 3u, most);
    let b = mat4x4<f32>(right4(o0, c0), right4(o1, c0), right4(o2, c0), right4(o3, c0));
    let a0 = row0(panel);
    acc0 += b * a0;
    let a1 = row1(panel);
    acc1 += b * a1;
    let a2 = row2(panel);
    acc2 += b * a2;
    let a3 = row3(panel);
    acc3 += b * a3;
    let a4 = row4(panel);
    acc4 += b * a4;
    let a5 = row5(panel);
    acc5 += b * a5;
    let a6 = row6(panel);
    acc6 += b * a6;
    let a7 = row7(panel);
    acc7 += b * a7;
    let a8 = row8(panel);
    acc8 += b * a8;
    let a9 = row9(panel);
    acc9 += b * a9;
    let a10 = row10(panel);
    acc10 += b * a10;
    let a11 = row11(panel);
    acc11 += b * a11;
    let a12 = row12(panel);
    acc12 += b * a12;
    let a13 = row13(panel);
    acc13 += b * a13;
    let a14 = row14(panel);
    acc14 += b * a14;
    let a15 = row15(panel);
    acc15 += b * a15;
  }
  if (first + 0u < rows.end) {
    out4(first + 0u, column4, acc0);
  }
  if (first + 1u < rows.end) {
    out4(first + 1u, column4, acc1);
  }
  if (first + 2u < rows.end) {
    out4(first + 2u, column4, acc2);
  }
  if (first + 3u < rows.end) {
    out4(first + 3u, column4, acc3);
  }
  if (first + 4u < rows.end) {
    out4(first + 4u, column4, acc4);
  }
  if (first + 5u < rows.end) {
    out4(first + 5u, column4, acc5);
  }
  if (first + 6u < rows.end) {
    out4(first + 6u, column4, acc6);
  }
  if (first + 7u < rows.end) {
    out4(first + 7u, column4, acc7);
  }
  if (first + 8u < rows.end) {
    out4(first + 8u, column4, acc8);
  }
  if (first + 9u < rows.end) {
    out4(first + 9u, column4, acc9);
  }
  if (first + 10u < rows.end) {
    out4(first + 10u, column4, acc10);
  }
  if (first + 11u < rows.end) {
    out4(first + 11u, column4, acc11);
  }
  if (first + 12u < rows.end) {
    out4(first + 12u, column4, acc12);
  }
  if (first + 13u < rows.end) {
    out4(first + 13u, column4, acc13);
  }
  if (first + 14u < rows.end) {
    out4(first + 14u, column4, acc14);
  }
  if (first + 15u < rows.end) {
    out4(first + 15u, column4, acc15);
  }
}
