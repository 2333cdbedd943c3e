// sequence_logps: log-probability of each sequence from those of its tokens.
//   sums[s] = Σ_{m = starts[s]}^{starts[s+1]−1} token_logps[m]        means[s] = sums[s] / (starts[s+1] − starts[s])
// Shapes   token_logps (M), starts (S+1) u32, sums (S), means (S); f32. Rows are sequences.
// Grid     one workgroup per sequence.
// Effect   WRITES. A sequence without tokens gives 0 and 0.
// Pairs    kernels/loss.ts · reference/loss.ts · test/kernels/loss.test.ts · prelude lane_reductions

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> token_logps: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>;

@compute @workgroup_size(lanes)
fn sequence_logps(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = rows.first + group.x + group.y * groups.x;
  if (sequence >= rows.end) {
    return;
  }
  let first = starts[sequence];
  let end = starts[sequence + 1u];
  var own = 0.0;
  for (var m = first + lane; m < end; m += lanes) {
    own += token_logps[m];
  }
  let sum = sum_over_lanes(lane, own);
  if (lane == 0u) {
    sums[sequence] = sum;
    means[sequence] = sum / f32(max(end - first, 1u));
  }
}
