// training.ts: what the two training recipes share: where a phase stands, how a session listens in, and what makes a step
// invalid. Not a trainer: that is model/trainer.ts.
import { PupilError } from '../base/errors';
import type { StepMetrics } from '../model/trainer';

/** How a session follows a training phase. */
export interface TrainingRun {
  seed: number;
  /** Optimiser steps done in earlier sittings; the trainer holds their parameters and optimiser state. */
  completedSteps: number;
  /**
   * After every optimiser step, with its metrics: the place to checkpoint, to pause, and to stop by throwing. The
   * trainer then holds exactly the state after `step` steps.
   */
  onStep(step: number, totalSteps: number, values: Record<string, number>): Promise<void>;
}

/**
 * Refuses a step whose loss or gradient is not a finite number. The update of such a step was skipped, so the adapter is
 * as it was before.
 * @throws PupilError `training`
 */
export function expectFinite(phase: string, step: number, metrics: StepMetrics): void {
  if (!metrics.nonFinite && Number.isFinite(metrics.loss) && Number.isFinite(metrics.gradNorm)) return;
  throw new PupilError(
    'training',
    `${phase}: expected a finite loss and gradient at step ${step}, got loss ${metrics.loss}, gradient norm ${metrics.gradNorm}`,
    'Nothing of this step was applied. Lower the learning rate, lengthen the warm-up or turn clipping on, and start again from the last checkpoint.',
  );
}

/** Tokens per second since `startMs`. */
export function tokensPerSecond(tokens: number, startMs: number): number {
  return tokens / Math.max(1e-3, (performance.now() - startMs) / 1000);
}

export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
