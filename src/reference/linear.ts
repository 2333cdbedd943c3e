// linear.ts: the linear layer in float64 and plain loops: the specification of shaders/linear. It knows no GPU, no blocks
// and no slices; weights are dense here (see reference/nf4.ts for NF4's values).

/** y[n, o] = Σ_c x[n, c] · w[o, c]; x (N, C), w (O, C) → (N, O). */
export function linearForward(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  N: number,
  C: number,
  O: number,
): Float64Array {
  const y = new Float64Array(N * O);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += x[n * C + c]! * w[o * C + c]!;
      y[n * O + o] = sum;
    }
  }
  return y;
}

/** dX[n, c] = Σ_o dY[n, o] · w[o, c]; dY (N, O), w (O, C) → (N, C). */
export function linearBackwardInput(
  dY: ArrayLike<number>,
  w: ArrayLike<number>,
  N: number,
  C: number,
  O: number,
): Float64Array {
  const dX = new Float64Array(N * C);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      for (let c = 0; c < C; c++) dX[n * C + c]! += dY[n * O + o]! * w[o * C + c]!;
    }
  }
  return dX;
}

/** dW[o, c] = Σ_n dY[n, o] · x[n, c]; dY (N, O), x (N, C) → (O, C). */
export function linearBackwardWeight(
  dY: ArrayLike<number>,
  x: ArrayLike<number>,
  N: number,
  C: number,
  O: number,
): Float64Array {
  const dW = new Float64Array(O * C);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      for (let c = 0; c < C; c++) dW[o * C + c]! += dY[n * O + o]! * x[n * C + c]!;
    }
  }
  return dW;
}
