// linear_backward_input_register: dX = dY·W straight from storage.
//   out[n, c] (+)= α Σ_o left[n, o] · right[o, c]
// Shapes   left dY (N, O), right W (O, C), out dX (N, C); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows/32⌉) workgroups of 8×8 invocations; one invocation owns 4 rows × 8 columns of the result.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     registers only, operands straight from storage: no subgroups, no workgroup memory. Any size.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

@compute @workgroup_size(8, 8)
fn linear_backward_input_register(@builtin(global_invocation_id) id: vec3<u32>) {
  let first = rows.first + 4u * id.y;
  let column4 = 2u * id.x; // column / 4
  if (first >= rows.end || 4u * column4 >= OUT_WIDTH) {
    return;
  }
  let last = rows.end - 1u;
  let most = LEFT_WIDTH - 1u; // past it `left4` is zero
  let other4 = min(column4 + 1u, (OUT_WIDTH - 1u) / 4u);
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
      right4(4u * k, column4),
      right4(min(4u * k + 1u, most), column4),
      right4(min(4u * k + 2u, most), column4),
      right4(min(4u * k + 3u, most), column4),
    );
    let d = mat4x4<f32>(
      right4(4u * k, other4),
      right4(min(4u * k + 1u, most), other4),
      right4(min(4u * k + 2u, most), other4),
      right4(min(4u * k + 3u, most), other4),
    );
    let a0 = left4(min(first + 0u, last), k);
    let a1 = left4(min(first + 1u, last), k);
    let a2 = left4(min(first + 2u, last), k);
    let a3 = left4(min(first + 3u, last), k);
    acc0 += b * a0;
    acc4 += d * a0;
    acc1 += b * a1;
    acc5 += d * a1;
    acc2 += b * a2;
    acc6 += d * a2;
    acc3 += b * a3;
    acc7 += d * a3;
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
