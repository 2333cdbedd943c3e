// selfRefine.ts: phase 2, direct preference optimisation on the pairs of pairs.ts (the paper's §2.2 and appendix B; Rafailov
// et al. 2023, arXiv:2305.18290), top to bottom:
//
//     1. log π_inst(y_w|·), log π_inst(y_l|·) of every pair, once, with the frozen instructed adapter: the reference
//     2. steps of  L = mean over pairs of ℓ(β (log π/π_inst (y_w) − log π/π_inst (y_l)))
//     3. every so many steps the same on the held-out pairs; the best adapter is kept
//
// No dropout anywhere, so the first loss of policy = reference is exactly ℓ(0) = ln 2. It knows no files and no session.
import type { PackedBatch } from '../model/batch';
import { packSequences } from '../model/batch';
import type { Trainer } from '../model/trainer';
import { learningRate } from '../optim/schedule';
import {
  batchOfStep,
  boundsOf,
  completionSequence,
  microBatches,
  stepsPerEpoch,
  totalSteps,
  unitTokens,
  type BatchBounds,
  type Unit,
} from './batches';
import { scheduleLength } from './instruct';
import type { PreferencePair } from './pairs';
import { preferenceValues } from './preferenceValues';
import { expectFinite, meanOf, tokensPerSecond, type TrainingRun } from './training';

/** What this recipe needs of the trainer; a fake in tests. */
export type PreferenceTrainer = Pick<
  Trainer,
  'beginStep' | 'accumulatePreference' | 'update' | 'metrics' | 'sequenceLogps'
>;

export interface SelfRefineSettings {
  beta: number;
  loss: 'sigmoid' | 'ipo' | 'hinge' | 'robust';
  labelSmoothing: number;
  learningRate: number;
  weightDecay: number;
  schedule: 'cosine' | 'linear' | 'constant';
  warmupRatio?: number | undefined;
  warmupSteps?: number | undefined;
  /** Pairs per optimiser step. */
  batchSize: number;
  microBatchTokens: number;
  maxSteps?: number | undefined;
  epochs?: number | undefined;
  clip: number;
  evaluateEverySteps: number;
  keepBest: KeepRule;
}

export type KeepRule = 'lowest-validation-loss' | 'highest-chosen-logp' | 'last';

export interface SelfRefinePlan {
  /** All pairs as [chosen, rejected]. */
  units: readonly Unit[];
  training: readonly number[];
  validation: readonly number[];
  totalSteps: number;
  bounds: BatchBounds;
}

/** One pair as two sequences under the same prompt. */
export function pairUnit(pair: Pick<PreferencePair, 'prompt' | 'chosen' | 'rejected'>): Unit {
  return [completionSequence(pair.prompt.ids, pair.chosen.ids), completionSequence(pair.prompt.ids, pair.rejected.ids)];
}

/** Lays the phase out. With no training pair there are no steps. */
export function planSelfRefine(
  pairs: readonly PreferencePair[],
  split: { training: readonly number[]; validation: readonly number[] },
  settings: SelfRefineSettings,
): SelfRefinePlan {
  const units = pairs.map(pairUnit);
  const { batchSize, epochs, maxSteps, microBatchTokens } = settings;
  const n = split.training.length;
  return {
    units,
    ...split,
    totalSteps: n === 0 ? 0 : totalSteps(n, { batchSize, epochs, maxSteps }),
    // Scoring packs as many pairs as fit, whatever the batch size.
    bounds: boundsOf(units, microBatchTokens, Math.max(batchSize, units.length)),
  };
}

/**
 * log-probabilities of both answers of each unit, [chosen 0, rejected 0, chosen 1, …]: sums over the answer's tokens, or
 * per-token means for ipo (as TRL). Called with the instructed adapter it yields the reference.
 *
 * @param done entries of an earlier sitting. @param onBatch after each micro-batch, with all so far.
 */
export async function scorePairs(
  trainer: Pick<PreferenceTrainer, 'sequenceLogps'>,
  units: readonly Unit[],
  o: { loss: SelfRefineSettings['loss']; microBatchTokens: number },
  done: Float32Array = new Float32Array(0),
  onBatch?: (scores: Float32Array) => Promise<void>,
): Promise<Float32Array> {
  const scores = new Float32Array(units.length * 2);
  scores.set(done);
  let at = done.length;
  for (const group of microBatches(units.slice(at / 2), o.microBatchTokens)) {
    const { sums, means } = await trainer.sequenceLogps(pack(group));
    scores.set(o.loss === 'ipo' ? means : sums, at);
    at += group.length * 2;
    await onBatch?.(scores.subarray(0, at));
  }
  return scores;
}

function pack(group: readonly Unit[]): PackedBatch {
  return packSequences(group.flat());
}

/** The numbers by which a checkpoint is kept, and where they were measured. */
export interface KeptCheckpoint {
  step: number;
  validationLoss?: number;
  validationChosenLogp?: number;
}

/** Whether a measurement is better than the best so far. Ties keep the earlier one. */
export function isBetter(rule: KeepRule, now: KeptCheckpoint, best: KeptCheckpoint | undefined): boolean {
  if (rule === 'last' || best === undefined) return true;
  if (rule === 'lowest-validation-loss') return (now.validationLoss ?? Infinity) < (best.validationLoss ?? Infinity);
  return (now.validationChosenLogp ?? -Infinity) > (best.validationChosenLogp ?? -Infinity);
}

