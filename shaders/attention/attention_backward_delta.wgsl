// attention_backward_delta: the part of the softmax's backward that is the same for all keys of a query.
//   delta[n, h] = Σ_c d_y[n, h, c] · y[n, h, c]          (= Σ_j p[j] · dp[j])
// Paper    Dao et al. 2022, arXiv:2205.14135, appendix B.4, eq. 4.
// Shapes   y, d_y (N, H·K), delta (N, H); f32, row-major.
// Grid     one invocation per (token, query head) of the slice's rows.
// Effect   WRITES delta.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override heads: u32; // H
override head_size: u32; // K

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> y: array<f32>; // (N, H·K)
@group(0) @binding(2) var<storage, read> d_y: array<f32>; // (N, H·K)
@group(0) @binding(3) var<storage, read_write> delta: array<f32>; // (N, H)

@compute @workgroup_size(64)
fn attention_backward_delta(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * heads + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i >= rows.end * heads) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < head_size; c++) {
    sum += d_y[i * head_size + c] * y[i * head_size + c];
  }
  delta[i] = sum;
}
