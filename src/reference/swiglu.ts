// swiglu.ts: float64 spec of the gated activation and its gradients; pure functions in plain loops, no GPU.
// Source: Shazeer 2020, arXiv:2002.05202, eq. 6.

function sigmoid(g: number): number {
  return 1 / (1 + Math.exp(-g));
}

export type Activation = 'silu' | 'gelu-tanh';

/** act(g) and its derivative. GELU as Hendrycks, Gimpel 2016, arXiv:1606.08415, approximate it by tanh. */
function activate(g: number, activation: Activation): { value: number; slope: number } {
  if (activation === 'silu') {
    const s = sigmoid(g);
    return { value: g * s, slope: s * (1 + g * (1 - s)) };
  }
  const k = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(k * (g + 0.044715 * g ** 3));
  return {
    value: 0.5 * g * (1 + t),
    slope: 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * k * (1 + 3 * 0.044715 * g * g),
  };
}

/** y = act(gate) · up, element by element. */
export function swigluForward(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  activation: Activation = 'silu',
): Float64Array {
  return Float64Array.from(gate, (g, i) => activate(g, activation).value * up[i]!);
}

/** dUp = dY·act(gate); dGate = dY·up·act′(gate). */
export function swigluBackward(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  dY: ArrayLike<number>,
  activation: Activation = 'silu',
): { dGate: Float64Array; dUp: Float64Array } {
  const dGate = Float64Array.from(gate, (g, i) => dY[i]! * up[i]! * activate(g, activation).slope);
  const dUp = Float64Array.from(gate, (g, i) => dY[i]! * activate(g, activation).value);
  return { dGate, dUp };
}
