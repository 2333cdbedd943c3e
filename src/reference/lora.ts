// lora.ts: the low-rank branch of a linear layer and its derivatives in float64 (Hu et al. 2021, arXiv:2106.09685, eq. 3),
// and the dropout mask that the kernels recompute: the specification of kernels/lora.ts.
import { threefry2x32, unitFloat } from '../base/random';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear';

export interface LoraShape {
  N: number;
  C: number;
  R: number;
  O: number;
}

/** What a mask depends on, beside the place of the element. */
export interface DropoutKey {
  rate: number;
  seed: number;
  step: number;
  micro: number;
  layerStream: number;
}

/**
 * The factors 0 or 1/(1 − rate) of x's elements, (N, C) row-major: element e = n·C + c is kept when
 * unit(word e mod 2 of Threefry(key (seed, stream), counter (step·65536 + micro, ⌊e/2⌋))) ≥ rate.
 */
export function dropoutMask(N: number, C: number, key: DropoutKey): Float64Array {
  const mask = new Float64Array(N * C);
  const rate = Math.fround(key.rate); // as the kernels compare, in f32
  for (let e = 0; e < N * C; e++) {
    const words = threefry2x32(key.seed, key.layerStream, (key.step * 65536 + key.micro) >>> 0, e >>> 1);
    mask[e] = unitFloat(words[e & 1]!) >= rate ? Math.fround(1 / (1 - key.rate)) : 0;
  }
  return mask;
}

function masked(x: ArrayLike<number>, mask: ArrayLike<number> | undefined): ArrayLike<number> {
  return mask === undefined ? x : Float64Array.from(x, (v, i) => v * mask[i]!);
}

/** h = (x ∘ mask)·Aᵀ (N, R); y = scale·h·Bᵀ (N, O), the branch alone. */
export function loraForward(
  x: ArrayLike<number>,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { N, C, R, O }: LoraShape,
  scale: number,
  mask?: ArrayLike<number>,
): { h: Float64Array; y: Float64Array } {
  const h = linearForward(masked(x, mask), a, N, C, R);
  return { h, y: linearForward(h, b, N, R, O).map((v) => scale * v) };
}

/** dH = scale·dY·B; dB = scale·dYᵀ·h; dA = dHᵀ·(x ∘ mask); dX = (dH·A) ∘ mask. */
export function loraBackward(
  x: ArrayLike<number>,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  h: ArrayLike<number>,
  dY: ArrayLike<number>,
  { N, C, R, O }: LoraShape,
  scale: number,
  mask?: ArrayLike<number>,
): { dH: Float64Array; dA: Float64Array; dB: Float64Array; dX: Float64Array } {
  const dH = linearBackwardInput(dY, b, N, R, O).map((v) => scale * v);
  const dB = linearBackwardWeight(dY, h, N, R, O).map((v) => scale * v);
  const dA = linearBackwardWeight(dH, masked(x, mask), N, C, R);
  const dX = Float64Array.from(masked(linearBackwardInput(dH, a, N, C, R), mask));
  return { dH, dA, dB, dX };
}
