// linear_backward_weight_subgroup: dW += dYᵀ·x, one subgroup a tile.
//   out[o, c] += α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/(4·LANES)⌉, ⌈rows of out/16⌉) workgroups of one subgroup; a lane owns 16 rows × 4 columns of the result.
// Effect   ADDS (with ACCUMULATE) the sum over rows [rows.first, rows.end); rows are added one after another.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_backward_weight_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = 16u * group.y; // row of dW
  let column4 = group.x * 1u * LANES + lane;
  let most4 = (OUT_WIDTH - 1u) / 4u;
  let c0 = min(column4, most4);
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
  for (var n = rows.first; n < rows.end; n++) {
    let strip = load_strip(n, first / 4u, lane);
    let b = right4(n, c0);
    let a0 = subgroupBroadcast(strip, 0u);
    acc0 += a0.x * b;
    acc1 += a0.y * b;
    acc2 += a0.z * b;
    acc3 += a0.w * b;
    let a1 = subgroupBroadcast(strip, 1u);
    acc4 += a1.x * b;
    acc5 += a1.y * b;
    acc6 += a1.z * b;
    acc7 += a1.w * b;
    let a2 = subgroupBroadcast(strip, 2u);
    acc8 += a2.x * b;
    acc9 += a2.y * b;
    acc10 += a2.z * b;
    acc11 += a2.w * b;
    let a3 = subgroupBroadcast(strip, 3u);
    acc12 += a3.x * b;
    acc13 += a3.y * b;
    acc14 += a3.z * b;
    acc15 += a3.w * b;
  }
  if (first + 0u < LEFT_WIDTH) {
    out4(first + 0u, column4, acc0);
  }
  if (first + 1u < LEFT_WIDTH) {
    out4(first + 1u, column4, acc1);
  }
  if (first + 2u < LEFT_WIDTH) {
    out4(first + 2u, column4, acc2);
  }
  if (first + 3u < LEFT_WIDTH) {
    out4(first + 3u, column4, acc3);
  }
  if (first + 4u < LEFT_WIDTH) {
    out4(first + 4u, column4, acc4);
  }
  if (first + 5u < LEFT_WIDTH) {
    out4(first + 5u, column4, acc5);
  }
  if (first + 6u < LEFT_WIDTH) {
    out4(first + 6u, column4, acc6);
  }
  if (first + 7u < LEFT_WIDTH) {
    out4(first + 7u, column4, acc7);
  }
  if (first + 8u < LEFT_WIDTH) {
    out4(first + 8u, column4, acc8);
  }
  if (first + 9u < LEFT_WIDTH) {
    out4(first + 9u, column4, acc9);
  }
  if (first + 10u < LEFT_WIDTH) {
    out4(first + 10u, column4, acc10);
  }
  if (first + 11u < LEFT_WIDTH) {
    out4(first + 11u, column4, acc11);
  }
  if (first + 12u < LEFT_WIDTH) {
    out4(first + 12u, column4, acc12);
  }
  if (first + 13u < LEFT_WIDTH) {
    out4(first + 13u, column4, acc13);
  }
  if (first + 14u < LEFT_WIDTH) {
    out4(first + 14u, column4, acc14);
  }
  if (first + 15u < LEFT_WIDTH) {
    out4(first + 15u, column4, acc15);
  }
}
