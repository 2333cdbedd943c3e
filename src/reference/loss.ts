// loss.ts: float64 spec of the losses over log-probabilities: sums per sequence, weighted negative log-likelihood, and the
// preference losses (base/preferenceLoss.ts) over pairs. Formulas as in TRL 1.10's DPOTrainer.

import { preferenceLoss, type PreferenceLoss } from '../base/preferenceLoss';

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
