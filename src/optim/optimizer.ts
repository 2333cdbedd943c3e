// optimizer.ts: one optimiser over flat f32 buffers: owns the moments, the clip state and the per-step numbers, and knows the
// commands of a step. It does not own parameters or gradients, clears nothing, and counts no steps: the caller says which.
import { PupilError } from '../base/errors';
import type { Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Arena, Tensor } from '../gpu/tensor';
import { adamw, clipGradient, gradientPartials, HYPER_LENGTH, hyperData, rmsprop } from '../kernels/optimizer';

export type OptimizerKind = 'adamw' | 'rmsprop';

/** Defaults of torch and of the preference-training code that uses RMSprop. */
export const OPTIMIZER_DEFAULTS: Record<OptimizerKind, { beta1: number; beta2: number; epsilon: number }> = {
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  rmsprop: { beta1: 0, beta2: 0.99, epsilon: 1e-8 },
};

export interface OptimizerStep {
  learningRate: number;
  weightDecay: number;
  /** AdamW's β₁; RMSprop has none. Absent: {@link OPTIMIZER_DEFAULTS}. */
  beta1?: number;
  /** AdamW's β₂, RMSprop's α. */
  beta2?: number;
  epsilon?: number;
  /** Largest global gradient norm; 0 or less: no clipping. */
  maxNorm: number;
  /** The step about to be taken, from 1. */
  step: number;
}

/**
 * AdamW (decoupled decay) or RMSprop over flat buffers, with gradient clipping, as torch computes them.
 *
 * A step: `setStep({…})`, then submit `commands`. They read the gradient, write `clipState` = (norm before clipping, scale,
 * non-finite flag, 0), and update parameter and moments in place; with the flag set they change nothing.
 *
 * @throws PupilError `shape` when parameter and gradient differ, or decayElements exceeds them.
 */
export class Optimizer {
  /** Prepared once; replayed every step. */
  readonly commands: Command[];
  /** f32 [4]: (norm before clipping, scale, non-finite flag, 0) of the last step. */
  readonly clipState: Tensor;
  readonly kind: OptimizerKind;
  private readonly m: Tensor | undefined;
  private readonly v: Tensor;
  private readonly hyper: Tensor;
  private readonly maxNorm: Tensor;

  constructor(
    private readonly gpu: Gpu,
    arena: Arena,
    options: {
      /** (E) f32 */
      parameter: Tensor;
      /** (E) f32 */
      gradient: Tensor;
      kind: OptimizerKind;
      /** The first so many elements take weight decay. */
      decayElements: number;
    },
  ) {
    const { parameter, gradient, kind, decayElements } = options;
    const E = parameter.shape[0] ?? 0;
    this.kind = kind;
    this.m = kind === 'adamw' ? arena.tensor('optimizer m', [E]) : undefined;
    this.v = arena.tensor('optimizer v', [E]);
    this.hyper = arena.tensor('optimizer hyper', [HYPER_LENGTH]);
    this.maxNorm = arena.tensor('optimizer maxNorm', [4]);
    this.clipState = arena.tensor('optimizer clipState', [4]);
    const partials = arena.tensor('optimizer partials', [gradientPartials(gpu, E)]);
    const { hyper, clipState, v } = this;
    this.commands = [
      ...clipGradient(gpu, { gradient, partials, state: clipState }, { maxNorm: this.maxNorm }),
      ...(this.m === undefined
        ? rmsprop(gpu, { parameter, gradient, v, hyper, clipState }, { decayElements })
        : adamw(gpu, { parameter, gradient, m: this.m, v, hyper, clipState }, { decayElements })),
    ];
  }

  /** Writes the numbers of one step, bias corrections computed in float64, for the work submitted from now on. */
  setStep(step: OptimizerStep): void {
    if (!Number.isFinite(step.learningRate) || step.learningRate < 0) {
      throw new PupilError('training', `Optimizer.setStep: learningRate must be 0 or more, got ${step.learningRate}`);
    }
    this.gpu.write(this.hyper, hyperData({ ...OPTIMIZER_DEFAULTS[this.kind], ...step }));
    this.gpu.write(this.maxNorm, Float32Array.of(step.maxNorm, 0, 0, 0));
  }

  /** The moments (E) f32, to be saved with the step count and written back on resume: v, and for AdamW m. */
  state(): { m?: Tensor; v: Tensor } {
    return this.m === undefined ? { v: this.v } : { m: this.m, v: this.v };
  }
}

/** The constructor as a function of the parameters alone, as model/trainer.ts takes it. */
export function optimizer(
  kind: OptimizerKind,
): (gpu: Gpu, arena: Arena, parameters: { parameter: Tensor; gradient: Tensor; decayElements: number }) => Optimizer {
  return (gpu, arena, parameters) => new Optimizer(gpu, arena, { ...parameters, kind });
}
