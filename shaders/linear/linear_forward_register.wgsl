// linear_forward_register: y = x·Wᵀ straight from storage.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows/32⌉) workgroups of 8×8 invocations; one invocation owns 4 rows × 8 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     registers only, operands straight from storage: no subgroups, no workgroup memory. Any size.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(8, 8)
fn linear_forward_register(@builtin(global_invocation_id) id: vec3<u32>) {
  let first = rows.first + 4u * id.y;
  let column4 = 2u * id.x; // column / 4
  if (first >= rows.end || 4u * column4 >= OUT_WIDTH) {
    return;
  }
  let last = rows.end - 1u;
  let most = OUT_WIDTH - 1u;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  for (var k = 0u; k < (LEFT_WIDTH + 3u) / 4u; k++) {
    let b = mat4x4<f32>(
      right4(min(4u * column4, most), k),
      right4(min(4u * column4 + 1u, most), k),
      right4(min(4u * column4 + 2u, most), k),
      right4(min(4u * column4 + 3u, most), k),
    );
    let d = mat4x4<f32>(
      right4(min(4u * column4 + 4u, most), k),
      right4(min(4u * column4 + 5u, most), k),
      right4(min(4u * column4 + 6u, most), k),
      right4(min(4u * column4 + 7u, most), k),
    );
    let a0 = left4(min(first + 0u, last), k);
    let a1 = left4(min(first + 1u, last), k);
    let a2 = left4(min(first + 2u, last), k);
    let a3 = left4(min(first + 3u, last), k);
    acc0 += a0 * b;
    acc4 += a0 * d;
    acc1 += a1 * b;
    acc5 += a1 * d;
    acc2 += a2 * b;
    acc6 += a2 * d;
    acc3 += a3 * b;
    acc7 += a3 * d;
  }
  if (first + 0u < rows.end) {
    out4(first + 0u, column4, acc0);
    out4(first + 0u, column4 + 1u, acc4);
  }
  if (first + 1u < rows.end) {
    out4(first + 1u, column4, acc1);
    out4(first + 1u, column4 + 1u, acc5);
  }
  if (first + 2u < rows.end) {
    out4(first + 2u, column4, acc2);
    out4(first + 2u, column4 + 1u, acc6);
  }
  if (first + 3u < rows.end) {
    out4(first + 3u, column4, acc3);
    out4(first + 3u, column4 + 1u, acc7);
  }
}
