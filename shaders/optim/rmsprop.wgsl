// rmsprop: one RMSprop step over one window of the flat parameters, in torch's order of operations.
//   g = scale · gradient + wd·p;   v ← α·v + (1−α)·g²;   p ← p − lr · g / (√v + ε)
// Source   Hinton, lecture 6e of "Neural Networks for Machine Learning"; torch.optim.RMSprop (not centred, no momentum).
//          Weight decay is coupled (added to the gradient), as there.
// Shapes   parameter, gradient, v (window of E); hyper (12), laid out in kernels/optimizer.ts, α in the place of β₂;
//          clip_state (4) = (norm, scale, non-finite flag, 0); f32.
// Grid     one invocation per element; no two write the same cell.
// Effect   UPDATES parameter and v in place; nothing at all when the flag is set. The first DECAY elements decay.
// Pairs    kernels/optimizer.ts · reference/optimizer.ts · test/kernels/optimizer.test.ts

override lanes: u32 = 64;
override DECAY: u32;

@group(0) @binding(0) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<storage, read> hyper: array<f32>;
@group(0) @binding(4) var<storage, read> clip_state: array<f32>;

@compute @workgroup_size(lanes)
fn rmsprop(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * lanes + lane;
  if (i >= arrayLength(&parameter) || clip_state[2] != 0.0) {
    return;
  }
  let learning_rate = hyper[0];
  let alpha = hyper[2];
  let epsilon = hyper[3];
  let weight_decay = select(0.0, hyper[4], i < DECAY);
  let one_minus_alpha = hyper[9];

  let g = gradient[i] * clip_state[1] + weight_decay * parameter[i];
  let new_v = alpha * v[i] + one_minus_alpha * g * g;
  v[i] = new_v;
  parameter[i] -= learning_rate * g / (sqrt(new_v) + epsilon);
}
