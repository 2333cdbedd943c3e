// adamw: one AdamW step over one window of the flat parameters, in torch's order of operations.
//   g = scale · gradient;   p ← p · (1 − lr·wd);   m ← m + (1−β₁)·(g − m);   v ← β₂·v + (1−β₂)·g²
//   p ← p − (lr / bc₁) · m / (√v / √bc₂ + ε)               bc_i = 1 − β_i^step
// Paper    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2 (decoupled decay; torch.optim.AdamW).
// Shapes   parameter, gradient, m, v (window of E); hyper (12), laid out in kernels/optimizer.ts;
//          clip_state (4) = (norm, scale, non-finite flag, 0); f32.
// Grid     one invocation per element; no two write the same cell.
// Effect   UPDATES parameter, m, v in place; nothing at all when the flag is set. The first DECAY elements decay.
// Pairs    kernels/optimizer.ts · reference/optimizer.ts · test/kernels/optimizer.test.ts

override lanes: u32 = 64;
override DECAY: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read> clip_state: array<f32>;

@compute @workgroup_size(lanes)
fn adamw(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * lanes + lane;
  if (i >= arrayLength(&parameter) || clip_state[2] != 0.0) {
    return;
  }
  let beta2 = hyper[2];
  let epsilon = hyper[3];
  let decay_factor = select(1.0, hyper[7], i < DECAY);
  let one_minus_beta1 = hyper[8];
  let one_minus_beta2 = hyper[9];
  let step_size = hyper[10];
  let root_correction2 = hyper[11];

  let g = gradient[i] * clip_state[1];
  let new_m = m[i] + one_minus_beta1 * (g - m[i]);
  let new_v = beta2 * v[i] + one_minus_beta2 * g * g;
  m[i] = new_m;
  v[i] = new_v;
  let denominator = sqrt(new_v) / root_correction2 + epsilon;
  parameter[i] = parameter[i] * decay_factor - step_size * new_m / denominator;
}
