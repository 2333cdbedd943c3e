// rmsnorm_backward_input: gradient of the loss with respect to the input of an RMSNorm.
//   d_x[n, c] += r · (weight[c] · d_y[n, c] − x[n, c] · r² / C · Σ_i weight[i] · d_y[n, i] · x[n, i])      r = inverse_rms[n]
// Paper    Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4, differentiated.
// Shapes   x, d_y, d_x (N, H·C), weight (C), inverse_rms (N, H); f32, row-major. H groups of C columns are normalised
//          each by itself (queries and keys per head); H = 1 for a whole row.
// Grid     one workgroup per row and group; prelude lane_reductions.wgsl.
// Effect   ADDS into d_x (the residual stream's gradient); with accumulate = false WRITES it.
// Pairs    kernels/rmsnorm.ts · reference/rmsnorm.ts · test/kernels/rmsnorm.test.ts

override width: u32; // C
override heads: u32 = 1; // H
override accumulate: bool = true;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (N, C)
@group(0) @binding(2) var<storage, read> weight: array<f32>; // (C)
@group(0) @binding(3) var<storage, read> inverse_rms: array<f32>; // (N)
@group(0) @binding(4) var<storage, read> d_y: array<f32>; // (N, C)
@group(0) @binding(5) var<storage, read_write> d_x: array<f32>; // (N, C)

@compute @workgroup_size(lanes)
fn rmsnorm_backward_input(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = rows.first * heads + workgroup.x + workgroup.y * workgroups.x;
  if (n >= rows.end * heads) {
    return;
  }
  let at = n * width;
  var product = 0.0;
  for (var c = lane; c < width; c += lanes) {
    product += weight[c] * d_y[at + c] * x[at + c];
  }
  let r = inverse_rms[n];
  let along = sum_over_lanes(lane, product) * r * r / f32(width);
  for (var c = lane; c < width; c += lanes) {
    let gradient = r * (weight[c] * d_y[at + c] - x[at + c] * along);
    d_x[at + c] = select(gradient, d_x[at + c] + gradient, accumulate);
  }
}
