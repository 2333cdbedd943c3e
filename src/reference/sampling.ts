// sampling.ts: float64 spec of drawing the next token and of the book-keeping behind it. It sorts, where the kernel bisects.
import { threefry2x32, unitFloat } from '../base/random';

export interface SamplingRule {
  /** 0 is greedy. */
  temperature: number;
  /** 0: all. */
  topK: number;
  /** 1: all. */
  topP: number;
}

/** Lowest index of the largest value. */
export function argmax(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * Unnormalised weights of all tokens, 0 outside the support: w_i = exp((logit_i − max) / T); the topK largest logits, then
 * the fewest of them whose weights reach topP of the rest. Equal logits stand or fall together.
 */
export function tokenWeights(logits: ArrayLike<number>, { temperature, topK, topP }: SamplingRule): Float64Array {
  const V = logits.length;
  const most = logits[argmax(logits)]!;
  const weights = Float64Array.from({ length: V }, (_, i) => Math.exp((logits[i]! - most) / temperature));
  const sorted = Array.from(logits).sort((a, b) => b - a);
  let threshold = topK > 0 && topK < V ? sorted[topK - 1]! : -Infinity;
  if (topP < 1) {
    let total = 0;
    for (let i = 0; i < V; i++) if (logits[i]! >= threshold) total += weights[i]!;
    let mass = 0;
    for (const logit of sorted) {
      mass += Math.exp((logit - most) / temperature);
      if (mass >= topP * total) {
        threshold = Math.max(threshold, logit);
        break;
      }
    }
  }
  for (let i = 0; i < V; i++) if (logits[i]! < threshold) weights[i] = 0;
  return weights;
}

/**
 * The token at `draw` in [0, 1): the first index at which the running weight exceeds draw · total. Greedy ignores it. A draw
 * of 0 stands for [0, 2⁻²⁴), so that it does not take a token of next to no probability. Undefined where the logits contain
 * NaN or +∞, or are all −∞.
 */
export function sampleToken(logits: ArrayLike<number>, rule: SamplingRule, draw: number): number | undefined {
  const numbers = Array.from(logits);
  if (numbers.some((x) => Number.isNaN(x) || x === Infinity) || !numbers.some(Number.isFinite)) return undefined;
  if (rule.temperature === 0) return argmax(logits);
  const weights = tokenWeights(logits, rule);
  let total = 0;
  for (const weight of weights) total += weight;
  let sum = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i]! === 0) continue;
    sum += weights[i]!;
    last = i;
    if (sum > Math.max(draw, 2 ** -25) * total) return i;
  }
  return last;
}

/** The number in [0, 1) that sequence `sequence` draws for its `generated`-th new token, under (seed, stream). */
export function samplingDraw(seed: number, stream: number, sequence: number, generated: number): number {
  return unitFloat(threefry2x32(seed, stream, sequence, generated)[0]);
}

export interface DecodeRow {
  sequence: number;
  length: number;
  /** 0 running, 1 end token, 2 length, 3 logits that are not finite. */
  finished: number;
  output: number[];
  nextId: number;
  nextPosition: number;
  nextSlot: number;
  /** First row of the caches that belongs to the sequence. */
  cacheStart: number;
}

/** One generation step of a row: draws, emits, stops. Returns the row afterwards. */
export function sampleRow(
  row: DecodeRow,
  logits: ArrayLike<number>,
  rule: SamplingRule,
  run: { seed: number; stream: number; maxNewTokens: number; cacheCapacity: number; eosIds: readonly number[] },
): DecodeRow {
  const last = run.cacheCapacity - 1;
  const stays = (finished: number, nextId: number): DecodeRow => {
    const position = Math.min(Math.max(row.length, 1) - 1, last);
    return { ...row, finished, nextId, nextPosition: position, nextSlot: row.cacheStart + position };
  };
  if (row.finished !== 0) return stays(row.finished, row.nextId);
  const token = sampleToken(logits, rule, samplingDraw(run.seed, run.stream, row.sequence, row.output.length));
  if (token === undefined) return stays(3, 0);
  const output = [...row.output, token];
  const full = output.length >= run.maxNewTokens || row.length >= run.cacheCapacity;
  const position = Math.min(row.length, last);
  return {
    ...row,
    length: Math.min(row.length + 1, run.cacheCapacity),
    finished: run.eosIds.includes(token) ? 1 : full ? 2 : 0,
    output,
    nextId: token,
    nextPosition: position,
    nextSlot: row.cacheStart + position,
  };
}
