// softmaxPolicy.ts: the smallest policy on which DPO can be watched: a softmax over a handful of whole answers, trained by exact
// gradient steps of the real loss (base/preferenceLoss.ts). Answers may share traits, as a language model's answers share words;
// or each stands alone. Float64, pure functions.
import { preferenceLoss, sigmoid } from '../../../../base/preferenceLoss';

export interface Policy {
  /** log π_ref of each answer, but for a constant. */
  scores: Float64Array;
  /** log π_ref of each answer. */
  reference: Float64Array;
  /** Of each answer, how much of each trait it has: φ. */
  traits: Float64Array[];
  /** What is trained, one number a trait; 0 at the start, where the policy is the reference. */
  theta: Float64Array;
}

export interface Pair {
  chosen: number;
  rejected: number;
}

/** log softmax, finite for every finite input. */
export function logSoftmax(scores: ArrayLike<number>): Float64Array {
  const most = Math.max(...Array.from(scores));
  const logSum = most + Math.log(Array.from(scores).reduce((sum, s) => sum + Math.exp(s - most), 0));
  return Float64Array.from(scores, (s) => s - logSum);
}

/**
 * The untrained policy.
 * @param weights unnormalised probabilities of the answers, > 0.
 * @param traits of each answer; absent: each answer has one of its own, so that nothing is shared.
 */
export function makePolicy(weights: readonly number[], traits?: readonly (readonly number[])[]): Policy {
  const own = weights.map((_, i) => weights.map((_, j) => (i === j ? 1 : 0)));
  const used = (traits ?? own).map((row) => Float64Array.from(row));
  const scores = Float64Array.from(weights, Math.log);
  return {
    scores,
    reference: logSoftmax(scores),
    traits: used,
    theta: new Float64Array(used[0]?.length ?? 0),
  };
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** log π_θ(answer) = log softmax(log π_ref + φ·θ); at θ = 0 the reference, to the last bit. */
export const logProbabilities = ({ scores, traits, theta }: Policy): Float64Array =>
  logSoftmax(scores.map((score, k) => score + dot(traits[k]!, theta)));

export interface PairState {
  /** log π/π_ref of the two. */
  chosenRatio: number;
  rejectedRatio: number;
  /** β · (chosenRatio − rejectedRatio). */
  margin: number;
  loss: number;
  /** β·σ(−margin): how hard the two are pushed. */
  push: number;
}

/** The loss of one pair and what it is made of (Rafailov et al. 2023, eq. 7). */
export function pairState(
  logps: { policyChosen: number; policyRejected: number; referenceChosen: number; referenceRejected: number },
  beta: number,
): PairState {
  const chosenRatio = logps.policyChosen - logps.referenceChosen;
  const rejectedRatio = logps.policyRejected - logps.referenceRejected;
  const { loss } = preferenceLoss('sigmoid', chosenRatio - rejectedRatio, beta, 0);
  const margin = beta * (chosenRatio - rejectedRatio);
  return { chosenRatio, rejectedRatio, margin, loss, push: beta * sigmoid(-margin) };
}

/** The state of a pair of the policy's answers. */
export function policyPair(policy: Policy, { chosen, rejected }: Pair, beta: number): PairState {
  const logps = logProbabilities(policy);
  return pairState(
    {
      policyChosen: logps[chosen]!,
      policyRejected: logps[rejected]!,
      referenceChosen: policy.reference[chosen]!,
      referenceRejected: policy.reference[rejected]!,
    },
    beta,
  );
}

/**
 * ∂L/∂θ = −β·σ(−margin) · (φ_chosen − φ_rejected): the part of ∇log π that comes from the softmax's sum is the same in both and
 * cancels, which is why the loss does not mind where the probability goes.
 */
export function dpoGradient(policy: Policy, pair: Pair, beta: number): Float64Array {
  const { push } = policyPair(policy, pair, beta);
  const [w, l] = [policy.traits[pair.chosen]!, policy.traits[pair.rejected]!];
  return w.map((value, i) => -push * (value - l[i]!));
}

/** One step of plain gradient descent. */
export function dpoStep(policy: Policy, pair: Pair, beta: number, learningRate: number): Policy {
  const slope = dpoGradient(policy, pair, beta);
  return { ...policy, theta: policy.theta.map((value, i) => value - learningRate * slope[i]!) };
}
