// rmsnorm.ts: float64 spec of RMSNorm and its gradients; pure functions in plain loops, no GPU.
// Source: Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4; ε inside the root as in Llama.

/** y[n, c] = weight[c] · x[n, c] · r[n], r[n] = 1/√(Σ_c x[n, c]²/C + ε); x, y (N, C), weight (C), r (N). */
export function rmsnormForward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  epsilon: number,
): { y: Float64Array; inverseRms: Float64Array } {
  const C = weight.length;
  const N = x.length / C;
  const y = new Float64Array(N * C);
  const inverseRms = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[n * C + c]! ** 2;
    inverseRms[n] = 1 / Math.sqrt(squares / C + epsilon);
    for (let c = 0; c < C; c++) y[n * C + c] = weight[c]! * x[n * C + c]! * inverseRms[n]!;
  }
  return { y, inverseRms };
}

/**
 * dX[n, c] = r·(w[c]·dY[n, c] − x[n, c]·r²/C · Σ_i w[i]·dY[n, i]·x[n, i]), since ∂r/∂x[c] = −r³·x[c]/C;
 * dWeight[c] = Σ_n dY[n, c]·x[n, c]·r[n].
 */
export function rmsnormBackward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  inverseRms: ArrayLike<number>,
  dY: ArrayLike<number>,
): { dX: Float64Array; dWeight: Float64Array } {
  const C = weight.length;
  const N = x.length / C;
  const dX = new Float64Array(N * C);
  const dWeight = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    const r = inverseRms[n]!;
    let along = 0;
    for (let c = 0; c < C; c++) along += weight[c]! * dY[n * C + c]! * x[n * C + c]!;
    for (let c = 0; c < C; c++) {
      dX[n * C + c] = r * (weight[c]! * dY[n * C + c]! - (x[n * C + c]! * r * r * along) / C);
      dWeight[c]! += dY[n * C + c]! * x[n * C + c]! * r;
    }
  }
  return { dX, dWeight };
}
