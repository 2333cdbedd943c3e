// linear_backward_weight_register: dW += dYᵀ·x straight from storage.
//   out[o, c] += α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/64⌉, ⌈rows/32⌉) workgroups of 8×8 invocations; one invocation owns 4 rows × 8 columns of the result.
// Effect   ADDS (with ACCUMULATE) the sum over rows [rows.first, rows.end); rows are added one after another.
// Uses     registers only, operands straight from storage: no subgroups, no workgroup memory. Any size.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(8, 8)
fn linear_backward_weight_register(@builtin(global_invocation_id) id: vec3<u32>) {
  let row4 = id.y; // o / 4
  let column4 = 2u * id.x; // c / 4
  if (4u * row4 >= LEFT_WIDTH || 4u * column4 >= OUT_WIDTH) {
    return;
  }
  let other4 = min(column4 + 1u, (OUT_WIDTH - 1u) / 4u);
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  for (var n = rows.first; n < rows.end; n++) {
    let a = left4(n, row4);
    let b = right4(n, column4);
    let d = right4(n, other4);
    acc0 += a.x * b;
    acc4 += a.x * d;
    acc1 += a.y * b;
    acc5 += a.y * d;
    acc2 += a.z * b;
    acc6 += a.z * d;
    acc3 += a.w * b;
    acc7 += a.w * d;
  }
  if (4u * row4 + 0u < LEFT_WIDTH) {
    out4(4u * row4 + 0u, column4, acc0);
    out4(4u * row4 + 0u, column4 + 1u, acc4);
  }
  if (4u * row4 + 1u < LEFT_WIDTH) {
    out4(4u * row4 + 1u, column4, acc1);
    out4(4u * row4 + 1u, column4 + 1u, acc5);
  }
  if (4u * row4 + 2u < LEFT_WIDTH) {
    out4(4u * row4 + 2u, column4, acc2);
    out4(4u * row4 + 2u, column4 + 1u, acc6);
  }
  if (4u * row4 + 3u < LEFT_WIDTH) {
    out4(4u * row4 + 3u, column4, acc3);
    out4(4u * row4 + 3u, column4 + 1u, acc7);
  }
}
