// loss.ts: from token log-probabilities to losses and back: sums per sequence, the weighted loss, DPO and its relatives.
// It does not touch logits (see head.ts).
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import dpoLossWgsl from '../../shaders/loss/dpo_loss.wgsl?raw';
import dpoRowWeightsWgsl from '../../shaders/loss/dpo_row_weights.wgsl?raw';
import lossSumWgsl from '../../shaders/loss/loss_sum.wgsl?raw';
import sequenceLogpsWgsl from '../../shaders/loss/sequence_logps.wgsl?raw';
import reduceWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import { wideLanes } from './wideLanes';

const SEQUENCE_LOGPS = kernelSource('sequence_logps', sequenceLogpsWgsl, reduceWgsl);
const LOSS_SUM = kernelSource('loss_sum', lossSumWgsl, reduceWgsl);
const DPO_LOSS = kernelSource('dpo_loss', dpoLossWgsl);
const DPO_ROW_WEIGHTS = kernelSource('dpo_row_weights', dpoRowWeightsWgsl);

export type PreferenceLoss = 'sigmoid' | 'ipo' | 'hinge' | 'robust';
const LOSS_CODE: Record<PreferenceLoss, number> = { sigmoid: 0, ipo: 1, hinge: 2, robust: 3 };

/**
 * Log-probability of each sequence: sums[s] = Σ tokenLogps[starts[s] … starts[s+1]), means[s] = sums[s] / length.
 *
 * @param tensors tokenLogps (M), starts (S+1) u32 ascending; WRITES sums, means (S). An empty sequence gives 0 and 0.
 * @param options sequences: rows over S.
 * @throws PupilError `shape`.
 */
export function sequenceLogps(
  gpu: Gpu,
  tensors: { tokenLogps: Tensor; starts: Tensor; sums: Tensor; means: Tensor },
  options: { sequences: Rows },
): Command[] {
  const { tokenLogps, starts, sums, means } = tensors;
  const S = options.sequences.capacity;
  expectTensor('sequenceLogps', 'tokenLogps', tokenLogps, [-1], 'f32');
  expectTensor('sequenceLogps', 'starts', starts, [S + 1], 'u32');
  expectTensor('sequenceLogps', 'sums', sums, [S], 'f32');
  expectTensor('sequenceLogps', 'means', means, [S], 'f32');
  return [
    new Dispatch(gpu, SEQUENCE_LOGPS, {
      bind: { token_logps: tokenLogps, starts, sums, means },
      constants: { lanes: wideLanes(gpu) },
      rows: options.sequences,
      grid: (count) => linearGrid(gpu, count),
    }),
  ];
}

/**
 * Weighted negative log-likelihood: out[0] += −Σ_m rowWeights[m]·tokenLogps[m]. For SFT the caller's rowWeights are
 * 1 / (target tokens of the global batch), so that accumulation equals the full batch.
 *
 * @param tensors tokenLogps (M), rowWeights (M); ADDS into out (1).
 * @param options rows over M.
 * @throws PupilError `shape`.
 */
export function lossSum(
  gpu: Gpu,
  tensors: { tokenLogps: Tensor; rowWeights: Tensor; out: Tensor },
  options: { rows: Rows },
): Command[] {
  const { tokenLogps, rowWeights, out } = tensors;
  const M = options.rows.capacity;
  expectTensor('lossSum', 'tokenLogps', tokenLogps, [M], 'f32');
  expectTensor('lossSum', 'rowWeights', rowWeights, [M], 'f32');
  expectTensor('lossSum', 'out', out, [1], 'f32');
  return [
    new Dispatch(gpu, LOSS_SUM, {
      bind: { token_logps: tokenLogps, row_weights: rowWeights, loss: out },
      constants: { lanes: wideLanes(gpu) },
      rows: options.rows,
      grid: () => [1, 1, 1],
    }),
  ];
}

