// loraUpdate.ts: how far an adapter moves a weight, from its factors alone, in float64: norm, singular values and distance of
// updates Δ = scale·B·A (O, C), without forming them. Everything follows from the R×R products AAᵀ and BᵀB. No GPU, no files.
import { PupilError } from '../base/errors';

/** The factors of one linear layer and what their product is multiplied by. */
export interface LoraFactors {
  a: { shape: readonly [R: number, C: number]; data: ArrayLike<number> };
  b: { shape: readonly [O: number, R: number]; data: ArrayLike<number> };
  scale: number;
}

/** Row-major, square. */
type Square = { size: number; data: Float64Array };

/** X·Yᵀ of row-major X (R, n) and Y (S, n), as (R, S). */
function rowsTimesRows(x: ArrayLike<number>, R: number, y: ArrayLike<number>, S: number, n: number): Float64Array {
  const out = new Float64Array(R * S);
  for (let i = 0; i < R; i++) {
    for (let j = 0; j < S; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += x[i * n + k]! * y[j * n + k]!;
      out[i * S + j] = sum;
    }
  }
  return out;
}

/** XᵀY of row-major X (n, R) and Y (n, S), as (R, S). */
function columnsTimesColumns(
  x: ArrayLike<number>,
  R: number,
  y: ArrayLike<number>,
  S: number,
  n: number,
): Float64Array {
  const out = new Float64Array(R * S);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < R; i++) {
      const left = x[k * R + i]!;
      if (left === 0) continue;
      for (let j = 0; j < S; j++) out[i * S + j]! += left * y[k * S + j]!;
    }
  }
  return out;
}

/** ⟨Δ₁, Δ₂⟩ = scale₁·scale₂·tr((B₁ᵀB₂)(A₂A₁ᵀ)). @throws PupilError `shape` where they are not of one layer */
function innerProduct(one: LoraFactors, two: LoraFactors): number {
  const [R, C] = one.a.shape;
  const [S, otherC] = two.a.shape;
  const [O] = one.b.shape;
  if (C !== otherC || O !== two.b.shape[0] || one.b.shape[1] !== R || two.b.shape[1] !== S) {
    throw new PupilError(
      'shape',
      `lora update: expected factors of one layer, got B [${one.b.shape.join(', ')}] A [${one.a.shape.join(', ')}] and B [${two.b.shape.join(', ')}] A [${two.a.shape.join(', ')}]`,
    );
  }
  const b = columnsTimesColumns(one.b.data, R, two.b.data, S, O); // (R, S)
  const a = rowsTimesRows(two.a.data, S, one.a.data, R, C); // (S, R)
  let trace = 0;
  for (let r = 0; r < R; r++) for (let s = 0; s < S; s++) trace += b[r * S + s]! * a[s * R + r]!;
  return one.scale * two.scale * trace;
}

/** ‖Δ‖_F: ‖BA‖² = tr((BᵀB)(AAᵀ)). @throws PupilError `shape` */
export function updateNorm(factors: LoraFactors): number {
  return Math.sqrt(Math.max(0, innerProduct(factors, factors)));
}

/**
 * ‖Δ₁ − Δ₂‖_F = √(‖Δ₁‖² + ‖Δ₂‖² − 2⟨Δ₁, Δ₂⟩). Of nearly equal updates good to about 1e-8 of their norm: the difference of
 * squares cancels. @throws PupilError `shape`
 */
export function updateDistance(one: LoraFactors, two: LoraFactors): number {
  const square = innerProduct(one, one) + innerProduct(two, two) - 2 * innerProduct(one, two);
  return Math.sqrt(Math.max(0, square));
}

/**
 * Singular values of Δ, descending, R of them. σ² are the eigenvalues of (BᵀB)(AAᵀ), which are those of the symmetric
 * G^½ (BᵀB) G^½ with G = AAᵀ; what is below about 1e-8 of the greatest is rounding.
 */
