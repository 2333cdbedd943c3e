// elementwise_scatter: puts rows of a tensor in their places; with distinct indices the transpose of elementwise_gather.
//   y[index[m], c] = x[m, c]
// Shapes   x (M, C), index (M), y (N, C); f32 and u32, row-major. The rows of the dispatch are the M rows of x.
// Grid     one invocation per element of the slice's rows of x.
// Effect   WRITES the indexed rows of y and no others: clear y first. Indices must be distinct (else the winner is
//          arbitrary) and below N; neither is checked.
// Pairs    kernels/elementwise.ts · reference/elementwise.ts · test/kernels/elementwise.test.ts

override width: u32; // C

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (M, C)
@group(0) @binding(2) var<storage, read> index: array<u32>; // (M)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (N, C)

@compute @workgroup_size(64)
fn elementwise_scatter(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    y[index[i / width] * width + i % width] = x[i];
  }
}
