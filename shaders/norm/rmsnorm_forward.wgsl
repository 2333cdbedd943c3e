// rmsnorm_forward: root-mean-square normalisation of each row.
//   r[n] = 1 / sqrt(Σ_c x[n, c]² / C + ε);   y[n, c] = weight[c] · (x[n, c] · r[n])
// Paper    Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4; ε inside the root as in Llama.
// Shapes   x, y (N, H·C), weight (C), inverse_rms (N, H); f32, row-major. H groups of C columns are normalised each by
//          itself (queries and keys per head); H = 1 for a whole row.
// Grid     one workgroup per row and group; prelude lane_reductions.wgsl.
// Effect   WRITES y and inverse_rms (kept for the backward).
// Pairs    kernels/rmsnorm.ts · reference/rmsnorm.ts · test/kernels/rmsnorm.test.ts

override width: u32; // C
override heads: u32 = 1; // H
override epsilon: f32;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (N, C)
@group(0) @binding(2) var<storage, read> weight: array<f32>; // (C)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (N, C)
@group(0) @binding(4) var<storage, read_write> inverse_rms: array<f32>; // (N)

@compute @workgroup_size(lanes)
fn rmsnorm_forward(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = rows.first * heads + workgroup.x + workgroup.y * workgroups.x;
  if (n >= rows.end * heads) {
    return;
  }
  let at = n * width;
  var squares = 0.0;
  for (var c = lane; c < width; c += lanes) {
    let value = x[at + c];
    squares += value * value;
  }
  let r = 1.0 / sqrt(sum_over_lanes(lane, squares) / f32(width) + epsilon);
  for (var c = lane; c < width; c += lanes) {
    y[at + c] = weight[c] * (x[at + c] * r);
  }
  if (lane == 0u) {
    inverse_rms[n] = r;
  }
}