export function updateSingularValues({ a, b, scale }: LoraFactors): number[] {
  const [R, C] = a.shape;
  const root = squareRoot({ size: R, data: rowsTimesRows(a.data, R, a.data, R, C) });
  const inner = { size: R, data: columnsTimesColumns(b.data, R, b.data, R, b.shape[0]) };
  const { values } = eigen(times(times(root, inner), root));
  return values.map((value) => Math.abs(scale) * Math.sqrt(Math.max(0, value))).sort((x, y) => y - x);
}

/**
 * In how many directions an update goes: exp of the entropy of σ²/Σσ². 0 for no update at all.
 * Source: Roy and Vetterli 2007, "The effective rank", over the energies σ² instead of σ.
 */
export function effectiveRank(singularValues: readonly number[]): number {
  const total = singularValues.reduce((sum, value) => sum + value * value, 0);
  if (total === 0) return 0;
  const entropy = singularValues.reduce((sum, value) => {
    const share = (value * value) / total;
    return share === 0 ? sum : sum - share * Math.log(share);
  }, 0);
  return Math.exp(entropy);
}

function times(x: Square, y: Square): Square {
  const { size } = x;
  const data = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      const left = x.data[i * size + k]!;
      for (let j = 0; j < size; j++) data[i * size + j]! += left * y.data[k * size + j]!;
    }
  }
  return { size, data };
}

/** The symmetric root of a symmetric matrix without negative eigenvalues. */
function squareRoot(matrix: Square): Square {
  const { size } = matrix;
  const { values, vectors } = eigen(matrix);
  const data = new Float64Array(size * size);
  for (let k = 0; k < size; k++) {
    const root = Math.sqrt(Math.max(0, values[k]!));
    for (let i = 0; i < size; i++) {
      const left = root * vectors[i * size + k]!;
      for (let j = 0; j < size; j++) data[i * size + j]! += left * vectors[j * size + k]!;
    }
  }
  return { size, data };
}

/** Sweeps after which Jacobi's method has always converged; it needs fewer than ten in practice. */
const MAX_SWEEPS = 60;

/** Eigenvalues and eigenvectors (columns) of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, §8.5). */
function eigen(matrix: Square): { values: number[]; vectors: Float64Array } {
  const { size } = matrix;
  const m = matrix.data.slice();
  // Products of three matrices are symmetric up to rounding only.
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) m[i * size + j] = m[j * size + i] = (m[i * size + j]! + m[j * size + i]!) / 2;
  }
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  const whole = m.reduce((sum, value) => sum + value * value, 0);
  const off = (): number => {
    let sum = 0;
    for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) sum += 2 * m[i * size + j]! ** 2;
    return sum;
  };
  for (let sweep = 0; sweep < MAX_SWEEPS && off() > 1e-30 * whole; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) rotate(m, vectors, size, p, q);
    }
  }
  return { values: Array.from({ length: size }, (_, i) => m[i * size + i]!), vectors };
}

/** The rotation of rows and columns p and q that makes m[p, q] zero. */
function rotate(m: Float64Array, vectors: Float64Array, size: number, p: number, q: number): void {
  const apq = m[p * size + q]!;
  if (apq === 0) return;
  const theta = (m[q * size + q]! - m[p * size + p]!) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < size; k++) {
    const [kp, kq] = [m[k * size + p]!, m[k * size + q]!];
    m[k * size + p] = c * kp - s * kq;
    m[k * size + q] = s * kp + c * kq;
  }
  for (let k = 0; k < size; k++) {
    const [pk, qk] = [m[p * size + k]!, m[q * size + k]!];
    m[p * size + k] = c * pk - s * qk;
    m[q * size + k] = s * pk + c * qk;
  }
  for (let k = 0; k < size; k++) {
    const [kp, kq] = [vectors[k * size + p]!, vectors[k * size + q]!];
    vectors[k * size + p] = c * kp - s * kq;
    vectors[k * size + q] = s * kp + c * kq;
  }
}
