// logit_softcap: bounds logits smoothly, in place.
//   y = c · tanh(y / c)
// Paper    Gemma Team 2024, arXiv:2408.00118, section 2 (logit soft-capping).
// Shapes   y (M, V) f32, row-major.
// Grid     one invocation per element of the slice's rows; prelude safe_tanh.wgsl.
// Effect   WRITES y in place (running it twice is wrong).
// Pairs    kernels/head.ts · reference/head.ts · test/kernels/head.test.ts

override width: u32; // V
override cap: f32; // c

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (M, V)

@compute @workgroup_size(64)
fn logit_softcap(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    y[i] = cap * safe_tanh(y[i] / cap);
  }
}
