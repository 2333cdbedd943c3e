// nf4_absmax_sum: sums of runs of values, the first step of the mean of all absmax (nf4_absmax_mean).
//   sums[r, s] = Σ_j values[(r·STEP + j)·STRANDS + s], j = 0 … STEP − 1, added in that order from 0 in float32
// Shapes   values f32 [≥ RUNS·STEP·STRANDS], sums f32 [RUNS, STRANDS].
// Grid     one invocation a sum, workgroups of 64, linear over x and y.
// Effect   writes sums.
// Pairs    kernels/quantize.ts · reference/nf4.ts (torchSum) · test/kernels/nf4.test.ts

override RUNS: u32;
override STEP: u32;
override STRANDS: u32;
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn nf4_absmax_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= RUNS * STRANDS) {
    return;
  }
  let first = at / STRANDS * STEP * STRANDS + at % STRANDS;
  var total = 0.0;
  for (var j = 0u; j < STEP; j++) {
    total += values[first + j * STRANDS];
  }
  sums[at] = total;
}
