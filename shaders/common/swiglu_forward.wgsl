// swiglu_forward: the gated hidden activation of the decoder's feed-forward block.
//   y[n, f] = act(gate[n, f]) · up[n, f]
//   with act(g) = silu(g) = g · σ(g), or GELU's tanh approximation g/2 · (1 + tanh(√(2/π)·(g + 0.044715·g³)))
// Paper    Shazeer 2020, arXiv:2002.05202, eq. 6; GELU: Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2.
// Shapes   gate, up, y (N, F); f32, row-major.
// Grid     one invocation per element of the slice's rows; prelude safe_tanh.wgsl.
// Effect   WRITES y.
// Pairs    kernels/swiglu.ts · reference/swiglu.ts · test/kernels/swiglu.test.ts

override width: u32; // F
override gelu: bool = false; // GELU in its tanh approximation, in place of SiLU

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

fn gelu_tanh(g: f32) -> f32 {
  return 0.5 * g * (1.0 + safe_tanh(0.7978845608028654 * (g + 0.044715 * g * g * g)));
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
    if (gelu) {
      y[i] = gelu_tanh(g) * up[i];
    } else {
      y[i] = g * sigmoid(g) * up[i];
    }
  }
}