/**
 * Preference loss of each pair, its rewards β·(policy − reference), and dPolicy = lossWeight·∂loss/∂policy. With
 * d = (policy − reference)(chosen) − (policy − reference)(rejected) and label smoothing ε:
 * sigmoid −(1−ε)·log σ(βd) − ε·log σ(−βd); ipo (d − 1/2β)²; hinge max(0, 1 − βd);
 * robust (−(1−ε)·log σ(βd) + ε·log σ(−βd)) / (1−2ε), ε < ½. Source: TRL 1.10, DPOTrainer.
 *
 * @param tensors policy, reference (2P): chosen at 2p, rejected at 2p+1; sums over the completion's tokens, for ipo the
 *   means. hyper (4) = (β, ε, lossWeight, 0), lossWeight usually 1 / (pairs of the global batch). WRITES losses,
 *   rewardsChosen, rewardsRejected (P), dPolicy (2P).
 * @param options pairs: rows over P.
 * @throws PupilError `shape`.
 */
export function dpoLoss(
  gpu: Gpu,
  tensors: {
    policy: Tensor;
    reference: Tensor;
    hyper: Tensor;
    losses: Tensor;
    rewardsChosen: Tensor;
    rewardsRejected: Tensor;
    dPolicy: Tensor;
  },
  options: { pairs: Rows; loss: PreferenceLoss },
): Command[] {
  const { policy, reference, hyper, losses, rewardsChosen, rewardsRejected, dPolicy } = tensors;
  const P = options.pairs.capacity;
  expectTensor('dpoLoss', 'policy', policy, [2 * P], 'f32');
  expectTensor('dpoLoss', 'reference', reference, [2 * P], 'f32');
  expectTensor('dpoLoss', 'hyper', hyper, [4], 'f32');
  expectTensor('dpoLoss', 'losses', losses, [P], 'f32');
  expectTensor('dpoLoss', 'rewardsChosen', rewardsChosen, [P], 'f32');
  expectTensor('dpoLoss', 'rewardsRejected', rewardsRejected, [P], 'f32');
  expectTensor('dpoLoss', 'dPolicy', dPolicy, [2 * P], 'f32');
  return [
    new Dispatch(gpu, DPO_LOSS, {
      bind: {
        policy,
        reference,
        hyper,
        losses,
        rewards_chosen: rewardsChosen,
        rewards_rejected: rewardsRejected,
        d_policy: dPolicy,
      },
      constants: { LOSS: LOSS_CODE[options.loss] },
      rows: options.pairs,
      grid: (count) => linearGrid(gpu, Math.ceil(count / 64)),
    }),
  ];
}

/**
 * From sequences to target rows: rowWeights[m] = −dPolicy[s], s = sequenceOf[m]; divided by lengths[s] when the loss took
 * per-token means (ipo). headBackward with these weights has the preference loss's gradient.
 *
 * @param tensors dPolicy (2P), sequenceOf (M) u32, lengths (2P) u32; WRITES rowWeights (M).
 * @param options rows over M.
 * @throws PupilError `shape`.
 */
export function dpoRowWeights(
  gpu: Gpu,
  tensors: { dPolicy: Tensor; sequenceOf: Tensor; lengths: Tensor; rowWeights: Tensor },
  options: { rows: Rows; perTokenMean: boolean },
): Command[] {
  const { dPolicy, sequenceOf, lengths, rowWeights } = tensors;
  const M = options.rows.capacity;
  expectTensor('dpoRowWeights', 'dPolicy', dPolicy, [-1], 'f32');
  expectTensor('dpoRowWeights', 'sequenceOf', sequenceOf, [M], 'u32');
  expectTensor('dpoRowWeights', 'lengths', lengths, [dPolicy.shape[0]!], 'u32');
  expectTensor('dpoRowWeights', 'rowWeights', rowWeights, [M], 'f32');
  return [
    new Dispatch(gpu, DPO_ROW_WEIGHTS, {
      bind: { d_policy: dPolicy, sequence_of: sequenceOf, lengths, row_weights: rowWeights },
      constants: { PER_TOKEN_MEAN: options.perTokenMean },
      rows: options.rows,
      grid: (count) => linearGrid(gpu, Math.ceil(count / 64)),
    }),
  ];
}
