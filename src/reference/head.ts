// head.ts: float64 spec of the output head with cross-entropy. It knows no chunks: those are the kernels' business.

export interface HeadSizes {
  M: number;
  C: number;
  V: number;
  /** c of c·tanh(logit/c); absent: none. */
  cap?: number;
}

export interface HeadForward {
  /** (M, V) */
  logits: Float64Array;
  /** (M) */
  logsumexp: Float64Array;
  targetLogit: Float64Array;
  tokenLogps: Float64Array;
}

/** logits = x Wᵀ, or c·tanh(x Wᵀ/c) under a soft cap; tokenLogps[m] = logits[m, targets[m]] − log Σ_j exp(logits[m, j]). x (M, C), weight (V, C), targets (M). */
export function headForward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  targets: ArrayLike<number>,
  { M, C, V, cap }: HeadSizes,
): HeadForward {
  const logits = new Float64Array(M * V);
  const logsumexp = new Float64Array(M);
  const targetLogit = new Float64Array(M);
  const tokenLogps = new Float64Array(M);
  for (let m = 0; m < M; m++) {
    let most = -Infinity;
    for (let j = 0; j < V; j++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += x[m * C + c]! * weight[j * C + c]!;
      const logit = cap === undefined ? sum : cap * Math.tanh(sum / cap);
      logits[m * V + j] = logit;
      most = Math.max(most, logit);
    }
    let sum = 0;
    for (let j = 0; j < V; j++) sum += Math.exp(logits[m * V + j]! - most);
    logsumexp[m] = most + Math.log(sum);
    const target = targets[m]!;
    targetLogit[m] = target < V ? logits[m * V + target]! : NaN;
    tokenLogps[m] = targetLogit[m]! - logsumexp[m]!;
  }
  return { logits, logsumexp, targetLogit, tokenLogps };
}

/**
 * Gradient of −Σ_m rowWeights[m]·tokenLogps[m]:
 * dLogits[m, j] = rowWeights[m]·(softmax(logits[m])[j] − [j = targets[m]]), times 1 − (logits[m, j]/c)² under a soft cap;
 * dX = dLogits W; dWeight = dLogitsᵀ x.
 */
export function headBackward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  targets: ArrayLike<number>,
  rowWeights: ArrayLike<number>,
  sizes: HeadSizes,
): { dLogits: Float64Array; dX: Float64Array; dWeight: Float64Array } {
  const { M, C, V, cap } = sizes;
  const { logits, logsumexp } = headForward(x, weight, targets, sizes);
  const dLogits = new Float64Array(M * V);
  const dX = new Float64Array(M * C);
  const dWeight = new Float64Array(V * C);
  for (let m = 0; m < M; m++) {
    for (let j = 0; j < V; j++) {
      const probability = Math.exp(logits[m * V + j]! - logsumexp[m]!);
      const slope = cap === undefined ? 1 : 1 - (logits[m * V + j]! / cap) ** 2;
      const d = rowWeights[m]! * (probability - (j === targets[m] ? 1 : 0)) * slope;
      dLogits[m * V + j] = d;
      for (let c = 0; c < C; c++) {
        dX[m * C + c]! += d * weight[j * C + c]!;
        dWeight[j * C + c]! += d * x[m * C + c]!;
      }
    }
  }
  return { dLogits, dX, dWeight };
}
