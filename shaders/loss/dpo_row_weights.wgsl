// dpo_row_weights: carries the gradient of a preference loss from sequences to their target rows.
//   row_weights[m] = −d_policy[sequence_of[m]]  (/ lengths[sequence_of[m]] when PER_TOKEN_MEAN)
//   so that the head's loss −Σ_m row_weights[m]·token_logps[m] has the preference loss's gradient.
// Shapes   d_policy (2P), sequence_of (M) u32, lengths (2P) u32, row_weights (M); f32. Rows are target rows.
// Grid     one invocation per row.
// Effect   WRITES.
// Pairs    kernels/loss.ts · reference/loss.ts · test/kernels/loss.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override PER_TOKEN_MEAN: bool;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> d_policy: array<f32>;
@group(0) @binding(2) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> row_weights: array<f32>;

@compute @workgroup_size(64)
fn dpo_row_weights(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = rows.first + id.x + id.y * groups.x * 64u;
  if (row >= rows.end) {
    return;
  }
  let sequence = sequence_of[row];
  var weight = -d_policy[sequence];
  if (PER_TOKEN_MEAN) {
    weight /= f32(lengths[sequence]);
  }
  row_weights[row] = weight;
}
