// embedding_backward: gradient of the loss with respect to the embedding table.
//   d_table[v, c] += Σ_{n: ids[n] = v} d_y[n, c]
// Shapes   ids (N) u32, d_y (N, C), d_table (V, C); f32, row-major. The bound d_table may be rows
//          [table_first, table_first + table_rows) of a larger one; tokens outside are left to other dispatches.
// Grid     one workgroup of 64 per token of the slice. The workgroup of a token's first occurrence in the batch owns its
//          table row and adds all occurrences in order; the others stop. Cost N²/64 reads of ids a lane at the worst.
// Effect   ADDS into d_table: clear once per optimiser step. No atomics: a repeat run gives the same bits.
// Pairs    kernels/embedding.ts · reference/embedding.ts · test/kernels/embedding.test.ts

override width: u32; // C
override table_first: u32 = 0;
override table_rows: u32;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // (N)
@group(0) @binding(2) var<storage, read> d_y: array<f32>; // (N, C)
@group(0) @binding(3) var<storage, read_write> d_table: array<f32>; // (table_rows, C)

var<workgroup> seen_before: array<u32, 64>;
var<workgroup> matches: array<u32, 64>; // one bit per token, 32 tokens a lane

@compute @workgroup_size(64)
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

  var seen = 0u;
  for (var earlier = lane; earlier < n; earlier += 64u) {
    if (ids[earlier] == id) {
      seen = 1u;
      break;
    }
  }
  seen_before[lane] = seen;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      seen_before[lane] |= seen_before[lane + half];
    }
    workgroupBarrier();
  }
  if (workgroupUniformLoad(&seen_before[0]) != 0u) {
    return;
  }

  for (var tile = n; tile < rows.count; tile += 2048u) {
    var word = 0u;
    for (var bit = 0u; bit < 32u; bit++) {
      let other = tile + lane * 32u + bit;
      if (other < rows.count && ids[min(other, rows.count - 1u)] == id) {
        word |= 1u << bit;
      }
    }
    matches[lane] = word;
    workgroupBarrier();
    for (var group = 0u; group < 64u; group++) {
      var remaining = matches[group];
      while (remaining != 0u) {
        let other = tile + group * 32u + countTrailingZeros(remaining);
        remaining &= remaining - 1u;
        for (var c = lane; c < width; c += 64u) {
          d_table[row * width + c] += d_y[other * width + c];
        }
      }
    }
    workgroupBarrier();
  }
}
