// dpo_loss: preference loss of each pair, its rewards, and its gradient with respect to the policy's log-probabilities.
//   d = (policy − reference)(chosen) − (policy − reference)(rejected),   z = β·d,   ε = label smoothing
//   LOSS 0 sigmoid   −(1−ε)·log σ(z) − ε·log σ(−z)                 d/dz = ε·σ(z) − (1−ε)·σ(−z)
//   LOSS 1 ipo       (d − 1/(2β))²                                   d/dd = 2·(d − 1/(2β))
//   LOSS 2 hinge     max(0, 1 − z)                                   d/dz = −[z < 1]
//   LOSS 3 robust    (−(1−ε)·log σ(z) + ε·log σ(−z)) / (1−2ε)       d/dz = −((1−ε)·σ(−z) + ε·σ(z)) / (1−2ε)
//   rewards = β·(policy − reference);   d_policy = lossWeight · ∂loss/∂policy
// Papers   Rafailov et al. 2023, arXiv:2305.18290, eq. 7 (sigmoid; ε: cDPO, Mitchell 2023); Azar et al. 2023,
//          arXiv:2310.12036, eq. 17 (ipo); Zhao et al. 2023, arXiv:2305.10425 (hinge); Chowdhury et al. 2024,
//          arXiv:2403.00409 (robust). Formulas as in TRL's DPOTrainer.
// Shapes   policy (2P), reference (2P): pair p has chosen at 2p, rejected at 2p+1; hyper (4) = (β, ε, lossWeight, 0);
//          losses (P), rewards_chosen (P), rewards_rejected (P), d_policy (2P); f32. Rows are pairs.
//          Sums over a completion's tokens; for ipo the per-token means.
// Grid     one invocation per pair.
// Effect   WRITES.
// Pairs    kernels/loss.ts · reference/loss.ts · test/kernels/loss.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override LOSS: u32;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> policy: array<f32>;
@group(0) @binding(2) var<storage, read> reference: array<f32>;
@group(0) @binding(3) var<storage, read> hyper: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> rewards_chosen: array<f32>;
@group(0) @binding(6) var<storage, read_write> rewards_rejected: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_policy: array<f32>;

// log(1 + u) for u in [0, 1] as 2·artanh(u / (2 + u)). WGSL's log is only good to 2⁻²¹ near 1, and step 0 must be ln 2.
fn log1p_unit(u: f32) -> f32 {
  let t = u / (2.0 + u); // at most 1/3: eight terms are enough for f32
  let s = t * t;
  let series = 1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0
             + s * (1.0 / 13.0 + s * (1.0 / 15.0 + s * (1.0 / 17.0))))))));
  return 2.0 * t * series;
}

// Never exponentiates a positive number.
fn log_sigmoid(z: f32) -> f32 {
  return min(z, 0.0) - log1p_unit(exp(-abs(z)));
}

fn sigmoid(z: f32) -> f32 {
  let e = exp(-abs(z));
  return select(e, 1.0, z >= 0.0) / (1.0 + e);
}

@compute @workgroup_size(64)
fn dpo_loss(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let pair = rows.first + id.x + id.y * groups.x * 64u;
  if (pair >= rows.end) {
    return;
  }
  let beta = hyper[0];
  let smoothing = hyper[1];
  let loss_weight = hyper[2];
  let chosen = policy[2u * pair] - reference[2u * pair];
  let rejected = policy[2u * pair + 1u] - reference[2u * pair + 1u];
  let d = chosen - rejected;
  let z = beta * d;
  var loss = 0.0;
  var slope = 0.0; // ∂loss/∂d
  switch (LOSS) {
    case 0u: {
      loss = -(1.0 - smoothing) * log_sigmoid(z) - smoothing * log_sigmoid(-z);
      slope = beta * (smoothing * sigmoid(z) - (1.0 - smoothing) * sigmoid(-z));
    }
    case 1u: {
      let miss = d - 1.0 / (2.0 * beta);
      loss = miss * miss;
      slope = 2.0 * miss;
    }
    case 2u: {
      loss = max(0.0, 1.0 - z);
      slope = select(0.0, -beta, z < 1.0);
    }
    default: {
      let scale = 1.0 / (1.0 - 2.0 * smoothing);
      loss = scale * (smoothing * log_sigmoid(-z) - (1.0 - smoothing) * log_sigmoid(z));
      slope = -beta * scale * ((1.0 - smoothing) * sigmoid(-z) + smoothing * sigmoid(z));
    }
  }
  losses[pair] = loss;
  rewards_chosen[pair] = beta * chosen;
  rewards_rejected[pair] = beta * rejected;
  d_policy[2u * pair] = loss_weight * slope;
  d_policy[2u * pair + 1u] = -loss_weight * slope;
}
