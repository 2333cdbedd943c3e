// head.ts: float64 spec of the output head with cross-entropy. It knows no chunks: those are the kernels' business.

export interface HeadSizes {
  M: number;
  C: number;
  V: number;
}

export interface HeadForward {
  /** (M, V) */
  logits: Float64Array;
  /** (M) */
  logsumexp: Float64Array;
  targetLogit: Float64Array;
  tokenLogps: Float64Array;
}

/** logits = x Wᵀ; tokenLogps[m] = logits[m, targets[m]] − log Σ_j exp(logits[m, j]). x (M, C), weight (V, C), targets (M). */
export function headForward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  targets: ArrayLike<number>,
  { M, C, V }: HeadSizes,
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
      logits[m * V + j] = sum;
      most = Math.max(most, sum);
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
 * dLogits[m, j] = rowWeights[m]·(softmax(logits[m])[j] − [j = targets[m]]); dX = dLogits W; dWeight = dLogitsᵀ x.
 */
export function headBackward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  targets: ArrayLike<number>,
  rowWeights: ArrayLike<number>,
  sizes: HeadSizes,
): { dLogits: Float64Array; dX: Float64Array; dWeight: Float64Array } {
  const { M, C, V } = sizes;
  const { logits, logsumexp } = headForward(x, weight, targets, sizes);
  const dLogits = new Float64Array(M * V);
  const dX = new Float64Array(M * C);
  const dWeight = new Float64Array(V * C);
  for (let m = 0; m < M; m++) {
    for (let j = 0; j < V; j++) {
      const probability = Math.exp(logits[m * V + j]! - logsumexp[m]!);
      const d = rowWeights[m]! * (probability - (j === targets[m] ? 1 : 0));
      dLogits[m * V + j] = d;
      for (let c = 0; c < C; c++) {
        dX[m * C + c]! += d * weight[j * C + c]!;
        dWeight[j * C + c]! += d * x[m * C + c]!;
      }
    }
  }
  return { dLogits, dX, dWeight };
}
