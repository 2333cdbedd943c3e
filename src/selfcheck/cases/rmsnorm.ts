// rmsnorm.ts: cases of rmsnorm_forward, rmsnorm_backward_input and rmsnorm_backward_weight.
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../../kernels/rmsnorm';
import * as reference from '../../reference/rmsnorm';
import type { CaseFamily, KernelCase } from '../harness';
import { added, normals, padded, rowsInUse } from './samples';

const EPSILON = Math.fround(1e-5);

interface Size {
  claim: string;
  N: number;
  C: number;
  capacity: number;
  scale?: number;
}

function forwardCase({ claim, N, C, capacity, scale = 1 }: Size): KernelCase {
  const x = normals(`x ${claim}`, N * C, scale);
  const weight = normals(`weight ${claim}`, C);
  const { y, inverseRms } = reference.rmsnormForward(x, weight, EPSILON);
  const shape = [capacity, C];
  return {
    kernel: 'rmsnorm_forward',
    name: claim,
    inputs: { x: { shape, data: padded(x, capacity * C) }, weight: { shape: [C], data: weight } },
    outputs: {
      y: { shape, expected: padded(y, capacity * C), sumLength: C },
      inverseRms: { shape: [capacity], expected: padded(inverseRms, capacity), sumLength: C },
    },
    commands: (gpu, { x, weight, y, inverseRms }, arena) =>
      rmsnormForward(
        gpu,
        { x: x!, weight: weight!, y: y!, inverseRms: inverseRms! },
        { rows: rowsInUse(gpu, arena, capacity, N), epsilon: EPSILON },
      ),
  };
}

function backwardCases({ claim, N, C, capacity, scale = 1 }: Size): KernelCase[] {
  const x = normals(`x ${claim}`, N * C, scale);
  const weight = normals(`weight ${claim}`, C);
  const dY = normals(`dY ${claim}`, N * C);
  const inverseRms = reference.rmsnormForward(x, weight, EPSILON).inverseRms.map(Math.fround);
  const { dX, dWeight } = reference.rmsnormBackward(x, weight, inverseRms, dY);
  const initialX = normals(`dX ${claim}`, capacity * C);
  const initialWeight = normals(`dWeight ${claim}`, C);
  const shape = [capacity, C];
  const shared = {
    x: { shape, data: padded(x, capacity * C) },
    inverseRms: { shape: [capacity], data: padded(inverseRms, capacity) },
    dY: { shape, data: padded(dY, capacity * C) },
  };
  return [
    {
      kernel: 'rmsnorm_backward_input',
      name: claim,
      inputs: { ...shared, weight: { shape: [C], data: weight } },
      outputs: { dX: { shape, initial: initialX, expected: added(initialX, dX), sumLength: C } },
      commands: (gpu, { x, weight, inverseRms, dY, dX }, arena) =>
        rmsnormBackwardInput(
          gpu,
          { x: x!, weight: weight!, inverseRms: inverseRms!, dY: dY!, dX: dX! },
          { rows: rowsInUse(gpu, arena, capacity, N) },
        ),
    },
    {
      kernel: 'rmsnorm_backward_weight',
      name: claim,
      inputs: shared,
      outputs: {
        dWeight: { shape: [C], initial: initialWeight, expected: added(initialWeight, dWeight), sumLength: N },
      },
      commands: (gpu, { x, inverseRms, dY, dWeight }, arena) =>
        rmsnormBackwardWeight(
          gpu,
          { x: x!, inverseRms: inverseRms!, dY: dY!, dWeight: dWeight! },
          { rows: rowsInUse(gpu, arena, capacity, N) },
        ),
    },
  ];
}

const SIZES: Size[] = [
  { claim: '(N,C)=(1,1): one element', N: 1, C: 1, capacity: 1 },
  { claim: '(N,C)=(3,65): odd C', N: 3, C: 65, capacity: 3 },
  { claim: '(N,C)=(9,64) of capacity 12: rows behind the count stay untouched', N: 9, C: 64, capacity: 12 },
  { claim: '(N,C)=(33,516): a multiple of four, not of the workgroup', N: 33, C: 516, capacity: 33 },
  { claim: '(N,C)=(4,48): tiny rows, ε decides', N: 4, C: 48, capacity: 4, scale: 1e-4 },
];

/** Queries or keys: each head's columns normalised by themselves, in the forward and, written rather than added, backward. */
function headCases(claim: string, N: number, H: number, K: number, capacity: number): KernelCase[] {
  const x = normals(`x ${claim}`, N * H * K);
  const weight = normals(`weight ${claim}`, K);
  const dY = normals(`dY ${claim}`, N * H * K);
  const { y, inverseRms } = reference.rmsnormForward(x, weight, EPSILON);
  const kept = inverseRms.map(Math.fround);
  const { dX } = reference.rmsnormBackward(x, weight, kept, dY);
  const shape = [capacity, H * K];
  const rmsShape = [capacity, H];
  const inputs = {
    x: { shape, data: padded(x, capacity * H * K) },
    weight: { shape: [K], data: weight },
  };
  return [
    {
      kernel: 'rmsnorm_forward',
      name: claim,
      inputs,
      outputs: {
        y: { shape, expected: padded(y, capacity * H * K), sumLength: K },
        inverseRms: { shape: rmsShape, expected: padded(inverseRms, capacity * H), sumLength: K },
      },
      commands: (gpu, { x, weight, y, inverseRms }, arena) =>
        rmsnormForward(
          gpu,
          { x: x!, weight: weight!, y: y!, inverseRms: inverseRms! },
          { rows: rowsInUse(gpu, arena, capacity, N), epsilon: EPSILON, heads: H },
        ),
    },
    {
      kernel: 'rmsnorm_backward_input',
      name: `${claim}, written`,
      inputs: {
        ...inputs,
        inverseRms: { shape: rmsShape, data: padded(kept, capacity * H) },
        dY: { shape, data: padded(dY, capacity * H * K) },
      },
      outputs: { dX: { shape, expected: padded(dX, capacity * H * K), sumLength: K } },
      commands: (gpu, { x, weight, inverseRms, dY, dX }, arena) =>
        rmsnormBackwardInput(
          gpu,
          { x: x!, weight: weight!, inverseRms: inverseRms!, dY: dY!, dX: dX! },
          { rows: rowsInUse(gpu, arena, capacity, N), heads: H, accumulate: false },
        ),
    },
  ];
}

/** RMSNorm and its gradients against f64. */
export const rmsnormCases: CaseFamily = {
  family: 'rmsnorm',
  cases: () => [
    ...SIZES.map(forwardCase),
    forwardCase({ claim: '(N,C)=(65537,2): more than 65,535 workgroups', N: 65_537, C: 2, capacity: 65_537 }),
    ...SIZES.flatMap(backwardCases),
    ...headCases('(N,H,K)=(5,3,10) of capacity 7: per head, odd sizes', 5, 3, 10, 7),
    ...headCases('(N,H,K)=(3,4,128): per head', 3, 4, 128, 3),
  ],
};
