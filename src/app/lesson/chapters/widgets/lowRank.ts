// lowRank.ts: what a LoRA can and cannot say, in float64: how many parameters it trains, how well a product B·A of rank r fits
// a given change of a weight, and the fit by gradient steps from B = 0. Pure functions; the singular values are base/svd.ts's.
import { RandomStream } from '../../../../base/random';
import { svd, type Svd } from '../../../../base/svd';
import type { LORA_TARGETS } from '../../../../config/chapterWidgets';

/** One kind of linear layer: weights of `outputs` × `inputs`, so many of them. */
export interface LayerShape {
  outputs: number;
  inputs: number;
  count: number;
}

/** Σ d·k, frozen; Σ r·(d + k), trained: B is d × r and A is r × k. */
export function loraParameters(layers: readonly LayerShape[], rank: number): { frozen: number; trained: number } {
  let [frozen, trained] = [0, 0];
  for (const { outputs, inputs, count } of layers) {
    frozen += count * outputs * inputs;
    trained += count * rank * (outputs + inputs);
  }
  return { frozen, trained };
}

/** A matrix, row-major, f64. */
export interface Matrix {
  rows: number;
  columns: number;
  values: Float64Array;
}

export type TargetName = (typeof LORA_TARGETS)[number];

/** A letter with a serif and a slanted stroke, 16 × 16: its singular values fall, and none of them is 0 soon. */
const DRAWING = [
  '................',
  '.#########......',
  '.###....####....',
  '.##......###....',
  '.##.......##....',
  '.##.......##....',
  '.##......###....',
  '.##....####.....',
  '.########.......',
  '.##..###........',
  '.##....##.......',
  '.##.....##......',
  '.##......##.....',
  '.##.......##....',
  '.####......####.',
  '................',
];
export const TARGET_SIZE = DRAWING.length;

/**
 * The change of a weight that is to be learned, 16 × 16. `few-directions`: three outer products of falling strength and a
 * little noise, as updates of fine-tuning are found to be; `drawing`: a picture; `noise`: no structure at all.
 */
export function targetUpdate(name: TargetName, seed: number): Matrix {
  const [rows, columns] = [TARGET_SIZE, TARGET_SIZE];
  const random = new RandomStream(seed, `chapter lora ${name}`);
  const normals = (count: number): number[] => Array.from({ length: count }, () => random.nextNormal());
  if (name === 'drawing') {
    return { rows, columns, values: Float64Array.from(DRAWING.join(''), (sign) => (sign === '#' ? 1 : -0.25)) };
  }
  const strengths = name === 'noise' ? [] : [1, 0.6, 0.35];
  const values = Float64Array.from(normals(rows * columns), (z) => z * (name === 'noise' ? 0.6 : 0.06));
  for (const strength of strengths) {
    const [u, v] = [normals(rows), normals(columns)];
    values.forEach((_, i) => (values[i]! += strength * u[Math.floor(i / columns)]! * v[i % columns]!));
  }
  return { rows, columns, values };
}

/** ‖W‖ = √Σ w². */
export const frobenius = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, w) => sum + w * w, 0));

/** The best matrix of that rank: Σ_{i<r} σ_i · left_i · right_iᵀ. */
export function truncated({ singularValues, left, right }: Svd, { rows, columns }: Matrix, rank: number): Matrix {
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < Math.min(rank, singularValues.length); i++) {
    values.forEach((_, at) => {
      values[at]! += singularValues[i]! * left[i]![Math.floor(at / columns)]! * right[i]![at % columns]!;
    });
  }
  return { rows, columns, values };
}

/** √(Σ_{i≥r} σ_i²) / √(Σ σ_i²): the least relative error of rank r (Eckart & Young 1936). */
export function leastError(singularValues: ArrayLike<number>, rank: number): number {
  const squares = Array.from(singularValues, (s) => s * s);
  const total = squares.reduce((sum, s) => sum + s, 0);
  return total === 0 ? 0 : Math.sqrt(squares.slice(rank).reduce((sum, s) => sum + s, 0) / total);
}

/** ‖ΔW − fit‖ / ‖ΔW‖. */
export function relativeError(target: Matrix, fit: Matrix): number {
  const whole = frobenius(target.values);
  return whole === 0 ? 0 : frobenius(target.values.map((w, i) => w - fit.values[i]!)) / whole;
}

/** The factors of an update: B (rows × rank) and A (rank × columns), row-major. */
export interface Factors {
  rank: number;
  b: Float64Array;
  a: Float64Array;
}

/** As PEFT begins: A uniform in ±1/√columns, B zero, so that B·A = 0. */
export function startFactors({ rows, columns }: Matrix, rank: number, seed: number): Factors {
  const random = new RandomStream(seed, 'chapter lora A');
  const bound = 1 / Math.sqrt(columns);
  return {
    rank,
    b: new Float64Array(rows * rank),
    a: Float64Array.from({ length: rank * columns }, () => bound * (2 * random.nextUnit() - 1)),
  };
}

/** B·A. */
export function product({ rank, b, a }: Factors, { rows, columns }: Matrix): Matrix {
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < rank; i++) {
      const factor = b[row * rank + i]!;
      for (let column = 0; column < columns; column++)
        values[row * columns + column]! += factor * a[i * columns + column]!;
    }
  }
  return { rows, columns, values };
}

/** Of L = ½‖ΔW − B·A‖²: dB = −R·Aᵀ, dA = −Bᵀ·R with R = ΔW − B·A. With B = 0 the gradient of A is 0: B moves first. */
export function fitGradients(factors: Factors, target: Matrix): { dB: Float64Array; dA: Float64Array } {
  const { rows, columns } = target;
  const { rank, b, a } = factors;
  const fit = product(factors, target);
  const dB = new Float64Array(b.length);
  const dA = new Float64Array(a.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const residual = target.values[row * columns + column]! - fit.values[row * columns + column]!;
      for (let i = 0; i < rank; i++) {
        dB[row * rank + i]! -= residual * a[i * columns + column]!;
        dA[i * columns + column]! -= residual * b[row * rank + i]!;
      }
    }
  }
  return { dB, dA };
}

/** One step of plain gradient descent on both factors. */
export function fitStep(factors: Factors, target: Matrix, learningRate: number): Factors {
  const { dB, dA } = fitGradients(factors, target);
  const moved = (values: Float64Array, slope: Float64Array): Float64Array =>
    values.map((value, i) => value - learningRate * slope[i]!);
  return { rank: factors.rank, b: moved(factors.b, dB), a: moved(factors.a, dA) };
}

/** A step that does not overshoot: the curvature of L is at most about twice the largest singular value near the fit. */
export const stableLearningRate = (singularValues: ArrayLike<number>): number =>
  0.5 / Math.max(singularValues[0]!, 1e-12);

export const decompose = ({ values, rows, columns }: Matrix): Svd => svd(values, rows, columns);
