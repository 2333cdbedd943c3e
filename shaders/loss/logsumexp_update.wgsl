// logsumexp_update: one chunk of the vocabulary joins each row's running logsumexp; the target's logit is picked on the way.
//   logsumexp[m] ← log( exp(logsumexp[m]) + Σ_j exp(logits[m, j]) )     the first chunk starts it
//   target_logit[m] ← logits[m, targets[m] − chunk·SIZE]                where the target lies in this chunk
//   token_logps[m] ← target_logit[m] − logsumexp[m]                     in the last chunk
// Source   Milakov & Gimelshein 2018, arXiv:1805.02867, §3 (online normalizer).
// Shapes   logits (M, width) with width = min(SIZE, V − chunk·SIZE), targets (M) u32, chunk (1) u32 its number from 0,
//          logsumexp (M), target_logit (M), token_logps (M); f32, row-major.
// Grid     one workgroup per row.
// Effect   WRITES; the chunks must run in order. A target outside [0, V) gives NaN.
// Pairs    kernels/head.ts · reference/head.ts · test/kernels/head.test.ts · prelude lane_reductions

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override V: u32;
override SIZE: u32; // tokens in every chunk but the last

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> logsumexp: array<f32>;
@group(0) @binding(4) var<storage, read_write> target_logit: array<f32>;
@group(0) @binding(5) var<storage, read_write> token_logps: array<f32>;
@group(0) @binding(6) var<storage, read> chunk: array<u32>;

const LOWEST = -3.4028234e38f;

@compute @workgroup_size(lanes)
fn logsumexp_update(
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
  // Each lane keeps its own maximum and the sum of exponentials below it: one exp per logit.
  var most = LOWEST;
  var sum = 0.0;
  for (var j = lane; j < width; j += lanes) {
    let x = logits[base + j];
    if (x > most) {
      sum = sum * exp(most - x) + 1.0;
      most = x;
    } else {
      sum += exp(x - most);
    }
  }
  let row_max = max_over_lanes(lane, most);
  let row_sum = sum_over_lanes(lane, select(sum * exp(most - row_max), 0.0, sum == 0.0));
  if (lane != 0u) {
    return;
  }
  var result = row_max + log(row_sum);
  if (chunk_start > 0u) {
    let before = logsumexp[row];
    let high = max(before, result);
    result = high + log(1.0 + exp(min(before, result) - high));
  }
  logsumexp[row] = result;

  let at = targets[row];
  if (at >= chunk_start && at - chunk_start < width) {
    target_logit[row] = logits[base + at - chunk_start];
  } else if (chunk_start == 0u) {
    // NaN until a later chunk holds the target; the row keeps it from being a constant, which WGSL would refuse.
    target_logit[row] = bitcast<f32>(0x7fc00000u | min(row, 1u));
  }
  if (chunk_start + width == V) {
    token_logps[row] = target_logit[row] - result;
  }
}
