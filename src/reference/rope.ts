// rope.ts: float64 spec of the rotary position embedding in Hugging Face's rotate-half convention; plain loops, no GPU.
// Source: Su et al. 2021, arXiv:2104.09864, §3.4.2; pairs (i, i + K/2) as in transformers' apply_rotary_pos_emb.

/**
 * Rotates each pair (i, i + K/2) of each head by position · theta^(−2i/K); x (N, H·K), positions (N). The rotation is
 * orthogonal: its transpose, the backward, is the rotation by the negative angle (`inverse`).
 */
export function rope(
  x: ArrayLike<number>,
  positions: ArrayLike<number>,
  heads: number,
  headSize: number,
  theta: number,
  inverse = false,
): Float64Array {
  const half = headSize / 2;
  const y = new Float64Array(x.length);
  for (let n = 0; n < positions.length; n++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < half; i++) {
        const angle = positions[n]! * theta ** (-(2 * i) / headSize) * (inverse ? -1 : 1);
        const at = (n * heads + h) * headSize + i;
        const a = x[at]!;
        const b = x[at + half]!;
        y[at] = a * Math.cos(angle) - b * Math.sin(angle);
        y[at + half] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
  return y;
}
