// instruct.ts: phase 1, instruction-tuning (the paper's §2.1, §3.2.1), top to bottom. The student learns the teacher's answers
// to the CoT prompts:
//
//     loss = − Σ_t log π(w_t | w_<t, prompt) / T      over the T answer tokens of the GLOBAL batch, the prompt masked
//
// Batches come from a seeded shuffle an epoch; micro-batches pack whole examples that cannot see each other, and because
// the loss is divided by the global T, gradient accumulation equals one large batch. It knows no files and no session.
import { PupilError } from '../base/errors';
import { packSequences } from '../model/batch';
import type { Trainer } from '../model/trainer';
import { learningRate, warmupSteps, type ScheduleLength } from '../optim/schedule';
import {
  batchOfStep,
  boundsOfSizes,
  completionSequence,
  completionsSize,
  microBatches,
  stepsPerEpoch,
  totalSteps,
  unitTargets,
  unitTokens,
  type BatchBounds,
  type Unit,
} from './batches';
import { expectFinite, tokensPerSecond, type TrainingRun } from './training';

/** What this recipe needs of the trainer; a fake in tests. */
export type SupervisedTrainer = Pick<Trainer, 'beginStep' | 'accumulateSupervised' | 'update' | 'metrics'>;

/** A demonstration as token ids. The answer ends with the end of text. */
export interface TrainingExample {
  prompt: readonly number[];
  answer: readonly number[];
}

export interface InstructSettings {
  epochs: number;
  maxSteps?: number | undefined;
  learningRate: number;
  weightDecay: number;
  schedule: 'cosine' | 'linear' | 'constant';
  warmupRatio?: number | undefined;
  warmupSteps?: number | undefined;
  /** Demonstrations per optimiser step. */
  batchSize: number;
  microBatchTokens: number;
  /** Global gradient norm; 0 = no clipping. */
  clip: number;
}

/** Everything that is fixed before the first step. */
export interface InstructPlan {
  units: readonly Unit[];
  totalSteps: number;
  /** What the trainer must be made for. */
  bounds: BatchBounds;
}

/**
 * The size of a phase, from the lengths of its examples.
 * @throws PupilError `data` where there is no example, or an example has no answer token: its labels would all be masked
 *   and its loss a silent 0.
 */
export function sizeInstruct(
  examples: readonly TrainingExample[],
  { batchSize, epochs, maxSteps, microBatchTokens }: InstructSettings,
): Omit<InstructPlan, 'units'> {
  if (examples.length === 0) {
    throw new PupilError(
      'data',
      'instruct: expected at least one demonstration, got none',
      'All were left out: look at the counts of the demonstrations (too long, wrong, not in the training split).',
    );
  }
  const sizes = examples.map(({ prompt, answer }, i) => {
    if (answer.length === 0 || prompt.length === 0) {
      throw new PupilError(
        'data',
        `instruct: example ${i}: expected a prompt and an answer, got ${prompt.length} and ${answer.length} tokens`,
        'With every label masked there is nothing to learn.',
      );
    }
    return completionsSize(prompt.length, [answer.length]);
  });
  return {
    totalSteps: totalSteps(sizes.length, { batchSize, epochs, maxSteps }),
    bounds: boundsOfSizes(sizes, microBatchTokens, batchSize),
  };
}

/** Lays a phase out. @throws PupilError as {@link sizeInstruct} */
export function planInstruct(examples: readonly TrainingExample[], settings: InstructSettings): InstructPlan {
  const sizes = sizeInstruct(examples, settings);
  return { units: examples.map(({ prompt, answer }) => [completionSequence(prompt, answer)]), ...sizes };
}

/**
 * A control's settings: `steps` further steps from the instructed student with a schedule of their own, everything else as
 * in phase 1. The data repeats as often as it takes.
 */
export function controlSettings<S extends InstructSettings>(
  phase1: S,
  control: { steps: number; learningRate?: number | undefined },
): S {
  const learningRate = control.learningRate ?? phase1.learningRate;
  return { ...phase1, epochs: Infinity, maxSteps: control.steps, learningRate };
}

/** How a session follows this phase; its name gives it batches of its own. */
export interface InstructRun extends TrainingRun {
  phase?: 'instruct' | 'control';
}

/** The length of a phase's schedule; a ratio of warm-up is rounded up, as in the Hugging Face trainer. */
export function scheduleLength(
  settings: Pick<InstructSettings, 'learningRate' | 'warmupRatio' | 'warmupSteps'>,
  total: number,
): ScheduleLength {
  return {
    total,
    warmup: settings.warmupSteps ?? warmupSteps(settings.warmupRatio ?? 0, total),
    base: settings.learningRate,
  };
}

/**
 * Trains from step `completedSteps` + 1 to the end. Reports TRL's metrics a step: `loss` (nats per answer token, before the
 * update), `grad_norm` (before clipping), `learning_rate`, `epoch`, and `tokens`, `tokens_per_second`.
 *
 * @throws PupilError `training` for a non-finite loss or gradient; whatever `onStep` throws.
 */
export async function instruct(
  trainer: SupervisedTrainer,
  plan: InstructPlan,
  settings: InstructSettings,
  run: InstructRun,
): Promise<void> {
  const { units } = plan;
  const n = units.length;
  const { batchSize } = settings;
  const phase = run.phase ?? 'instruct';
  const length = scheduleLength(settings, plan.totalSteps);

  for (let step = run.completedSteps + 1; step <= plan.totalSteps; step++) {
    const startMs = performance.now();
    const { indices } = batchOfStep({ seed: run.seed, purpose: phase, n, batchSize }, step);
    const batch = indices.map((i) => units[i]!);
    const totalTargets = batch.reduce((sum, unit) => sum + unitTargets(unit), 0);
    const tokens = batch.reduce((sum, unit) => sum + unitTokens(unit), 0);
    const rate = learningRate(settings.schedule, step - 1, length);

    trainer.beginStep(step - 1);
    for (const group of microBatches(batch, settings.microBatchTokens)) {
      await trainer.accumulateSupervised(packSequences(group.flat()), totalTargets);
    }
    await trainer.update({ learningRate: rate, weightDecay: settings.weightDecay, maxNorm: settings.clip, step });
    const metrics = await trainer.metrics();
    expectFinite(phase, step, metrics);

    await run.onStep(step, plan.totalSteps, {
      loss: metrics.loss,
      grad_norm: metrics.gradNorm,
      learning_rate: rate,
      epoch: step / stepsPerEpoch(n, batchSize),
      tokens,
      tokens_per_second: tokensPerSecond(tokens, startMs),
    });
  }
}
