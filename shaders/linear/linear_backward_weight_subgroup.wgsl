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
  let last = rows.end - 1u;
  for (var n = rows.first; n < rows.end; n += 4u) {
    let strip = load_strip(n, last, lane, first / 4u);
    let b0 = right4(min(n + 0u, last), c0);
    let b1 = right4(min(n + 1u, last), c0);
    let b2 = right4(min(n + 2u, last), c0);
    let b3 = right4(min(n + 3u, last), c0);
    let a0_0 = term0_quad0(strip);
    let a1_0 = term1_quad0(strip);
    let a2_0 = term2_quad0(strip);
    let a3_0 = term3_quad0(strip);
    acc0 += a0_0.x * b0 + a1_0.x * b1 + a2_0.x * b2 + a3_0.x * b3;
    acc1 += a0_0.y * b0 + a1_0.y * b1 + a2_0.y * b2 + a3_0.y * b3;
    acc2 += a0_0.z * b0 + a1_0.z * b1 + a2_0.z * b2 + a3_0.z * b3;
    acc3 += a0_0.w * b0 + a1_0.w * b1 + a2_0.w * b2 + a3_0.w * b3;
    let a0_1 = term0_quad1(strip);
    let a1_1 = term1_quad1(strip);
    let a2_1 = term2_quad1(strip);
    let a3_1 = term3_quad1(strip);
    acc4 += a0_1.x * b0 + a1_1.x * b1 + a2_1.x * b2 + a3_1.x * b3;
    acc5 += a0_1.y * b0 + a1_1.y * b1 + a2_1.y * b2 + a3_1.y * b3;
    acc6 += a0_1.z * b0 + a1_1.z * b1 + a2_1.z * b2 + a3_1.z * b3;
    acc7 += a0_1.w * b0 + a1_1.w * b1 + a2_1.w * b2 + a3_1.w * b3;
    let a0_2 = term0_quad2(strip);
    let a1_2 = term1_quad2(strip);
    let a2_2 = term2_quad2(strip);
    let a3_2 = term3_quad2(strip);
    acc8 += a0_2.x * b0 + a1_2.x * b1 + a2_2.x * b2 + a3_2.x * b3;
    acc9 += a0_2.y * b0 + a1_2.y * b1 + a2_2.y * b2 + a3_2.y * b3;
    acc10 += a0_2.z * b0 + a1_2.z * b1 + a2_2.z * b2 + a3_2.z * b3;
    acc11 += a0_2.w * b0 + a1_2.w * b1 + a2_2.w * b2 + a3_2.w * b3;
    let a0_3 = term0_quad3(strip);
    let a1_3 = term1_quad3(strip);
    let a2_3 = term2_quad3(strip);
    let a3_3 = term3_quad3(strip);
    acc12 += a0_3.x * b0 + a1_3.x * b1 + a2_3.x * b2 + a3_3.x * b3;
    acc13 += a0_3.y * b0 + a1_3.y * b1 + a2_3.y * b2 + a3_3.y * b3;
    acc14 += a0_3.z * b0 + a1_3.z * b1 + a2_3.z * b2 + a3_3.z * b3;
    acc15 += a0_3.w * b0 + a1_3.w * b1 + a2_3.w * b2 + a3_3.w * b3;
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
