// schedule.ts: learning rate as a function of the step: warm-up, then cosine, linear or constant; or flat with a fall at the end. Pure numbers; it neither
// counts steps nor writes them anywhere. Source: transformers 4.57, optimization.py (get_*_schedule_with_warmup).
import { PupilError } from '../base/errors';

export type ScheduleName = 'cosine' | 'linear' | 'constant';

export interface ScheduleLength {
  /** Optimiser steps of the whole phase. */
  total: number;
  /** Steps of the warm-up: step s < warmup has s / warmup of the base rate, so step 0 has 0. */
  warmup: number;
  /** Learning rate after the warm-up. */
  base: number;
}

/**
 * The learning rate in effect at `step`, counted from 0:
 *
 *     step < warmup   base · step / warmup
 *     cosine          base · ½ (1 + cos π p),  p = (step − warmup) / (total − warmup)
 *     linear          base · (total − step) / (total − warmup)
 *     constant        base
 *
 * Past the end cosine and linear stay at 0.
 *
 * @throws PupilError `config` when a length is negative or not whole.
 */
export function learningRate(schedule: ScheduleName, step: number, { total, warmup, base }: ScheduleLength): number {
  for (const [name, value] of Object.entries({ step, total, warmup })) expectSteps('learningRate', name, value);
  if (step < warmup) return base * (step / warmup);
  const decaySteps = Math.max(1, total - warmup);
  switch (schedule) {
    case 'constant':
      return base;
    case 'linear':
      return base * Math.max(0, (total - step) / decaySteps);
    case 'cosine': {
      const progress = Math.min(1, (step - warmup) / decaySteps);
      return base * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    }
  }
}

/** Steps of a warm-up given as a ratio: ⌈ratio · total⌉, as transformers' `warmup_ratio`. */
export function warmupSteps(ratio: number, total: number): number {
  return Math.ceil(ratio * total);
}

/**
 * Warm-up, a flat stretch, and a linear fall to 0 over the last `decay` steps, at `step` counted from 0:
 *
 *     step < warmup            base · step / warmup
 *     step < total − decay     base
 *     else                     base · (total − step) / decay
 *
 * Source: Hu et al. 2024, arXiv:2404.06395, §4; transformers' get_wsd_schedule with linear decay to 0.
 * @throws PupilError `config` when warm-up and decay overlap, or a length is negative or not whole.
 */
export function warmupStableDecay(
  step: number,
  { total, warmup, decay, base }: ScheduleLength & { decay: number },
): number {
  for (const [name, value] of Object.entries({ step, total, warmup, decay }))
    expectSteps('warmupStableDecay', name, value);
  if (warmup + decay > total) {
    throw new PupilError(
      'config',
      `warmupStableDecay: expected warm-up and decay to fit into ${total} steps, got ${warmup} and ${decay}`,
      'Shorten the warm-up or the decay.',
    );
  }
  if (step < warmup) return base * (step / warmup);
  return step < total - decay ? base : base * (Math.max(0, total - step) / Math.max(1, decay));
}

function expectSteps(what: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new PupilError('config', `${what}: ${name} must be a whole number of steps, got ${value}`);
  }
}
