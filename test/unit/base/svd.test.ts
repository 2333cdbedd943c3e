// Claims about base/svd.ts: the triples make the matrix again, are orthonormal and falling, and known cases come out exactly.
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../../src/base/random';
import { svd } from '../../../src/base/svd';

const normals = (count: number, seed: number): Float64Array => {
  const random = new RandomStream(seed, 'svd test');
  return Float64Array.from({ length: count }, () => random.nextNormal());
};

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('svd', () => {
  it.each([
    [1, 1],
    [5, 3],
    [3, 5],
    [16, 16],
    [24, 7],
  ])('makes a %i × %i matrix again from orthonormal triples, falling', (rows, columns) => {
    const matrix = normals(rows * columns, rows * 100 + columns);
    const { singularValues, left, right } = svd(matrix, rows, columns);
    const count = Math.min(rows, columns);
    expect(singularValues).toHaveLength(count);
    for (let i = 0; i < count; i++) {
      if (i > 0) expect(singularValues[i]!).toBeLessThanOrEqual(singularValues[i - 1]!);
      for (let j = 0; j < count; j++) {
        expect(dot(left[i]!, left[j]!)).toBeCloseTo(i === j ? 1 : 0, 11);
        expect(dot(right[i]!, right[j]!)).toBeCloseTo(i === j ? 1 : 0, 11);
      }
    }
    const again = matrix.map((_, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      return Array.from(singularValues).reduce((sum, s, i) => sum + s * left[i]![row]! * right[i]![column]!, 0);
    });
    matrix.forEach((value, i) => expect(again[i]!).toBeCloseTo(value, 11));
    expect(dot(singularValues, singularValues)).toBeCloseTo(dot(matrix, matrix), 9);
  });

  it('knows diag(3, −2) and a matrix of rank 1', () => {
    expect([...svd([3, 0, 0, -2], 2, 2).singularValues]).toEqual([3, 2]);
    const { singularValues } = svd([1, 2, 2, 4, 3, 6], 3, 2);
    expect(singularValues[0]!).toBeCloseTo(Math.sqrt(14 * 5), 12);
    expect(singularValues[1]!).toBeLessThan(1e-12);
  });

  it('gives zeros for zeros, and refuses what is no matrix', () => {
    expect([...svd(new Float64Array(6), 2, 3).singularValues]).toEqual([0, 0]);
    expect(() => svd([1, 2, 3], 2, 2)).toThrow(RangeError);
    expect(() => svd([1, NaN], 1, 2)).toThrow(/finite/);
  });
});
