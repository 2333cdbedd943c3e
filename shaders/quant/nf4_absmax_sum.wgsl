// nf4_absmax_sum: sums of runs of values, the first step of the mean of all absmax; run again on its own sums.
//   sums[g] = scale · Σ values[g·RUN … (g+1)·RUN − 1]
// Shapes   values f32 [COUNT], sums f32 [≥ ⌈COUNT/RUN⌉].
// Grid     one workgroup of 64 invocations a run, linear over x and y.
// Effect   writes sums. The order of addition is fixed: each invocation adds every 64th value, then a tree.
// Pairs    kernels/quantize.ts · reference/nf4.ts · test/kernels/nf4.test.ts

override COUNT: u32;
override RUN: u32;
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn nf4_absmax_sum(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let run = group.x + group.y * groups.x;
  let first = run * RUN;
  var total = 0.0;
  if (first < COUNT) {
    let end = min(first + RUN, COUNT);
    for (var i = first + lane; i < end; i += 64u) {
      total += values[i];
    }
  }
  part[lane] = total;
  for (var half = 32u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      part[lane] += part[lane + half];
    }
  }
  if (lane == 0u && first < COUNT) {
    sums[run] = part[0];
  }
}
