// swiglu.ts: float64 spec of the gated activation and its gradients; pure functions in plain loops, no GPU.
// Source: Shazeer 2020, arXiv:2002.05202, eq. 6.

function sigmoid(g: number): number {
  return 1 / (1 + Math.exp(-g));
}

/** y = silu(gate) · up with silu(g) = g·σ(g), element by element. */
export function swigluForward(gate: ArrayLike<number>, up: ArrayLike<number>): Float64Array {
  return Float64Array.from(gate, (g, i) => g * sigmoid(g) * up[i]!);
}

/** dUp = dY·silu(gate); dGate = dY·up·σ(g)·(1 + g·(1 − σ(g))). */
export function swigluBackward(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  dY: ArrayLike<number>,
): { dGate: Float64Array; dUp: Float64Array } {
  const dGate = Float64Array.from(gate, (g, i) => {
    const s = sigmoid(g);
    return dY[i]! * up[i]! * s * (1 + g * (1 - s));
  });
  const dUp = Float64Array.from(gate, (g, i) => dY[i]! * g * sigmoid(g));
  return { dGate, dUp };
}
