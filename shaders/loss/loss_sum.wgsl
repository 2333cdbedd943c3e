// loss_sum: the weighted loss of a micro-batch as one number.
//   loss[0] += −Σ_m row_weights[m] · token_logps[m]
// Shapes   token_logps (M), row_weights (M), loss (1); f32.
// Grid     one workgroup for all rows of the slice.
// Effect   ADDS into loss: clear once per optimiser step. Fixed order of additions.
// Pairs    kernels/loss.ts · reference/loss.ts · test/kernels/loss.test.ts · prelude lane_reductions

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> token_logps: array<f32>;
@group(0) @binding(2) var<storage, read> row_weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(lanes)
fn loss_sum(@builtin(local_invocation_index) lane: u32) {
  var own = 0.0;
  for (var m = rows.first + lane; m < rows.end; m += lanes) {
    own += row_weights[m] * token_logps[m];
  }
  let sum = sum_over_lanes(lane, own);
  if (lane == 0u) {
    loss[0] -= sum;
  }
}
