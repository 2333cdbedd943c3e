// embedding_forward: looks up the token embeddings.
//   y[n, c] = scale · table[ids[n], c]
// Shapes   ids (N) u32, table (V, C) f32, y (N, C) f32; row-major. The bound table may be rows
//          [table_first, table_first + table_rows) of a larger one; tokens outside are left to other dispatches.
// Grid     one invocation per element of the slice's rows of y.
// Effect   WRITES the rows of y whose token lies in the bound part.
// Pairs    kernels/embedding.ts · reference/embedding.ts · test/kernels/embedding.test.ts

override width: u32; // C
override table_first: u32 = 0;
override table_rows: u32;
override scale: f32 = 1.0;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // (N)
@group(0) @binding(2) var<storage, read> table: array<f32>; // (table_rows, C)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (N, C)

@compute @workgroup_size(64)
fn embedding_forward(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i >= rows.end * width) {
    return;
  }
  let row = ids[i / width] - table_first; // wraps to a huge number below the bound part
  if (row < table_rows) {
    y[i] = scale * table[row * width + i % width];
  }
}
