// loss.test.ts: the derivatives of the preference losses, written by hand, against central differences and their identities.
import { describe, expect, it } from 'vitest';
import { logSigmoid, preferenceLoss, sigmoid, type PreferenceLoss } from '../../src/base/preferenceLoss';
import { dpoLoss, dpoRowWeights, lossSum, sequenceLogps } from '../../src/reference/loss';
import { centralDifferences, expectGradient } from './differences';

const KINDS: readonly PreferenceLoss[] = ['sigmoid', 'ipo', 'hinge', 'robust'];
const STARTS = [0, 3, 5, 9, 10];
const LENGTHS = [3, 2, 4, 1];
const SEQUENCE_OF = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3];
const REFERENCE = [-1.1, -0.4, -2.5, -0.2];
const TOKEN_LOGPS = [-0.3, -0.9, -0.2, -0.8, -0.15, -0.5, -1.4, -0.31, -0.77, -0.6];

describe('preference losses', () => {
  for (const kind of KINDS) {
    for (const [beta, smoothing] of [
      [0.1, 0],
      [0.5, 0.2],
    ] as const) {
      it(`${kind} at β ${beta}, ε ${smoothing}: dPolicy matches central differences of the weighted loss`, () => {
        const policy = [-1.3, -0.9, -0.5, -2.2];
        const hyper = [beta, smoothing, 0.25];
        const total = (p: ArrayLike<number>): number =>
          0.25 * dpoLoss(p, REFERENCE, hyper, kind).losses.reduce((a, b) => a + b, 0);
        expectGradient(dpoLoss(policy, REFERENCE, hyper, kind).dPolicy, centralDifferences(total, policy));
      });

      it(`${kind} at β ${beta}, ε ${smoothing}: row weights carry the gradient to every token`, () => {
        const mean = kind === 'ipo';
        const hyper = [beta, smoothing, 0.5];
        const policyOf = (tokens: ArrayLike<number>): Float64Array => {
          const { sums, means } = sequenceLogps(tokens, STARTS);
          return mean ? means : sums;
        };
        const total = (tokens: ArrayLike<number>): number =>
          0.5 * dpoLoss(policyOf(tokens), REFERENCE, hyper, kind).losses.reduce((a, b) => a + b, 0);
        const { dPolicy } = dpoLoss(policyOf(TOKEN_LOGPS), REFERENCE, hyper, kind);
        const rowWeights = dpoRowWeights(dPolicy, SEQUENCE_OF, LENGTHS, mean);
        expectGradient(
          rowWeights.map((w) => -w),
          centralDifferences(total, TOKEN_LOGPS),
        );
      });
    }
  }

  it('robust and sigmoid agree without smoothing, and hinge is 0 with slope 0 past its margin', () => {
    for (const d of [-3, 0, 5])
      expect(preferenceLoss('robust', d, 0.3, 0)).toEqual(preferenceLoss('sigmoid', d, 0.3, 0));
    expect(preferenceLoss('hinge', 11, 0.1, 0)).toEqual({ loss: 0, slope: 0 });
    expect(preferenceLoss('hinge', 10, 0.1, 0).slope).toBe(0);
  });

  it('robust is unbiased: its mean over flipped labels is the loss on true ones', () => {
    const [d, beta, e] = [1.7, 0.4, 0.2];
    const mean = (1 - e) * preferenceLoss('robust', d, beta, e).loss + e * preferenceLoss('robust', -d, beta, e).loss;
    expect(mean).toBeCloseTo(preferenceLoss('sigmoid', d, beta, 0).loss, 12);
  });
});

it('lossSum: the derivative is minus the row weights', () => {
  const rowWeights = [0.5, -1, 0, 2, 0.1, 0, 1, 1, 3, -2];
  expectGradient(
    rowWeights.map((w) => -w),
    centralDifferences((tokens) => lossSum(tokens, rowWeights), TOKEN_LOGPS),
  );
});

it('log σ and σ stay finite and consistent at ±1000', () => {
  expect(logSigmoid(-1000)).toBe(-1000);
  expect(logSigmoid(1000)).toBe(0);
  expect([sigmoid(-1000), sigmoid(0), sigmoid(1000)]).toEqual([0, 0.5, 1]);
  expect(Math.log(sigmoid(-3))).toBeCloseTo(logSigmoid(-3), 12);
});
