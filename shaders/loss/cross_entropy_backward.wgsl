// cross_entropy_backward: the logits of one chunk of the vocabulary become their own gradient, in place.
//   d_logits[m, j] = row_weights[m] · ( exp(logits[m, j] − logsumexp[m]) − [START + j = targets[m]] )
//   which is the gradient of −Σ_m row_weights[m] · (logits[m, targets[m]] − logsumexp[m]).
// Shapes   logits (M, WIDTH), targets (M) u32, logsumexp (M), row_weights (M); f32, row-major.
// Grid     one invocation per element; no two write the same cell.
// Effect   WRITES logits in place (running it twice on the same logits is wrong).
// Pairs    kernels/head.ts · reference/head.ts · test/kernels/head.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override lanes: u32 = 64;
override WIDTH: u32;
override START: u32;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> logsumexp: array<f32>;
@group(0) @binding(4) var<storage, read> row_weights: array<f32>;

@compute @workgroup_size(lanes)
fn cross_entropy_backward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.x + group.y * groups.x) * lanes + lane;
  let row = rows.first + index / WIDTH;
  if (row >= rows.end) {
    return;
  }
  let column = index % WIDTH;
  let at = row * WIDTH + column;
  let probability = exp(logits[at] - logsumexp[row]);
  let hit = select(0.0, 1.0, targets[row] == START + column);
  logits[at] = row_weights[row] * (probability - hit);
}
