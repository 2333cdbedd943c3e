// swiglu.ts: cases of swiglu_forward and swiglu_backward.
import { swigluBackward, swigluForward } from '../../kernels/swiglu';
import * as reference from '../../reference/swiglu';
import type { Activation } from '../../reference/swiglu';
import type { CaseFamily, KernelCase } from '../harness';
import { normals, padded, rowsInUse } from './samples';

/** `exp` may err by 3 + 2|x| units in WGSL, and the gates here reach ±100. */
const TOLERANCE = { atol: 3e-6, rtol: 2e-5, reason: 'WGSL allows exp an error of 3 + 2|x| ulp' };

function cases(
  claim: string,
  N: number,
  F: number,
  capacity: number,
  scale: number,
  activation: Activation,
): KernelCase[] {
  const gate = normals(`gate ${claim}`, N * F, scale);
  const up = normals(`up ${claim}`, N * F);
  const dY = normals(`dY ${claim}`, N * F);
  const shape = [capacity, F];
  const whole = capacity * F;
  const { dGate, dUp } = reference.swigluBackward(gate, up, dY, activation);
  const inputs = {
    gate: { shape, data: padded(gate, whole) },
    up: { shape, data: padded(up, whole) },
  };
  return [
    {
      kernel: 'swiglu_forward',
      name: `${activation} at ${claim}`,
      inputs,
      outputs: {
        y: { shape, expected: padded(reference.swigluForward(gate, up, activation), whole), tolerance: TOLERANCE },
      },
      commands: (gpu, { gate, up, y }, arena) =>
        swigluForward(gpu, { gate: gate!, up: up!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, N), activation }),
    },
    {
      kernel: 'swiglu_backward',
      name: `${activation} at ${claim}`,
      inputs: { ...inputs, dY: { shape, data: padded(dY, whole) } },
      outputs: {
        dGate: { shape, expected: padded(dGate, whole), tolerance: TOLERANCE },
        dUp: { shape, expected: padded(dUp, whole), tolerance: TOLERANCE },
      },
      commands: (gpu, { gate, up, dY, dGate, dUp }, arena) =>
        swigluBackward(
          gpu,
          { gate: gate!, up: up!, dY: dY!, dGate: dGate!, dUp: dUp! },
          { rows: rowsInUse(gpu, arena, capacity, N), activation },
        ),
    },
  ];
}

/** The gated activation and its backward against f64. */
export const swigluCases: CaseFamily = {
  family: 'swiglu',
  cases: () =>
    (['silu', 'gelu-tanh'] as const).flatMap((activation) => [
      ...cases('(N,F)=(1,1): one element', 1, 1, 1, 1, activation),
      ...cases('(N,F)=(3,65): odd F', 3, 65, 3, 2, activation),
      ...cases('(N,F)=(5,64) of capacity 8: rows behind the count stay untouched', 5, 64, 8, 1, activation),
      ...cases('(N,F)=(4,128): gates of ±100 neither overflow nor give NaN', 4, 128, 4, 50, activation),
      ...cases('(N,F)=(4,128): gates near 0', 4, 128, 4, 0.03, activation),
    ]),
};
