// Claims about the chapter on DPO: the policy's gradient by hand against central differences, the loss against the kernels'
// specification, ln 2 at the start, and where the probability goes: with shared traits both answers can fall, alone the chosen
// one never does.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dpoGradient,
  dpoStep,
  logProbabilities,
  logSoftmax,
  makePolicy,
  pairState,
  policyPair,
  type Policy,
} from '../../../../src/app/lesson/chapters/widgets/softmaxPolicy';
import { dpoLoss } from '../../../../src/reference/loss';

const weights = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 3, maxLength: 6 });
const LOGP = fc.double({ min: -60, max: 0, noNaN: true });
const moved = (policy: Policy, theta: readonly number[]): Policy => ({ ...policy, theta: Float64Array.from(theta) });

describe('the policy', () => {
  it('is the reference before the first step, and its probabilities sum to 1', () => {
    fc.assert(
      fc.property(weights, (given) => {
        const policy = makePolicy(given);
        const sum = given.reduce((total, weight) => total + weight, 0);
        logProbabilities(policy).forEach((logp, i) => expect(Math.exp(logp)).toBeCloseTo(given[i]! / sum, 12));
        expect(policyPair(policy, { chosen: 0, rejected: 1 }, 0.1)).toMatchObject({
          margin: 0,
          loss: Math.LN2,
          push: 0.05,
        });
      }),
    );
  });

  it('has a log softmax that stays finite for large scores', () => {
    expect([...logSoftmax([1000, 0])]).toEqual([0, -1000]);
  });
});

describe('the loss', () => {
  it('and its push are those of the kernels’ specification', () => {
    fc.assert(
      fc.property(
        fc.tuple(LOGP, LOGP, LOGP, LOGP),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        ([policyChosen, policyRejected, referenceChosen, referenceRejected], beta) => {
          const state = pairState({ policyChosen, policyRejected, referenceChosen, referenceRejected }, beta);
          const spec = dpoLoss(
            [policyChosen, policyRejected],
            [referenceChosen, referenceRejected],
            [beta, 0, 1],
            'sigmoid',
          );
          expect(state.loss).toBeCloseTo(spec.losses[0]!, 12);
          expect(state.push).toBeCloseTo(-spec.dPolicy[0]!, 12);
          expect(state.push).toBeCloseTo(spec.dPolicy[1]!, 12);
          expect(state.margin).toBeCloseTo(spec.rewardsChosen[0]! - spec.rewardsRejected[0]!, 12);
        },
      ),
    );
  });

  it('has the gradient in θ that central differences have', () => {
    const traits = [
      [1, 1],
      [0, 1],
      [0, 0],
      [1, 0],
      [3, 0],
    ];
    fc.assert(
      fc.property(
        fc.tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: -2, max: 2, noNaN: true })),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        (theta, beta) => {
          const policy = moved(makePolicy([0.12, 0.25, 0.28, 0.1, 0.25], traits), theta);
          const pair = { chosen: 0, rejected: 4 };
          const slope = dpoGradient(policy, pair, beta);
          const h = 1e-5;
          theta.forEach((value, t) => {
            const at = (by: number): number =>
              policyPair(
                moved(
                  policy,
                  theta.map((one, i) => (i === t ? value + by : one)),
                ),
                pair,
                beta,
              ).loss;
            expect(slope[t]!).toBeCloseTo((at(h) - at(-h)) / (2 * h), 7);
          });
        },
      ),
    );
  });
});

describe('steps', () => {
  const pair = { chosen: 0, rejected: 2 };

  it('lower the loss each time; alone, the chosen answer rises and the rejected one falls each time', () => {
    fc.assert(
      fc.property(weights, fc.double({ min: 0.05, max: 1, noNaN: true }), (given, beta) => {
        let policy = makePolicy(given);
        for (let step = 0; step < 20; step++) {
          const next = dpoStep(policy, pair, beta, 0.5);
          expect(policyPair(next, pair, beta).loss).toBeLessThan(policyPair(policy, pair, beta).loss);
          const [before, after] = [logProbabilities(policy), logProbabilities(next)];
          expect(after[0]!).toBeGreaterThan(before[0]!);
          expect(after[2]!).toBeLessThan(before[2]!);
          policy = next;
        }
      }),
      { numRuns: 25 },
    );
  });
});
