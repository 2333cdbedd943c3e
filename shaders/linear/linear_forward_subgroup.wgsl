// linear_forward_subgroup: y = x·Wᵀ, one subgroup a tile.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/(8·LANES)⌉, ⌈rows of out/8⌉) workgroups of one subgroup; a lane owns 8 rows × 8 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     subgroups of exactly LANES lanes: each loads its own rows of the left operand and broadcasts them. Any size.
// Preludes enable_subgroups, a dropout prelude (shaders/lora), left_*, right_*, out_*, panel_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(LANES)
fn linear_forward_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = rows.first + 8u * group.y;
  let last = rows.end - 1u;
  let column4 = group.x * 2u * LANES + lane;
  let other4 = column4 + LANES;
  let most = OUT_WIDTH - 1u;
  let o0 = min(4u * column4 + 0u, most);
  let o1 = min(4u * column4 + 1u, most);
  let o2 = min(4u * column4 + 2u, most);
  let o3 = min(4u * column4 + 3u, most);
  let o4 = min(4u * other4 + 0u, most);
  let o5 = min(4u * other4 + 1u, most);
  let o6 = min(4u * other4 + 2u, most);
  let o7 = min(4u * other4 + 3u, most);
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
    let b = mat4x4<f32>(right4(o0, k), right4(o1, k), right4(o2, k), right4(o3, k));
    let d = mat4x4<f32>(right4(o4, k), right4(o5, k), right4(o6, k), right4(o7, k));
    let a0 = row0(panel);
    acc0 += a0 * b;
    more0 += a0 * d;
    let a1 = row1(panel);
    acc1 += a1 * b;
    more1 += a1 * d;
    let a2 = row2(panel);
    acc2 += a2 * b;
    more2 += a2 * d;
    let a3 = row3(panel);
    acc3 += a3 * b;
    more3 += a3 * d;
    let a4 = row4(panel);
    acc4 += a4 * b;
    more4 += a4 * d;
    let a5 = row5(panel);
    acc5 += a5 * b;
    more5 += a5 * d;
    let a6 = row6(panel);
    acc6 += a6 * b;
    more6 += a6 * d;
    let a7 = row7(panel);
    acc7 += a7 * b;
    more7 += a7 * d;
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
