// swiglu_backward: gradients of the gated hidden activation with respect to both of its inputs.
//   d_up[n, f]   = d_y[n, f] · act(gate[n, f])
//   d_gate[n, f] = d_y[n, f] · up[n, f] · act′(g)          with g = gate[n, f]
//   silu′(g) = σ(g) · (1 + g · (1 − σ(g)));   of GELU's tanh approximation, with t = tanh(u), u = √(2/π)·(g + 0.044715·g³):
//   (1 + t)/2 + g/2 · (1 − t²) · √(2/π)·(1 + 3·0.044715·g²)
// Paper    Shazeer 2020, arXiv:2002.05202, eq. 6, differentiated.
// Shapes   gate, up, d_y, d_gate, d_up (N, F); f32, row-major.
// Grid     one invocation per element of the slice's rows; prelude safe_tanh.wgsl.
// Effect   WRITES d_gate and d_up.
// Pairs    kernels/swiglu.ts · reference/swiglu.ts · test/kernels/swiglu.test.ts

override width: u32; // F
override gelu: bool = false; // GELU in its tanh approximation, in place of SiLU

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> gate: array<f32>; // (N, F)
@group(0) @binding(2) var<storage, read> up: array<f32>; // (N, F)
@group(0) @binding(3) var<storage, read> d_y: array<f32>; // (N, F)
@group(0) @binding(4) var<storage, read_write> d_gate: array<f32>; // (N, F)
@group(0) @binding(5) var<storage, read_write> d_up: array<f32>; // (N, F)

// σ(g) without overflow: exp only sees numbers ≤ 0.
fn sigmoid(g: f32) -> f32 {
  let e = exp(-abs(g));
  return select(e, 1.0, g >= 0.0) / (1.0 + e);
}

@compute @workgroup_size(64)
fn swiglu_backward(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i < rows.end * width) {
    let g = gate[i];
    let gradient = d_y[i];
    if (gelu) {
      let t = safe_tanh(0.7978845608028654 * (g + 0.044715 * g * g * g));
      let slope = 0.7978845608028654 * (1.0 + 0.134145 * g * g);
      d_up[i] = gradient * 0.5 * g * (1.0 + t);
      d_gate[i] = gradient * up[i] * (0.5 * (1.0 + t) + 0.5 * g * (1.0 - t * t) * slope);
      return;
    }
    let s = sigmoid(g);
    d_up[i] = gradient * g * s;
    d_gate[i] = gradient * up[i] * s * (1.0 + g * (1.0 - s));
  }
}
