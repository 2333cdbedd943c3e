// swiglu_forward: the gated hidden activation of the decoder's feed-forward block.
//   y[n, f] = silu(gate[n, f]) · up[n, f]          with silu(g) = g · σ(g)
// Paper    Shazeer 2020, arXiv:2002.05202, eq. 6.
// Shapes   gate, up, y (N, F); f32, row-major.
// Grid     one invocation per element of the slice's rows.
// Effect   WRITES y.
// Pairs    kernels/swiglu.ts · reference/swiglu.ts · test/kernels/swiglu.test.ts

override width: u32; // F

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> gate: array<f32>; // (N, F)
@group(0) @binding(2) var<storage, read> up: array<f32>; // (N, F)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (N, F)

// σ(g) without overflow: exp only sees numbers ≤ 0.
fn sigmoid(g: f32) -> f32 {
  let e = exp(-abs(g));
  return select(e, 1.0, g >= 0.0) / (1.0 + e);
}

@compute @workgroup_size(64)
fn swiglu_forward(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    let g = gate[i];
    y[i] = g * sigmoid(g) * up[i];
  }
}
