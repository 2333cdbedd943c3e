// elementwise_add: the sum of two tensors.
//   y[n, c] = a[n, c] + b[n, c]
// Shapes   a, b, y (N, C); f32, row-major.
// Grid     one invocation per element of the slice's rows.
// Effect   WRITES y; y must be a buffer of its own.
// Pairs    kernels/elementwise.ts · reference/elementwise.ts · test/kernels/elementwise.test.ts

override width: u32; // C

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> a: array<f32>; // (N, C)
@group(0) @binding(2) var<storage, read> b: array<f32>; // (N, C)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (N, C)

@compute @workgroup_size(64)
fn elementwise_add(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    y[i] = a[i] + b[i];
  }
}
