// linear.test.ts: the linear layer's derivatives in reference/linear.ts against central differences in float64.
import { describe, expect, it } from 'vitest';
import { caseNumbers } from '../../src/selfcheck/cases/linear';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../../src/reference/linear';

const [N, C, O] = [3, 5, 4];
const x = Float64Array.from(caseNumbers(N * C, 1));
const w = Float64Array.from(caseNumbers(O * C, 2));
const dY = Float64Array.from(caseNumbers(N * O, 3));

/** L = Σ dY ∘ y, so that dL/dy = dY. */
function loss(): number {
  return linearForward(x, w, N, C, O).reduce((sum, y, i) => sum + y * dY[i]!, 0);
}

function differences(values: Float64Array): Float64Array {
  const step = 1e-4;
  return values.map((_, i) => {
    const kept = values[i]!;
    values[i] = kept + step;
    const above = loss();
    values[i] = kept - step;
    const below = loss();
    values[i] = kept;
    return (above - below) / (2 * step);
  });
}

function expectClose(actual: Float64Array, wanted: Float64Array): void {
  expect(actual.length).toBe(wanted.length);
  wanted.forEach((v, i) => expect(Math.abs(actual[i]! - v)).toBeLessThan(1e-6 * (1 + Math.abs(v))));
}

describe('linear derivatives match central differences at (N,C,O)=(3,5,4)', () => {
  it('dX', () => expectClose(linearBackwardInput(dY, w, N, C, O), differences(x)));
  it('dW', () => expectClose(linearBackwardWeight(dY, x, N, C, O), differences(w)));
});
