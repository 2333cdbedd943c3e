// linear_forward_subgroup: y = x·Wᵀ, one subgroup a tile.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/(4·LANES)⌉, ⌈rows of out/16⌉) workgroups of one subgroup; a lane owns 16 rows × 4 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_forward_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = rows.first + 16u * group.y;
  let last = rows.end - 1u;
  let column4 = group.x * 1u * LANES + lane;
  let most = OUT_WIDTH - 1u;
  let o0 = min(4u * column4 + 0u, most);
  let o1 = min(4u * column4 + 1u, most);
  let o2 = min(4u * column4 + 2u, most);
  let o3 = min(4u * column4 + 3u, most);
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
    let b = mat4x4<f32>(right4(o0, k), right4(o1, k), right4(o2, k), right4(o3, k));
    let a0 = row0(panel);
    acc0 += a0 * b;
    let a1 = row1(panel);
    acc1 += a1 * b;
    let a2 = row2(panel);
    acc2 += a2 * b;
    let a3 = row3(panel);
    acc3 += a3 * b;
    let a4 = row4(panel);
    acc4 += a4 * b;
    let a5 = row5(panel);
    acc5 += a5 * b;
    let a6 = row6(panel);
    acc6 += a6 * b;
    let a7 = row7(panel);
    acc7 += a7 * b;
    let a8 = row8(panel);
    acc8 += a8 * b;
    let a9 = row9(panel);
    acc9 += a9 * b;
    let a10 = row10(panel);
    acc10 += a10 * b;
    let a11 = row11(panel);
    acc11 += a11 * b;
    let a12 = row12(panel);
    acc12 += a12 * b;
    let a13 = row13(panel);
    acc13 += a13 * b;
    let a14 = row14(panel);
    acc14 += a14 * b;
    let a15 = row15(panel);
    acc15 += a15 * b;
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
