// elementwise.ts: cases of elementwise_add, elementwise_add_into, add_bias, elementwise_gather and elementwise_scatter.
import { add, addBias, addInto, gatherRows, scatterRows } from '../../kernels/elementwise';
import * as reference from '../../reference/elementwise';
import type { CaseFamily, KernelCase } from '../harness';
import { added, integers, normals, padded, rowsInUse } from './samples';

interface Size {
  claim: string;
  N: number;
  C: number;
  capacity: number;
}

const SIZES: Size[] = [
  { claim: '(N,C)=(1,1): one element', N: 1, C: 1, capacity: 1 },
  { claim: '(N,C)=(3,65): odd C', N: 3, C: 65, capacity: 3 },
  { claim: '(N,C)=(5,64) of capacity 9: rows behind the count stay untouched', N: 5, C: 64, capacity: 9 },
  { claim: '(N,C)=(0,8) of capacity 2: no rows, nothing written', N: 0, C: 8, capacity: 2 },
];
const MANY: Size = {
  claim: '(N,C)=(65537,65): more than 65,535 workgroups',
  N: 65_537,
  C: 65,
  capacity: 65_537,
};

function addCase({ claim, N, C, capacity }: Size): KernelCase {
  const a = normals(`a ${claim}`, N * C);
  const b = normals(`b ${claim}`, N * C);
  const shape = [capacity, C];
  return {
    kernel: 'elementwise_add',
    name: claim,
    inputs: { a: { shape, data: padded(a, capacity * C) }, b: { shape, data: padded(b, capacity * C) } },
    outputs: { y: { shape, expected: padded(reference.add(a, b), capacity * C) } },
    commands: (gpu, { a, b, y }, arena) =>
      add(gpu, { a: a!, b: b!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, N), width: C }),
  };
}

function addIntoCase({ claim, N, C, capacity }: Size): KernelCase {
  const x = normals(`x ${claim}`, N * C);
  const initial = normals(`y ${claim}`, capacity * C);
  const shape = [capacity, C];
  return {
    kernel: 'elementwise_add_into',
    name: claim,
    inputs: { x: { shape, data: padded(x, capacity * C) } },
    outputs: { y: { shape, initial, expected: added(initial, x) } },
    commands: (gpu, { x, y }, arena) =>
      addInto(gpu, { x: x!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, N), width: C }),
  };
}

function biasCase({ claim, N, C, capacity }: Size): KernelCase {
  const bias = normals(`bias ${claim}`, C);
  const initial = normals(`y ${claim}`, capacity * C);
  const shape = [capacity, C];
  const expected = Float64Array.from(initial);
  expected.set(reference.addBias(initial.subarray(0, N * C), bias));
  return {
    kernel: 'add_bias',
    name: claim,
    inputs: { bias: { shape: [C], data: bias } },
    outputs: { y: { shape, initial, expected } },
    commands: (gpu, { bias, y }, arena) =>
      addBias(gpu, { bias: bias!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, N), width: C }),
  };
}

function gatherCase(claim: string, N: number, C: number, M: number, capacity: number): KernelCase {
  const x = normals(`gather ${claim}`, N * C);
  const index = integers(`gather index ${claim}`, M, N);
  return {
    kernel: 'elementwise_gather',
    name: claim,
    inputs: {
      x: { shape: [N, C], data: x },
      index: { shape: [capacity], dtype: 'u32', data: padded(index, capacity, 0xffffffff) },
    },
    outputs: { y: { shape: [capacity, C], expected: padded(reference.gatherRows(x, index, C), capacity * C) } },
    commands: (gpu, { x, index, y }, arena) =>
      gatherRows(gpu, { x: x!, index: index!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, M), width: C }),
  };
}

function scatterCase(claim: string, index: number[], C: number, N: number, capacity: number): KernelCase {
  const M = index.length;
  const x = normals(`scatter ${claim}`, M * C);
  const initial = new Float64Array(N * C).fill(7); // not zero: rows that are not named must keep what they hold
  const expected = reference.scatterRows(x, index, N, C);
  for (let n = 0; n < N; n++) if (!index.includes(n)) expected.fill(7, n * C, (n + 1) * C);
  return {
    kernel: 'elementwise_scatter',
    name: claim,
    inputs: {
      x: { shape: [capacity, C], data: padded(x, capacity * C) },
      index: { shape: [capacity], dtype: 'u32', data: padded(index, capacity, 0) },
    },
    outputs: { y: { shape: [N, C], initial, expected } },
    commands: (gpu, { x, index, y }, arena) =>
      scatterRows(gpu, { x: x!, index: index!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, M), width: C }),
  };
}

/** Sums, gathers and scatters against f64. */
export const elementwiseCases: CaseFamily = {
  family: 'elementwise',
  cases: () => [
    ...[...SIZES, MANY].map(addCase),
    ...SIZES.map(addIntoCase),
    ...SIZES.map(biasCase),
    gatherCase('(N,M,C)=(1,1,1): one element', 1, 1, 1, 1),
    gatherCase('(N,M,C)=(7,13,33): rows picked more than once', 7, 33, 13, 13),
    gatherCase('(N,M,C)=(9,4,64) of capacity 6: rows behind the count stay untouched', 9, 64, 4, 6),
    scatterCase('(M,N,C)=(1,1,1): one element', [0], 1, 1, 1),
    scatterCase('(M,N,C)=(4,9,33): rows that are not named stay untouched', [8, 0, 3, 5], 33, 9, 4),
    scatterCase('(M,N,C)=(2,5,64) of capacity 4: rows behind the count are not placed', [4, 1], 64, 5, 4),
  ],
};
