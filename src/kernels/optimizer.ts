// optimizer.ts: global gradient norm, AdamW and RMSprop over flat f32 buffers, in windows where a buffer exceeds a binding.
// Per-step numbers are data (hyper, maxNorm). Who owns the buffers and the step count: see optim/optimizer.ts.
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource, type KernelSource } from '../gpu/pipelines';
import { expectTensor, view, type Tensor } from '../gpu/tensor';
import adamwWgsl from '../../shaders/optim/adamw.wgsl?raw';
import finishWgsl from '../../shaders/optim/gradient_norm_finish.wgsl?raw';
import partialsWgsl from '../../shaders/optim/gradient_norm_partials.wgsl?raw';
import rmspropWgsl from '../../shaders/optim/rmsprop.wgsl?raw';
import reduceWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import { wideLanes } from './wideLanes';

const GRADIENT_NORM_PARTIALS = kernelSource('gradient_norm_partials', partialsWgsl, reduceWgsl);
const GRADIENT_NORM_FINISH = kernelSource('gradient_norm_finish', finishWgsl, reduceWgsl);
const ADAMW = kernelSource('adamw', adamwWgsl);
const RMSPROP = kernelSource('rmsprop', rmspropWgsl);

/** Numbers of `hyper`, see {@link hyperData}. */
export const HYPER_LENGTH = 12;

export interface HyperParameters {
  learningRate: number;
  weightDecay: number;
  /** AdamW only. */
  beta1: number;
  /** AdamW's β₂, RMSprop's α. */
  beta2: number;
  epsilon: number;
  /** Counts from 1: the step that is about to be taken. */
  step: number;
}

/**
 * The numbers that the kernels read, each computed in float64 and rounded once, as torch rounds its Python scalars:
 * (lr, β₁, β₂, ε, wd, 1−β₁^step, 1−β₂^step, 1−lr·wd, 1−β₁, 1−β₂, lr/(1−β₁^step), √(1−β₂^step)). The complements are data
 * because 1−β computed from a β that is already f32 would be off by 5e-5.
 */
export function hyperData(hyper: HyperParameters): Float32Array<ArrayBuffer> {
  const { learningRate, weightDecay, beta1, beta2, epsilon, step } = hyper;
  if (!Number.isInteger(step) || step < 1) {
    throw new PupilError('training', `hyperData: step must count from 1, got ${step}`);
  }
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  return Float32Array.of(
    learningRate,
    beta1,
    beta2,
    epsilon,
    weightDecay,
    correction1,
    correction2,
    1 - learningRate * weightDecay,
    1 - beta1,
    1 - beta2,
    learningRate / correction1,
    Math.sqrt(correction2),
  );
}

/** [first element, elements] of the windows into which a flat buffer must be cut to be bound; 256-byte aligned. */
export function elementWindows(gpu: Gpu, elements: number): [number, number][] {
  const most = Math.floor(gpu.limits.maxStorageBufferBindingSize / 256) * 64;
  const windows: [number, number][] = [];
  for (let first = 0; first < elements; first += most) windows.push([first, Math.min(most, elements - first)]);
  return windows;
}

/** A good size G of `partials` for E elements: a partial per 16 elements of a lane, at most 1024, one a window at least. */
export function gradientPartials(gpu: Gpu, elements: number): number {
  const useful = Math.ceil(elements / (16 * wideLanes(gpu)));
  return Math.max(elementWindows(gpu, elements).length, Math.min(1024, useful));
}

/**
 * Global norm of a flat gradient and the factor that clips it, as torch.nn.utils.clip_grad_norm_:
 * norm = √Σ gradient², scale = min(1, maxNorm / (norm + 1e-6)). The gradient itself stays; the optimiser multiplies.
 *
 * @param tensors gradient (E), partials (G) scratch, G at least the number of windows; WRITES state (4) =
 *   (norm before clipping, scale, non-finite flag, 0). Non-finite gradients, or a norm beyond f32, set flag 1, norm +∞,
 *   scale 0.
 * @param options maxNorm: f32, first element is the limit; ≤ 0 is no clipping (scale 1).
 * @throws PupilError `shape`.
 */
