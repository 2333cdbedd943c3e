// embedding.ts: float64 spec of the token embedding and of its table's gradient; pure functions in plain loops, no GPU.

/** y[n, c] = scale · table[ids[n], c]; table (V, C), y (N, C). */
export function embeddingForward(ids: ArrayLike<number>, table: ArrayLike<number>, C: number, scale = 1): Float64Array {
  const y = new Float64Array(ids.length * C);
  for (let n = 0; n < ids.length; n++) for (let c = 0; c < C; c++) y[n * C + c] = scale * table[ids[n]! * C + c]!;
  return y;
}

/** dTable[v, c] = Σ_{n: ids[n] = v} dY[n, c]; dY (N, C), dTable (V, C). */
export function embeddingBackward(ids: ArrayLike<number>, dY: ArrayLike<number>, V: number, C: number): Float64Array {
  const dTable = new Float64Array(V * C);
  for (let n = 0; n < ids.length; n++) for (let c = 0; c < C; c++) dTable[ids[n]! * C + c]! += dY[n * C + c]!;
  return dTable;
}
