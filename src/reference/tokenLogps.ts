// tokenLogps.ts: float64 spec of token probabilities: log-softmax of the logits as they are, and the most probable tokens.
import { argmax } from './sampling';

/** log π of every token: logit_i − log Σ_j exp(logit_j), by way of the largest. −∞ stays −∞. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const most = logits[argmax(logits)]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - most);
  const log = most + Math.log(sum);
  return Float64Array.from({ length: logits.length }, (_, i) => logits[i]! - log);
}

/** Ids of the `count` largest finite logits, falling, equal ones by the lower id; fewer where there are no more. */
export function topTokens(logits: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: logits.length }, (_, i) => i)
    .filter((i) => Number.isFinite(logits[i]))
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, count);
}
