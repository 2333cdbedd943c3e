// elementwise_gather: picks rows of a tensor by index.
//   y[m, c] = x[index[m], c]
// Shapes   x (N, C), index (M), y (M, C); f32 and u32, row-major. The rows of the dispatch are the M picks.
// Grid     one invocation per element of the slice's rows of y.
// Effect   WRITES y. An index must be below N; it is not checked.
// Pairs    kernels/elementwise.ts · reference/elementwise.ts · test/kernels/elementwise.test.ts

override width: u32; // C

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (N, C)
@group(0) @binding(2) var<storage, read> index: array<u32>; // (M)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (M, C)

@compute @workgroup_size(64)
fn elementwise_gather(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    y[i] = x[index[i / width] * width + i % width];
  }
}
