// embedding_backward: gradient of the loss with respect to the embedding table.
//   d_table[v, c] += Σ_{n: ids[n] = v} d_y[n, c]
// Shapes   ids (N) u32, d_y (N, C), d_table (V, C); f32, row-major. The bound d_table may be rows
//          [table_first, table_first + table_rows) of a larger one; tokens outside are left to other dispatches.
// Grid     one workgroup of `lanes` per token of the slice. The workgroup of a token's first occurrence in the batch owns its
//          table row and adds all occurrences in order; the others stop. Every lane reads the ids, all lanes the same word:
//          at most N² reads a lane over the batch. Sharing the search through workgroup memory was 10 times slower on
//          SwiftShader, which pays for barriers.
// Effect   ADDS into d_table: clear once per optimiser step. No atomics: a repeat run gives the same bits.
// Pairs    kernels/embedding.ts · reference/embedding.ts · test/kernels/embedding.test.ts

override lanes: u32 = 64;
override width: u32; // C
override table_first: u32 = 0;
override table_rows: u32;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // (N)
@group(0) @binding(2) var<storage, read> d_y: array<f32>; // (N, C)
@group(0) @binding(3) var<storage, read_write> d_table: array<f32>; // (table_rows, C)

@compute @workgroup_size(lanes)
fn embedding_backward(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = rows.first + workgroup.x + workgroup.y * workgroups.x;
  if (n >= rows.end) {
    return;
  }
  let id = ids[n];
  let row = id - table_first; // wraps to a huge number below the bound part
  if (row >= table_rows) {
    return;
  }
  for (var earlier = 0u; earlier < n; earlier++) {
    if (ids[earlier] == id) {
      return;
    }
  }
  for (var other = n; other < rows.count; other++) {
    if (ids[other] == id) {
      for (var c = lane; c < width; c += lanes) {
        d_table[row * width + c] += d_y[other * width + c];
      }
    }
  }
}
