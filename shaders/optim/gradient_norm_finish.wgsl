// gradient_norm_finish: stage two of the global gradient norm, and the factor that clips it.
//   norm = √Σ_g partials[g],   scale = min(1, maxNorm / (norm + 1e-6))      as torch.nn.utils.clip_grad_norm_
//   state = (norm, scale, flag, 0): flag 1 and norm +∞, scale 0 when any gradient, or the sum, is not finite
// Shapes   partials (G) f32 as bits, max_norm (1 or more) f32, state (4) f32 as bits.
// Grid     one workgroup.
// Effect   WRITES. max_norm ≤ 0 means no clipping: scale 1.
// Pairs    kernels/optimizer.ts · reference/optimizer.ts · test/kernels/optimizer.test.ts · prelude lane_reductions

override COUNT: u32;

@group(0) @binding(0) var<storage, read> partials: array<u32>;
@group(0) @binding(1) var<storage, read> max_norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;

const EXPONENT = 0x7f800000u;

@compute @workgroup_size(lanes)
fn gradient_norm_finish(@builtin(local_invocation_index) lane: u32) {
  var own = 0.0;
  var bad = 0.0;
  for (var i = lane; i < COUNT; i += lanes) {
    let bits = partials[i];
    if ((bits & EXPONENT) == EXPONENT) {
      bad = 1.0;
    } else {
      own += bitcast<f32>(bits);
    }
  }
  let sum = sum_over_lanes(lane, own);
  let any_bad = sum_over_lanes(lane, bad);
  if (lane != 0u) {
    return;
  }
  if (any_bad > 0.0 || (bitcast<u32>(sum) & EXPONENT) == EXPONENT) {
    state[0] = EXPONENT;
    state[1] = 0u;
    state[2] = bitcast<u32>(1.0);
  } else {
    let norm = sqrt(sum);
    let most = max_norm[0];
    state[0] = bitcast<u32>(norm);
    state[1] = bitcast<u32>(select(1.0, min(1.0, most / (norm + 1e-6)), most > 0.0));
    state[2] = 0u;
  }
  state[3] = 0u;
}
