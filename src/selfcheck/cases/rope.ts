// rope.ts: cases of rope, forwards and backwards.
import { rope, ropeTables } from '../../kernels/rope';
import * as reference from '../../reference/rope';
import type { CaseFamily, KernelCase } from '../harness';
import { integers, normals, padded, rowsInUse } from './samples';

const THETA = 10_000;

function ropeCase(
  claim: string,
  N: number,
  H: number,
  K: number,
  P: number,
  capacity: number,
  inverse: boolean,
): KernelCase {
  const x = normals(`x ${claim}`, N * H * K);
  const initial = padded(x, capacity * H * K);
  const positions = integers(`positions ${claim}`, N, P);
  const tables = ropeTables(P, K, { theta: THETA });
  return {
    kernel: 'rope',
    name: `${claim}${inverse ? ', inverse' : ''}`,
    inputs: {
      positions: { shape: [capacity], dtype: 'u32', data: padded(positions, capacity, 0) },
      cos: { shape: [P, K / 2], data: tables.cos },
      sin: { shape: [P, K / 2], data: tables.sin },
    },
    outputs: {
      x: {
        shape: [capacity, H * K],
        initial,
        expected: padded(reference.rope(x, positions, H, K, THETA, inverse), capacity * H * K),
      },
    },
    commands: (gpu, { x, positions, cos, sin }, arena) =>
      rope(
        gpu,
        { x: x!, positions: positions!, cos: cos!, sin: sin! },
        { rows: rowsInUse(gpu, arena, capacity, N), heads: H, headSize: K, inverse },
      ),
  };
}

/** The rotation and its inverse against f64. */
export const ropeCases: CaseFamily = {
  family: 'rope',
  cases: () =>
    [false, true].flatMap((inverse) => [
      ropeCase('(N,H,K)=(1,1,2): one pair', 1, 1, 2, 4, 1, inverse),
      ropeCase('(N,H,K)=(7,3,10): odd half size', 7, 3, 10, 5, 7, inverse),
      ropeCase('(N,H,K)=(5,4,64) of capacity 9: rows behind the count stay untouched', 5, 4, 64, 33, 9, inverse),
      ropeCase('(N,H,K)=(3,2,80): positions up to 4095', 3, 2, 80, 4096, 3, inverse),
    ]),
};
