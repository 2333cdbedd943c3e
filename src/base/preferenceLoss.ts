// preferenceLoss.ts: the loss of one preference pair with its derivative by hand, in float64: the mathematics that reference/
// and the page's chapters share. Formulas as in TRL 1.10's DPOTrainer. It knows no batch and no tokens.

export type PreferenceLoss = 'sigmoid' | 'ipo' | 'hinge' | 'robust';

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
