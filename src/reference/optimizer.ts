// optimizer.ts: float64 spec of gradient clipping, AdamW and RMSprop, in torch's order of operations. It knows no windows.

export interface ClipState {
  norm: number;
  scale: number;
  nonFinite: boolean;
}

/** norm = √Σ g²; scale = min(1, maxNorm / (norm + 1e-6)), 1 for maxNorm ≤ 0 (torch.nn.utils.clip_grad_norm_). */
export function clipGradient(gradient: ArrayLike<number>, maxNorm: number): ClipState {
  let sum = 0;
  let nonFinite = false;
  for (let i = 0; i < gradient.length; i++) {
    nonFinite ||= !Number.isFinite(gradient[i]);
    sum += gradient[i]! ** 2;
  }
  if (nonFinite) return { norm: Infinity, scale: 0, nonFinite };
  const norm = Math.sqrt(sum);
  return { norm, scale: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1, nonFinite };
}

export interface OptimizerHyper {
  learningRate: number;
  weightDecay: number;
  beta1: number;
  /** AdamW's β₂, RMSprop's α. */
  beta2: number;
  epsilon: number;
  /** From 1. */
  step: number;
}

/**
 * Loshchilov & Hutter 2019, algorithm 2, as torch.optim.AdamW writes it. Updates parameter, m, v in place; the first
 * `decayElements` decay.
 */
export function adamw(
  state: { parameter: Float64Array; m: Float64Array; v: Float64Array },
  gradient: ArrayLike<number>,
  scale: number,
  hyper: OptimizerHyper,
  decayElements: number,
): void {
  const { parameter, m, v } = state;
  const { learningRate, weightDecay, beta1, beta2, epsilon, step } = hyper;
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i]! * scale;
    if (i < decayElements) parameter[i]! *= 1 - learningRate * weightDecay;
    m[i]! += (1 - beta1) * (g - m[i]!);
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    const denominator = Math.sqrt(v[i]!) / Math.sqrt(correction2) + epsilon;
    parameter[i]! -= ((learningRate / correction1) * m[i]!) / denominator;
  }
}

/** torch.optim.RMSprop, not centred, no momentum, weight decay coupled. Updates parameter and v in place. */
export function rmsprop(
  state: { parameter: Float64Array; v: Float64Array },
  gradient: ArrayLike<number>,
  scale: number,
  hyper: OptimizerHyper,
  decayElements: number,
): void {
  const { parameter, v } = state;
  const { learningRate, weightDecay, beta2: alpha, epsilon } = hyper;
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i]! * scale + (i < decayElements ? weightDecay * parameter[i]! : 0);
    v[i] = alpha * v[i]! + (1 - alpha) * g * g;
    parameter[i]! -= (learningRate * g) / (Math.sqrt(v[i]!) + epsilon);
  }
}