/** TRL's validation metrics (`eval_loss`, `eval_rewards/…`, `eval_logps/…`) of some pairs under the present adapter. */
export async function validatePairs(
  trainer: Pick<PreferenceTrainer, 'sequenceLogps'>,
  plan: SelfRefinePlan,
  reference: Float32Array,
  settings: SelfRefineSettings,
): Promise<Record<string, number>> {
  const units = plan.validation.map((i) => plan.units[i]!);
  const policy = await scorePairs(trainer, units, settings);
  const own = gather(reference, plan.validation);
  return preferenceValues(policy, own, settings, 'eval_');
}

/** The (chosen, rejected) entries of the given pairs. */
function gather(scores: Float32Array, indices: readonly number[]): Float32Array {
  const out = new Float32Array(indices.length * 2);
  indices.forEach((i, p) => out.set(scores.subarray(2 * i, 2 * i + 2), 2 * p));
  return out;
}

/** How a session follows this phase. `onStep` comes after any validation of the same step. */
export interface SelfRefineRun extends TrainingRun {
  best: KeptCheckpoint | undefined;
  /** The present adapter is the best so far: remember its parameters. */
  onBest(kept: KeptCheckpoint): Promise<void>;
}

/**
 * Trains from step `completedSteps` + 1 to the end. Reports TRL's metrics a step: `loss`, `rewards/chosen`,
 * `rewards/rejected`, `rewards/accuracies` (strictly greater), `rewards/margins`, `logps/chosen`, `logps/rejected`,
 * `grad_norm`, `learning_rate`, `epoch`, and `eval_…` of the same on the steps that validate (every
 * `evaluateEverySteps`, and the last). Before the first step the validation pairs are scored once (reported as step 0,
 * never kept: it is the instructed student itself).
 *
 * @throws PupilError `training` for a non-finite loss or gradient; whatever the listeners throw.
 */
export async function selfRefine(
  trainer: PreferenceTrainer,
  plan: SelfRefinePlan,
  reference: Float32Array,
  settings: SelfRefineSettings,
  run: SelfRefineRun,
): Promise<void> {
  const n = plan.training.length;
  const { batchSize, beta, labelSmoothing, loss } = settings;
  const length = scheduleLength(settings, plan.totalSteps);
  const validates = plan.validation.length > 0;
  let best = run.best;

  if (run.completedSteps === 0 && validates && plan.totalSteps > 0) {
    await run.onStep(0, plan.totalSteps, await validatePairs(trainer, plan, reference, settings));
  }
  for (let step = run.completedSteps + 1; step <= plan.totalSteps; step++) {
    const startMs = performance.now();
    const { indices } = batchOfStep({ seed: run.seed, purpose: 'self-refine', n, batchSize }, step);
    const pairIndices = indices.map((i) => plan.training[i]!);
    const batch = pairIndices.map((i) => plan.units[i]!);
    const tokens = batch.reduce((sum, unit) => sum + unitTokens(unit), 0);
    const rate = learningRate(settings.schedule, step - 1, length);

    trainer.beginStep(step - 1);
    let at = 0;
    for (const group of microBatches(batch, settings.microBatchTokens)) {
      const own = gather(reference, pairIndices.slice(at, at + group.length));
      at += group.length;
      await trainer.accumulatePreference(pack(group), own, { loss, beta, labelSmoothing, totalPairs: batch.length });
    }
    await trainer.update({ learningRate: rate, weightDecay: settings.weightDecay, maxNorm: settings.clip, step });
    const metrics = await trainer.metrics();
    expectFinite('self-refine', step, metrics);
    const { rewardsChosen, rewardsRejected, policyLogps } = metrics.pairs!;

    const values: Record<string, number> = {
      loss: metrics.loss,
      'rewards/chosen': meanOf(rewardsChosen),
      'rewards/rejected': meanOf(rewardsRejected),
      'rewards/accuracies': meanOf(rewardsChosen.map((reward, p) => (reward > rewardsRejected[p]! ? 1 : 0))),
      'rewards/margins': meanOf(rewardsChosen.map((reward, p) => reward - rewardsRejected[p]!)),
      'logps/chosen': meanOf(policyLogps.filter((_, i) => i % 2 === 0)),
      'logps/rejected': meanOf(policyLogps.filter((_, i) => i % 2 === 1)),
      grad_norm: metrics.gradNorm,
      learning_rate: rate,
      epoch: step / stepsPerEpoch(n, batchSize),
      tokens,
      tokens_per_second: tokensPerSecond(tokens, startMs),
    };
    const isLast = step === plan.totalSteps;
    if (isLast || (validates && step % settings.evaluateEverySteps === 0)) {
      const measured = validates ? await validatePairs(trainer, plan, reference, settings) : {};
      Object.assign(values, measured);
      const kept: KeptCheckpoint = {
        step,
        ...(measured['eval_loss'] === undefined ? {} : { validationLoss: measured['eval_loss'] }),
        ...(measured['eval_logps/chosen'] === undefined ? {} : { validationChosenLogp: measured['eval_logps/chosen'] }),
      };
      // Without validation pairs there is nothing to choose by: the last one is kept.
      if (isBetter(validates ? settings.keepBest : 'last', kept, best)) {
        best = kept;
        await run.onBest(kept);
      }
    }
    await run.onStep(step, plan.totalSteps, values);
  }
}