export function clipGradient(
  gpu: Gpu,
  tensors: { gradient: Tensor; partials: Tensor; state: Tensor },
  options: { maxNorm: Tensor },
): Command[] {
  const { gradient, partials, state } = tensors;
  expectTensor('clipGradient', 'gradient', gradient, [-1], 'f32');
  expectTensor('clipGradient', 'partials', partials, [-1], 'f32');
  expectTensor('clipGradient', 'state', state, [4], 'f32');
  expectTensor('clipGradient', 'maxNorm', options.maxNorm, [-1], 'f32');
  const lanes = wideLanes(gpu);
  const windows = elementWindows(gpu, gradient.shape[0]!);
  const perWindow = Math.min(
    Math.floor(partials.shape[0]! / Math.max(1, windows.length)),
    gpu.limits.maxComputeWorkgroupsPerDimension,
  );
  if (windows.length === 0 || perWindow < 1) {
    throw new PupilError(
      'shape',
      `clipGradient: ${gradient.shape[0]} elements need at least ${Math.max(1, windows.length)} partials, got ${partials.shape[0]}`,
      'Size partials with gradientPartials; an empty gradient has no norm.',
    );
  }
  return [
    ...windows.map(
      ([first, count], i) =>
        new Dispatch(gpu, GRADIENT_NORM_PARTIALS, {
          bind: { gradient: view(gradient, first, [count]), partials },
          constants: { lanes, FIRST_PARTIAL: i * perWindow },
          grid: () => [perWindow, 1, 1],
        }),
    ),
    new Dispatch(gpu, GRADIENT_NORM_FINISH, {
      bind: { partials, max_norm: options.maxNorm, state },
      constants: { lanes, COUNT: windows.length * perWindow },
      grid: () => [1, 1, 1],
    }),
  ];
}

function updateWindows(
  gpu: Gpu,
  source: KernelSource,
  flat: Record<string, Tensor>,
  small: { hyper: Tensor; clip_state: Tensor },
  decayElements: number,
): Command[] {
  const elements = flat['parameter']!.shape[0] ?? 0;
  for (const [name, tensor] of Object.entries(flat)) expectTensor(source.name, name, tensor, [elements], 'f32');
  expectTensor(source.name, 'hyper', small.hyper, [HYPER_LENGTH], 'f32');
  expectTensor(source.name, 'clipState', small.clip_state, [4], 'f32');
  if (!Number.isInteger(decayElements) || decayElements < 0 || decayElements > elements) {
    throw new PupilError('shape', `${source.name}: decayElements must be 0 to ${elements}, got ${decayElements}`);
  }
  const lanes = wideLanes(gpu);
  return elementWindows(gpu, elements).map(([first, count]) => {
    const views = Object.entries(flat).map(([name, tensor]) => [name, view(tensor, first, [count])] as const);
    return new Dispatch(gpu, source, {
      bind: { ...Object.fromEntries(views), ...small },
      constants: { lanes, DECAY: Math.max(0, Math.min(count, decayElements - first)) },
      grid: () => linearGrid(gpu, Math.ceil(count / lanes)),
    });
  });
}

/**
 * One AdamW step with decoupled decay, torch's arithmetic: g = scale·gradient; p ← p·(1 − lr·wd);
 * m ← m + (1−β₁)(g − m); v ← β₂v + (1−β₂)g²; p ← p − lr/bc₁ · m / (√v/√bc₂ + ε). Nothing happens when the clip state's
 * non-finite flag is set.
 *
 * @param tensors UPDATES parameter, m, v (E); reads gradient (E), hyper (12, see hyperData), clipState (4, of clipGradient).
 * @param options decayElements: the first so many elements decay.
 * @throws PupilError `shape`.
 */
export function adamw(
  gpu: Gpu,
  tensors: { parameter: Tensor; gradient: Tensor; m: Tensor; v: Tensor; hyper: Tensor; clipState: Tensor },
  options: { decayElements: number },
): Command[] {
  const { parameter, gradient, m, v, hyper, clipState } = tensors;
  const small = { hyper, clip_state: clipState };
  return updateWindows(gpu, ADAMW, { parameter, gradient, m, v }, small, options.decayElements);
}

/**
 * One RMSprop step, torch's arithmetic (not centred, no momentum): g = scale·gradient + wd·p; v ← αv + (1−α)g²;
 * p ← p − lr·g / (√v + ε). Nothing happens when the clip state's non-finite flag is set.
 *
 * @param tensors UPDATES parameter, v (E); reads gradient (E), hyper (12; α in the place of β₂), clipState (4).
 * @param options decayElements: the first so many elements decay.
 * @throws PupilError `shape`.
 */
export function rmsprop(
  gpu: Gpu,
  tensors: { parameter: Tensor; gradient: Tensor; v: Tensor; hyper: Tensor; clipState: Tensor },
  options: { decayElements: number },
): Command[] {
  const { parameter, gradient, v, hyper, clipState } = tensors;
  const small = { hyper, clip_state: clipState };
  return updateWindows(gpu, RMSPROP, { parameter, gradient, v }, small, options.decayElements);
}
