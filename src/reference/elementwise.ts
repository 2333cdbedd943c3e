// elementwise.ts: float64 spec of sums, gathers and scatters of rows; pure functions in plain loops, no GPU.

/** y = a + b. Derivative: dA = dB = dY. */
export function add(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from(a, (value, i) => value + b[i]!);
}

/** y[n, o] + bias[o]; y (N, O), bias (O). Derivative with respect to y: dY itself. */
export function addBias(y: ArrayLike<number>, bias: ArrayLike<number>): Float64Array {
  return Float64Array.from(y, (value, i) => value + bias[i % bias.length]!);
}

/** y[m, c] = x[index[m], c]; x (N, C), y (M, C). */
export function gatherRows(x: ArrayLike<number>, index: ArrayLike<number>, C: number): Float64Array {
  const y = new Float64Array(index.length * C);
  for (let m = 0; m < index.length; m++) for (let c = 0; c < C; c++) y[m * C + c] = x[index[m]! * C + c]!;
  return y;
}

/**
 * y[index[m], c] = x[m, c], zero elsewhere; x (M, C), y (N, C), indices distinct. It is the transpose, and so the backward, of
 * {@link gatherRows}.
 */
export function scatterRows(x: ArrayLike<number>, index: ArrayLike<number>, N: number, C: number): Float64Array {
  const y = new Float64Array(N * C);
  for (let m = 0; m < index.length; m++) for (let c = 0; c < C; c++) y[index[m]! * C + c] = x[m * C + c]!;
  return y;
}
