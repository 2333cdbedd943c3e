// add_bias: adds a linear layer's bias to every row.
//   y[n, o] += bias[o]
// Shapes   y (N, O), bias (O); f32, row-major.
// Grid     one invocation per element of the slice's rows.
// Effect   ADDS into y.
// Pairs    kernels/elementwise.ts · reference/elementwise.ts · test/kernels/elementwise.test.ts

override width: u32; // O

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> bias: array<f32>; // (O)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (N, O)

@compute @workgroup_size(64)
fn add_bias(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    y[i] += bias[i % width];
  }
}
