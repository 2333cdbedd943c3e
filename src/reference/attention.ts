// attention.ts: float64 spec of causal attention over packed sequences with grouped query heads, of its gradients, and of
// decoding over a key/value cache; pure functions in plain loops, no GPU.
// Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; backward as in Dao et al. 2022, arXiv:2205.14135, appendix B.4.

export interface AttentionSizes {
  heads: number; // H
  kvHeads: number; // Hkv; query head h reads key/value head floor(h / (H/Hkv))
  headSize: number; // K
  window?: number | undefined; // query n sees key j only where n − j < window
  scale?: number | undefined; // 1/√K by default
  softcap?: number | undefined; // scores are softcap·tanh(q·k·scale/softcap); Gemma Team 2024, arXiv:2408.00118, §2
}

/** First key that query n sees, of a sequence that begins at `start`. */
function firstKey(n: number, start: number, { window = Infinity }: AttentionSizes): number {
  return Math.max(start, n + 1 - window);
}

/**
 * p[j] = exp(s[j] − logsumexp) with s[j] = q·k[j]·scale under the softcap, for `count` keys from row `first`, and
 * slope[j] = ∂s[j]/∂(q·k[j]).
 */
function softmaxOfScores(
  q: ArrayLike<number>,
  qAt: number,
  k: ArrayLike<number>,
  first: number,
  count: number,
  g: number,
  { kvHeads, headSize, scale = 1 / Math.sqrt(headSize), softcap }: AttentionSizes,
): { p: Float64Array; slope: Float64Array; logsumexp: number } {
  const scores = new Float64Array(count);
  const slope = new Float64Array(count).fill(scale);
  for (let j = 0; j < count; j++) {
    const kAt = ((first + j) * kvHeads + g) * headSize;
    let dot = 0;
    for (let c = 0; c < headSize; c++) dot += q[qAt + c]! * k[kAt + c]!;
    scores[j] = dot * scale;
    if (softcap === undefined) continue;
    const t = Math.tanh(scores[j]! / softcap);
    scores[j] = softcap * t;
    slope[j] = scale * (1 - t ** 2);
  }
  const largest = Math.max(...scores);
  const total = scores.reduce((sum, s) => sum + Math.exp(s - largest), 0);
  const logsumexp = largest + Math.log(total);
  return { p: scores.map((s) => Math.exp(s - logsumexp)), slope, logsumexp };
}

/**
 * y[n, h] = Σ_j p[j]·v[j, g] over j in [sequenceStart[n], n] with n − j < window, p = softmax(s(q[n, h]·k[j, g]));
 * q, y (N, H·K), k, v (N, Hkv·K), logsumexp (N, H).
 */
export function attentionForward(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  sequenceStart: ArrayLike<number>,
  sizes: AttentionSizes,
): { y: Float64Array; logsumexp: Float64Array } {
  const { heads, kvHeads, headSize } = sizes;
  const N = sequenceStart.length;
  const y = new Float64Array(N * heads * headSize);
  const logsumexp = new Float64Array(N * heads);
  for (let n = 0; n < N; n++) {
    const start = firstKey(n, sequenceStart[n]!, sizes);
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const at = (n * heads + h) * headSize;
      const row = softmaxOfScores(q, at, k, start, n + 1 - start, g, sizes);
      logsumexp[n * heads + h] = row.logsumexp;
      row.p.forEach((p, j) => {
        const vAt = ((start + j) * kvHeads + g) * headSize;
        for (let c = 0; c < headSize; c++) y[at + c]! += p * v[vAt + c]!;
      });
    }
  }
  return { y, logsumexp };
}

/**
 * With dp[j] = dY·v[j] and delta = Σ_j p[j]·dp[j]: ds[j] = p[j]·(dp[j] − delta)·slope[j], dQ = Σ_j ds[j]·k[j],
 * dK[j] += ds[j]·q, dV[j] += p[j]·dY. Key/value heads sum over their query heads.
 */
export function attentionBackward(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  sequenceStart: ArrayLike<number>,
  dY: ArrayLike<number>,
  sizes: AttentionSizes,
): { dQ: Float64Array; dK: Float64Array; dV: Float64Array; delta: Float64Array } {
  const { heads, kvHeads, headSize } = sizes;
  const N = sequenceStart.length;
  const dQ = new Float64Array(N * heads * headSize);
  const dK = new Float64Array(N * kvHeads * headSize);
  const dV = new Float64Array(N * kvHeads * headSize);
  const deltas = new Float64Array(N * heads);
  for (let n = 0; n < N; n++) {
    const start = firstKey(n, sequenceStart[n]!, sizes);
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const at = (n * heads + h) * headSize;
      const { p, slope } = softmaxOfScores(q, at, k, start, n + 1 - start, g, sizes);
      const dp = p.map((_, j) => {
        let sum = 0;
        for (let c = 0; c < headSize; c++) sum += dY[at + c]! * v[((start + j) * kvHeads + g) * headSize + c]!;
        return sum;
      });
      const delta = p.reduce((sum, weight, j) => sum + weight * dp[j]!, 0);
      deltas[n * heads + h] = delta;
      p.forEach((weight, j) => {
        const kAt = ((start + j) * kvHeads + g) * headSize;
        const ds = weight * (dp[j]! - delta) * slope[j]!;
        for (let c = 0; c < headSize; c++) {
          dQ[at + c]! += ds * k[kAt + c]!;
          dK[kAt + c]! += ds * q[at + c]!;
          dV[kAt + c]! += weight * dY[at + c]!;
        }
      });
    }
  }
  return { dQ, dK, dV, delta: deltas };
}

/**
 * y[b, h] = Σ_j p[j]·valueCache[b·P + j, g] over the last min(window, lengths[b]) of the keys j in [0, lengths[b]); q, y
 * (B, H·K), caches (B·P, Hkv·K). Zeros where the length is 0.
 */
export function attentionDecode(
  q: ArrayLike<number>,
  keyCache: ArrayLike<number>,
  valueCache: ArrayLike<number>,
  lengths: ArrayLike<number>,
  cacheStarts: ArrayLike<number>,
  sizes: AttentionSizes,
): Float64Array {
  const { heads, kvHeads, headSize } = sizes;
  const y = new Float64Array(lengths.length * heads * headSize);
  for (let b = 0; b < lengths.length; b++) {
    if (lengths[b] === 0) continue;
    const skipped = firstKey(lengths[b]! - 1, 0, sizes);
    const first = cacheStarts[b]! + skipped;
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const at = (b * heads + h) * headSize;
      softmaxOfScores(q, at, keyCache, first, lengths[b]! - skipped, g, sizes).p.forEach((p, j) => {
        const vAt = ((first + j) * kvHeads + g) * headSize;
        for (let c = 0; c < headSize; c++) y[at + c]! += p * valueCache[vAt + c]!;
      });
    }
  }
  return y;
}
