// swiglu.test.ts: the float64 gradients of the gated activation against central differences.
import { describe, it } from 'vitest';
import { swigluBackward, swigluForward } from '../../src/reference/swiglu';
import { normals } from '../../src/selfcheck/cases/samples';
import { centralDifferences, dot, expectGradient } from './differences';

describe('swiglu reference', () => {
  it.each(['silu', 'gelu-tanh'] as const)(
    'swigluBackward of %s matches central differences at 40 gates',
    (activation) => {
      const gate = normals('gate', 40, 3);
      const up = normals('up', 40);
      const dY = normals('dY', 40);
      const { dGate, dUp } = swigluBackward(gate, up, dY, activation);
      expectGradient(
        dGate,
        centralDifferences((probe) => dot(swigluForward(probe, up, activation), dY), gate),
      );
      expectGradient(
        dUp,
        centralDifferences((probe) => dot(swigluForward(gate, probe, activation), dY), up),
      );
    },
  );
});
