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

/**
 * y = weight · x · r with r = 1/√(mean(x²) + ε) per row (Zhang, Sennrich 2019); x, y (N, C), weight (C), inverseRms (N) f32,
 * N = rows.capacity. WRITES y and inverseRms. Throws `shape`.
 */
export function rmsnormForward(
  gpu: Gpu,
  tensors: { x: Tensor; weight: Tensor; y: Tensor; inverseRms: Tensor },
  options: { rows: Rows; epsilon: number },
): Command[] {
  const { rows, epsilon } = options;
  const { x, weight, y, inverseRms } = tensors;
  const width = x.shape[1] ?? 0;
  expectTensor('rmsnormForward', 'x', x, [rows.capacity, width], 'f32');
  expectTensor('rmsnormForward', 'weight', weight, [width], 'f32');
  expectTensor('rmsnormForward', 'y', y, [rows.capacity, width], 'f32');
  expectTensor('rmsnormForward', 'inverseRms', inverseRms, [rows.capacity], 'f32');
  return [
    new Dispatch(gpu, FORWARD, {
      bind: { x, weight, y, inverse_rms: inverseRms },
      constants: { width, epsilon, lanes: workgroupLanes(gpu) },
      rows,
      grid: (sliceRows) => linearGrid(gpu, sliceRows),
    }),
  ];
}

/**
 * dX += ∂L/∂x of {@link rmsnormForward}; x, dY, dX (N, C), weight (C), inverseRms (N) as the forward left it; f32.
 * ADDS into dX. Throws `shape`.
 */
export function rmsnormBackwardInput(
  gpu: Gpu,
  tensors: { x: Tensor; weight: Tensor; inverseRms: Tensor; dY: Tensor; dX: Tensor },
  options: { rows: Rows },
): Command[] {
  const { rows } = options;
  const { x, weight, inverseRms, dY, dX } = tensors;
  const width = x.shape[1] ?? 0;
  expectTensor('rmsnormBackwardInput', 'x', x, [rows.capacity, width], 'f32');
  expectTensor('rmsnormBackwardInput', 'weight', weight, [width], 'f32');
  expectTensor('rmsnormBackwardInput', 'inverseRms', inverseRms, [rows.capacity], 'f32');
  expectTensor('rmsnormBackwardInput', 'dY', dY, [rows.capacity, width], 'f32');
  expectTensor('rmsnormBackwardInput', 'dX', dX, [rows.capacity, width], 'f32');
  return [
    new Dispatch(gpu, BACKWARD_INPUT, {
      bind: { x, weight, inverse_rms: inverseRms, d_y: dY, d_x: dX },
      constants: { width, lanes: workgroupLanes(gpu) },
      rows,
      grid: (sliceRows) => linearGrid(gpu, sliceRows),
    }),
  ];
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
