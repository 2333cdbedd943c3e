// preferenceValues.ts: TRL's metrics of some pairs from their log-probabilities, for validation and for `inspect`. The loss
// itself is reference/loss.ts; a training step's own metrics come from the GPU.
import type { PreferenceLoss } from '../base/preferenceLoss';
import { dpoLoss } from '../reference/loss';
import { meanOf } from './training';

export interface PreferenceSettings {
  loss: PreferenceLoss;
  beta: number;
  labelSmoothing: number;
}

/**
 * Means over pairs, each name with `prefix` in front.
 * @param policy (2P) chosen at 2p, rejected at 2p + 1; sums, or per-token means for ipo. @param reference the same.
 */
export function preferenceValues(
  policy: Float32Array,
  reference: Float32Array,
  settings: PreferenceSettings,
  prefix = '',
): Record<string, number> {
  const P = policy.length / 2;
  const { losses, rewardsChosen, rewardsRejected } = dpoLoss(
    policy,
    reference,
    [settings.beta, settings.labelSmoothing, 1 / P],
    settings.loss,
  );
  return {
    [`${prefix}loss`]: meanOf(losses),
    [`${prefix}rewards/chosen`]: meanOf(rewardsChosen),
    [`${prefix}rewards/rejected`]: meanOf(rewardsRejected),
    [`${prefix}rewards/accuracies`]: meanOf(rewardsChosen.map((reward, p) => (reward > rewardsRejected[p]! ? 1 : 0))),
    [`${prefix}rewards/margins`]: meanOf(rewardsChosen.map((reward, p) => reward - rewardsRejected[p]!)),
    [`${prefix}logps/chosen`]: meanOf(policy.filter((_, i) => i % 2 === 0)),
    [`${prefix}logps/rejected`]: meanOf(policy.filter((_, i) => i % 2 === 1)),
  };
}
