// rmsnorm_backward_weight: gradient of the loss with respect to the gain of an RMSNorm.
//   d_weight[c] += Σ_n d_y[n, c] · x[n, c] · inverse_rms[n]
// Shapes   x, d_y (N, C), inverse_rms (N), d_weight (C); f32, row-major.
// Grid     one workgroup per 32 columns; 8 invocations share a column's rows and are summed in fixed order.
// Effect   ADDS the slice's sum into d_weight: clear once per optimiser step.
// Pairs    kernels/rmsnorm.ts · reference/rmsnorm.ts · test/kernels/rmsnorm.test.ts

override width: u32; // C

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (N, C)
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>; // (N)
@group(0) @binding(3) var<storage, read> d_y: array<f32>; // (N, C)
@group(0) @binding(4) var<storage, read_write> d_weight: array<f32>; // (C)

var<workgroup> partial: array<f32, 256>; // (8, 32)

@compute @workgroup_size(32, 8)
fn rmsnorm_backward_weight(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let c = (workgroup.x + workgroup.y * workgroups.x) * 32u + local.x;
  var sum = 0.0;
  if (c < width) {
    for (var n = rows.first + local.y; n < rows.end; n += 8u) {
      sum += d_y[n * width + c] * x[n * width + c] * inverse_rms[n];
    }
  }
  partial[local.y * 32u + local.x] = sum;
  workgroupBarrier();
  if (local.y == 0u && c < width) {
    var total = 0.0;
    for (var part = 0u; part < 8u; part++) {
      total += partial[part * 32u + local.x];
    }
    d_weight[c] += total;
  }
}
