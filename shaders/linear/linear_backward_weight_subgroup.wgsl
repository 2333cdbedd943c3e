// linear_backward_weight_subgroup: dW += dYᵀ·x, one subgroup a tile.
//   out[o, c] += α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/(8·LANES)⌉, ⌈rows of out/16⌉) workgroups of one subgroup; a lane owns 16 rows × 8 columns of the result.
// Effect   ADDS (with ACCUMULATE) the sum over rows [rows.first, rows.end); rows are added one after another.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_backward_weight_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = 16u * group.y; // row of dW
  let column4 = group.x * 2u * LANES + lane;
  let other4 = column4 + LANES;
  let most4 = (OUT_WIDTH - 1u) / 4u;
  let c0 = min(column4, most4);
  let c1 = min(other4, most4);
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
  var more0 = vec4<f32>();
  var more1 = vec4<f32>();
  var more2 = vec4<f32>();
  var more3 = vec4<f32>();
  var more4 = vec4<f32>();
  var more5 = vec4<f32>();
  var more6 = vec4<f32>();
  var more7 = vec4<f32>();
  var more8 = vec4<f32>();
  var more9 = vec4<f32>();
  var more10 = vec4<f32>();
  var more11 = vec4<f32>();
  var more12 = vec4<f32>();
  var more13 = vec4<f32>();
  var more14 = vec4<f32>();
  var more15 = vec4<f32>();
  for (var n = rows.first; n < rows.end; n++) {
    let strip = load_strip(n, first / 4u, lane);
    let b = right4(n, c0);
    let d = right4(n, c1);
    let a0 = subgroupBroadcast(strip, 0u);
    acc0 += a0.x * b;
    more0 += a0.x * d;
    acc1 += a0.y * b;
    more1 += a0.y * d;
    acc2 += a0.z * b;
    more2 += a0.z * d;
    acc3 += a0.w * b;
    more3 += a0.w * d;
    let a1 = subgroupBroadcast(strip, 1u);
    acc4 += a1.x * b;
    more4 += a1.x * d;
    acc5 += a1.y * b;
    more5 += a1.y * d;
    acc6 += a1.z * b;
    more6 += a1.z * d;
    acc7 += a1.w * b;
    more7 += a1.w * d;
    let a2 = subgroupBroadcast(strip, 2u);
    acc8 += a2.x * b;
    more8 += a2.x * d;
    acc9 += a2.y * b;
    more9 += a2.y * d;
    acc10 += a2.z * b;
    more10 += a2.z * d;
    acc11 += a2.w * b;
    more11 += a2.w * d;
    let a3 = subgroupBroadcast(strip, 3u);
    acc12 += a3.x * b;
    more12 += a3.x * d;
    acc13 += a3.y * b;
    more13 += a3.y * d;
    acc14 += a3.z * b;
    more14 += a3.z * d;
    acc15 += a3.w * b;
    more15 += a3.w * d;
  }
  if (first + 0u < LEFT_WIDTH) {
    out4(first + 0u, column4, acc0);
    out4(first + 0u, other4, more0);
  }
  if (first + 1u < LEFT_WIDTH) {
    out4(first + 1u, column4, acc1);
    out4(first + 1u, other4, more1);
  }
  if (first + 2u < LEFT_WIDTH) {
    out4(first + 2u, column4, acc2);
    out4(first + 2u, other4, more2);
  }
  if (first + 3u < LEFT_WIDTH) {
    out4(first + 3u, column4, acc3);
    out4(first + 3u, other4, more3);
  }
  if (first + 4u < LEFT_WIDTH) {
    out4(first + 4u, column4, acc4);
    out4(first + 4u, other4, more4);
  }
  if (first + 5u < LEFT_WIDTH) {
    out4(first + 5u, column4, acc5);
    out4(first + 5u, other4, more5);
  }
  if (first + 6u < LEFT_WIDTH) {
    out4(first + 6u, column4, acc6);
    out4(first + 6u, other4, more6);
  }
  if (first + 7u < LEFT_WIDTH) {
    out4(first + 7u, column4, acc7);
    out4(first + 7u, other4, more7);
  }
  if (first + 8u < LEFT_WIDTH) {
    out4(first + 8u, column4, acc8);
    out4(first + 8u, other4, more8);
  }
  if (first + 9u < LEFT_WIDTH) {
    out4(first + 9u, column4, acc9);
    out4(first + 9u, other4, more9);
  }
  if (first + 10u < LEFT_WIDTH) {
    out4(first + 10u, column4, acc10);
    out4(first + 10u, other4, more10);
  }
  if (first + 11u < LEFT_WIDTH) {
    out4(first + 11u, column4, acc11);
    out4(first + 11u, other4, more11);
  }
  if (first + 12u < LEFT_WIDTH) {
    out4(first + 12u, column4, acc12);
    out4(first + 12u, other4, more12);
  }
  if (first + 13u < LEFT_WIDTH) {
    out4(first + 13u, column4, acc13);
    out4(first + 13u, other4, more13);
  }
  if (first + 14u < LEFT_WIDTH) {
    out4(first + 14u, column4, acc14);
    out4(first + 14u, other4, more14);
  }
  if (first + 15u < LEFT_WIDTH) {
    out4(first + 15u, column4, acc15);
    out4(first + 15u, other4, more15);
  }
}
