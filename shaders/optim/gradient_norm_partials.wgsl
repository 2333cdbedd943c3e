// gradient_norm_partials: stage one of the global gradient norm, over one window of the flat gradient.
//   partials[FIRST_PARTIAL + g] = Σ gradient[i]²   over the elements of workgroup g
// Shapes   gradient (window of E) f32 as bits, partials (G) f32 as bits.
// Grid     any number of workgroups g in x; workgroup g takes elements g·lanes + lane, then every (groups·lanes)-th.
// Effect   WRITES. One element that is not finite makes its partial +∞, by bit pattern: WGSL may assume there is none.
// Pairs    kernels/optimizer.ts · reference/optimizer.ts · test/kernels/optimizer.test.ts · prelude lane_reductions

override FIRST_PARTIAL: u32;

@group(0) @binding(0) var<storage, read> gradient: array<u32>;
@group(0) @binding(1) var<storage, read_write> partials: array<u32>;

const EXPONENT = 0x7f800000u;

@compute @workgroup_size(lanes)
fn gradient_norm_partials(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let count = arrayLength(&gradient);
  var own = 0.0;
  var bad = 0.0;
  for (var i = group.x * lanes + lane; i < count; i += groups.x * lanes) {
    let bits = gradient[i];
    if ((bits & EXPONENT) == EXPONENT) {
      bad = 1.0;
    } else {
      let value = bitcast<f32>(bits);
      own += value * value;
    }
  }
  let sum = sum_over_lanes(lane, own);
  let any_bad = sum_over_lanes(lane, bad);
  if (lane == 0u) {
    partials[FIRST_PARTIAL + group.x] = select(bitcast<u32>(sum), EXPONENT, any_bad > 0.0);
  }
}
