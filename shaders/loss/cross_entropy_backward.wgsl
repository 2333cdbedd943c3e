// cross_entropy_backward: the logits of one chunk of the vocabulary become their own gradient, in place.
//   d_logits[m, j] = row_weights[m] · ( exp(logits[m, j] − logsumexp[m]) − [chunk·SIZE + j = targets[m]] )
//   which is the gradient of −Σ_m row_weights[m] · (logits[m, targets[m]] − logsumexp[m]). With a soft cap c the logits are
//   the capped ones, c·tanh(u/c), and d_logits is with respect to u: times 1 − (logits/c)².
// Shapes   logits (M, width) with width = min(SIZE, V − chunk·SIZE), targets (M) u32, chunk (1) u32 its number from 0,
//          logsumexp (M), row_weights (M); f32, row-major.
// Grid     one workgroup per row, its lanes side by side over the columns; no two write the same cell.
// Effect   WRITES logits in place (running it twice on the same logits is wrong).
// Pairs    kernels/head.ts · reference/head.ts · test/kernels/head.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override lanes: u32 = 64;
override V: u32;
override SIZE: u32; // tokens in every chunk but the last
override cap: f32 = 0.0; // soft cap c of the logits; 0: none

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> logsumexp: array<f32>;
@group(0) @binding(4) var<storage, read> row_weights: array<f32>;
@group(0) @binding(5) var<storage, read> chunk: array<u32>;

@compute @workgroup_size(lanes)
fn cross_entropy_backward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = rows.first + group.x + group.y * groups.x;
  if (row >= rows.end) {
    return;
  }
  let chunk_start = chunk[0] * SIZE;
  let width = min(SIZE, V - chunk_start);
  let base = row * width;
  let normalizer = logsumexp[row];
  let weight = row_weights[row];
  let hit = targets[row] - chunk_start; // wraps to a huge number for a target in an earlier chunk
  for (var j = lane; j < width; j += lanes) {
    let logit = logits[base + j];
    let gradient = weight * (exp(logit - normalizer) - select(0.0, 1.0, j == hit));
    if (cap > 0.0) {
      logits[base + j] = gradient * (1.0 - (logit / cap) * (logit / cap));
    } else {
      logits[base + j] = gradient;
    }
  }
}
