// rmsnorm.ts: RMSNorm and its two gradients. The residual additions around it are elementwise.ts.
import reductionsWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import backwardInputWgsl from '../../shaders/norm/rmsnorm_backward_input.wgsl?raw';
import backwardWeightWgsl from '../../shaders/norm/rmsnorm_backward_weight.wgsl?raw';
import forwardWgsl from '../../shaders/norm/rmsnorm_forward.wgsl?raw';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import { workgroupLanes } from './lanes';

const FORWARD = kernelSource('rmsnorm_forward', forwardWgsl, reductionsWgsl);
const BACKWARD_INPUT = kernelSource('rmsnorm_backward_input', backwardInputWgsl, reductionsWgsl);
const BACKWARD_WEIGHT = kernelSource('rmsnorm_backward_weight', backwardWeightWgsl);

/** H groups of C columns, each normalised by itself: queries and keys per head. 1 where absent: whole rows. */
interface Groups {
  heads?: number;
}

/**
 * y = weight · x · r with r = 1/√(mean(x²) + ε) per row and group (Zhang, Sennrich 2019); x, y (N, H·C), weight (C),
 * inverseRms (N·H elements) f32, N = rows.capacity. WRITES y and inverseRms. Throws `shape`.
 */
export function rmsnormForward(
  gpu: Gpu,
  tensors: { x: Tensor; weight: Tensor; y: Tensor; inverseRms: Tensor },
  options: { rows: Rows; epsilon: number } & Groups,
): Command[] {
  const { rows, epsilon, heads = 1 } = options;
  const { x, weight, y, inverseRms } = tensors;
  const width = expectGroups('rmsnormForward', { x, y }, weight, inverseRms, rows, heads);
  return [
    new Dispatch(gpu, FORWARD, {
      bind: { x, weight, y, inverse_rms: inverseRms },
      constants: { width, heads, epsilon, lanes: workgroupLanes(gpu) },
      rows,
      grid: (sliceRows) => linearGrid(gpu, sliceRows * heads),
    }),
  ];
}

/**
 * dX += ∂L/∂x of {@link rmsnormForward}; x, dY, dX (N, H·C), weight (C), inverseRms as the forward left it; f32.
 * ADDS into dX, or WRITES it where `accumulate` is false. Throws `shape`.
 */
export function rmsnormBackwardInput(
  gpu: Gpu,
  tensors: { x: Tensor; weight: Tensor; inverseRms: Tensor; dY: Tensor; dX: Tensor },
  options: { rows: Rows; accumulate?: boolean } & Groups,
): Command[] {
  const { rows, heads = 1, accumulate = true } = options;
  const { x, weight, inverseRms, dY, dX } = tensors;
  const width = expectGroups('rmsnormBackwardInput', { x, dY, dX }, weight, inverseRms, rows, heads);
  return [
    new Dispatch(gpu, BACKWARD_INPUT, {
      bind: { x, weight, inverse_rms: inverseRms, d_y: dY, d_x: dX },
      constants: { width, heads, accumulate, lanes: workgroupLanes(gpu) },
      rows,
      grid: (sliceRows) => linearGrid(gpu, sliceRows * heads),
    }),
  ];
}

/** Returns C. */
function expectGroups(
  op: string,
  wide: Record<string, Tensor>,
  weight: Tensor,
  inverseRms: Tensor,
  rows: Rows,
  heads: number,
): number {
  const width = weight.shape[0] ?? 0;
  expectTensor(op, 'weight', weight, [width], 'f32');
  for (const [name, tensor] of Object.entries(wide)) {
    expectTensor(op, name, tensor, [rows.capacity, heads * width], 'f32');
  }
  expectTensor(op, 'inverseRms', inverseRms, heads === 1 ? [rows.capacity] : [rows.capacity, heads], 'f32');
  return width;
}

/**
 * dWeight[c] += Σ_n dY[n, c] · x[n, c] · inverseRms[n]; x, dY (N, C), inverseRms (N), dWeight (C) f32. ADDS into dWeight, in
 * a fixed order. Throws `shape`.
 */
export function rmsnormBackwardWeight(
  gpu: Gpu,
  tensors: { x: Tensor; inverseRms: Tensor; dY: Tensor; dWeight: Tensor },
  options: { rows: Rows },
): Command[] {
  const { rows } = options;
  const { x, inverseRms, dY, dWeight } = tensors;
  const width = x.shape[1] ?? 0;
  expectTensor('rmsnormBackwardWeight', 'x', x, [rows.capacity, width], 'f32');
  expectTensor('rmsnormBackwardWeight', 'inverseRms', inverseRms, [rows.capacity], 'f32');
  expectTensor('rmsnormBackwardWeight', 'dY', dY, [rows.capacity, width], 'f32');
  expectTensor('rmsnormBackwardWeight', 'dWeight', dWeight, [width], 'f32');
  return [
    new Dispatch(gpu, BACKWARD_WEIGHT, {
      bind: { x, inverse_rms: inverseRms, d_y: dY, d_weight: dWeight },
      constants: { width },
      rows,
      grid: () => linearGrid(gpu, Math.ceil(width / 32)),
    }),
  ];
}
