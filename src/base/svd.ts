// svd.ts: the singular value decomposition of a small dense matrix in float64, by one-sided Jacobi rotations: what the best
// approximation of a given rank is made of. For matrices that a person looks at (tens of rows), not for weights.
// Source: Hestenes 1958; Demmel & Veselić 1992. Eckart & Young 1936: the first r triples are the best fit of rank r.

export interface Svd {
  /** σ, falling; min(rows, columns) of them. */
  singularValues: Float64Array;
  /** Row i is the left vector of σ_i, of length rows; zeros where σ_i is 0. */
  left: Float64Array[];
  /** Row i is the right vector of σ_i, of length columns. */
  right: Float64Array[];
}

/** Columns whose cosine is below this count as orthogonal. */
const TOLERANCE = 1e-14;
const MOST_SWEEPS = 60;

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** (a, b) → (c·a − s·b, s·a + c·b), in place. */
function rotate(a: Float64Array, b: Float64Array, c: number, s: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

/**
 * W = Σ_i σ_i · left_i · right_iᵀ of a matrix of rows × columns, row-major.
 * @throws RangeError where the values are not rows·columns finite numbers.
 */
export function svd(matrix: ArrayLike<number>, rows: number, columns: number): Svd {
  if (matrix.length !== rows * columns || !Array.from(matrix).every(Number.isFinite)) {
    throw new RangeError(`svd: expected ${rows}·${columns} finite numbers, got ${matrix.length} values`);
  }
  if (rows < columns) {
    const turned = Float64Array.from(
      { length: rows * columns },
      (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!,
    );
    const { singularValues, left, right } = svd(turned, columns, rows);
    return { singularValues, left: right, right: left };
  }
  // Columns of W are rotated among each other until they are orthogonal; V takes the same rotations.
  const w = Array.from({ length: columns }, (_, c) =>
    Float64Array.from({ length: rows }, (_, r) => matrix[r * columns + c]!),
  );
  const v = Array.from({ length: columns }, (_, c) =>
    Float64Array.from({ length: columns }, (_, r) => (r === c ? 1 : 0)),
  );
  for (let sweep = 0, turning = true; turning && sweep < MOST_SWEEPS; sweep++) {
    turning = false;
    for (let p = 0; p < columns; p++) {
      for (let q = p + 1; q < columns; q++) {
        const [alpha, beta, gamma] = [dot(w[p]!, w[p]!), dot(w[q]!, w[q]!), dot(w[p]!, w[q]!)];
        if (Math.abs(gamma) <= TOLERANCE * Math.sqrt(alpha * beta) || gamma === 0) continue;
        turning = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, tangent);
        rotate(w[p]!, w[q]!, cosine, cosine * tangent);
        rotate(v[p]!, v[q]!, cosine, cosine * tangent);
      }
    }
  }
  const norms = w.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, i) => i).sort((a, b) => norms[b]! - norms[a]!);
  return {
    singularValues: Float64Array.from(order, (i) => norms[i]!),
    left: order.map((i) => w[i]!.map((value) => (norms[i]! === 0 ? 0 : value / norms[i]!))),
    right: order.map((i) => v[i]!),
  };
}
