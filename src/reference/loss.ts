// loss.ts: float64 spec of the losses over log-probabilities: sums per sequence, weighted negative log-likelihood, and the
// preference losses with their derivatives by hand. Formulas as in TRL 1.10's DPOTrainer.

export type PreferenceLoss = 'sigmoid' | 'ipo' | 'hinge' | 'robust';

/** Sum and mean of tokenLogps over [starts[s], starts[s+1]); 0 and 0 for an empty sequence. */
export function sequenceLogps(
  tokenLogps: ArrayLike<number>,
  starts: ArrayLike<number>,
): { sums: Float64Array; means: Float64Array } {
  const S = starts.length - 1;
  const sums = new Float64Array(S);
  const means = new Float64Array(S);
  for (let s = 0; s < S; s++) {
    for (let m = starts[s]!; m < starts[s + 1]!; m++) sums[s]! += tokenLogps[m]!;
    means[s] = sums[s]! / Math.max(1, starts[s + 1]! - starts[s]!);
  }
  return { sums, means };
}

/** −Σ_m rowWeights[m]·tokenLogps[m]. Derivative with respect to tokenLogps[m]: −rowWeights[m]. */
export function lossSum(tokenLogps: ArrayLike<number>, rowWeights: ArrayLike<number>): number {
  let sum = 0;
  for (let m = 0; m < tokenLogps.length; m++) sum -= rowWeights[m]! * tokenLogps[m]!;
  return sum;
}

/** log σ(z), finite for every z. Derivative: σ(−z). */
export function logSigmoid(z: number): number {
  return Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z)));
}

/** σ(z) without overflow. */
export function sigmoid(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
}

/** Loss of one pair and its derivative, at d = (policy − reference)(chosen) − (policy − reference)(rejected). */
export function preferenceLoss(
  loss: PreferenceLoss,
  d: number,
  beta: number,
  labelSmoothing: number,
): { loss: number; slope: number } {
  const z = beta * d;
  const e = labelSmoothing;
  switch (loss) {
    case 'sigmoid': // Rafailov et al. 2023, eq. 7, with ε flipped labels
      return {
        loss: -(1 - e) * logSigmoid(z) - e * logSigmoid(-z),
        slope: beta * (e * sigmoid(z) - (1 - e) * sigmoid(-z)),
      };
    case 'ipo': // Azar et al. 2023, eq. 17; per-token means
      return { loss: (d - 1 / (2 * beta)) ** 2, slope: 2 * (d - 1 / (2 * beta)) };
    case 'hinge': // Zhao et al. 2023; 0 at the kink, as torch's relu
      return { loss: Math.max(0, 1 - z), slope: z < 1 ? -beta : 0 };
    case 'robust': // Chowdhury et al. 2024: unbiased under labels flipped with probability ε
      return {
        loss: (-(1 - e) * logSigmoid(z) + e * logSigmoid(-z)) / (1 - 2 * e),
        slope: (-beta * ((1 - e) * sigmoid(-z) + e * sigmoid(z))) / (1 - 2 * e),
      };
  }
}

export interface DpoLoss {
  /** (P) */
  losses: Float64Array;
  rewardsChosen: Float64Array;
  rewardsRejected: Float64Array;
  /** (2P) lossWeight · ∂losses/∂policy */
  dPolicy: Float64Array;
}

/** All pairs: policy, reference (2P) with chosen at 2p and rejected at 2p+1; hyper = (β, ε, lossWeight). */
export function dpoLoss(
  policy: ArrayLike<number>,
  reference: ArrayLike<number>,
  hyper: ArrayLike<number>,
  kind: PreferenceLoss,
): DpoLoss {
  const P = policy.length / 2;
  const [beta, smoothing, lossWeight] = [hyper[0]!, hyper[1]!, hyper[2]!];
  const out: DpoLoss = {
    losses: new Float64Array(P),
    rewardsChosen: new Float64Array(P),
    rewardsRejected: new Float64Array(P),
    dPolicy: new Float64Array(2 * P),
  };
  for (let p = 0; p < P; p++) {
    const chosen = policy[2 * p]! - reference[2 * p]!;
    const rejected = policy[2 * p + 1]! - reference[2 * p + 1]!;
    const { loss, slope } = preferenceLoss(kind, chosen - rejected, beta, smoothing);
    out.losses[p] = loss;
    out.rewardsChosen[p] = beta * chosen;
    out.rewardsRejected[p] = beta * rejected;
    out.dPolicy[2 * p] = lossWeight * slope;
    out.dPolicy[2 * p + 1] = -lossWeight * slope;
  }
  return out;
}

/** rowWeights[m] = −dPolicy[s] (/ lengths[s] for per-token means), s = sequenceOf[m]. */
export function dpoRowWeights(
  dPolicy: ArrayLike<number>,
  sequenceOf: ArrayLike<number>,
  lengths: ArrayLike<number>,
  perTokenMean: boolean,
): Float64Array {
  return Float64Array.from(sequenceOf, (s) => -dPolicy[s]! / (perTokenMean ? lengths[s]! : 1));
}
