// swiglu.ts: the gated activation of the feed-forward block (SwiGLU, GeGLU) and its backward. The linear layers around it are linear.ts.
import safeTanhWgsl from '../../shaders/common/safe_tanh.wgsl?raw';
import backwardWgsl from '../../shaders/common/swiglu_backward.wgsl?raw';
import forwardWgsl from '../../shaders/common/swiglu_forward.wgsl?raw';
import { Dispatch, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import { elementGrid } from './elementwise';

const FORWARD = kernelSource('swiglu_forward', forwardWgsl, safeTanhWgsl);
const BACKWARD = kernelSource('swiglu_backward', backwardWgsl, safeTanhWgsl);

/** SiLU (SwiGLU), or GELU's tanh approximation (GeGLU). SiLU where absent. */
interface Activated {
  rows: Rows;
  activation?: 'silu' | 'gelu-tanh';
}

/**
 * y = act(gate) · up (Shazeer 2020, arXiv:2002.05202); gate, up, y (N, F) f32, N = rows.capacity. WRITES y.
 * Throws `shape`.
 */
export function swigluForward(
  gpu: Gpu,
  tensors: { gate: Tensor; up: Tensor; y: Tensor },
  options: Activated,
): Command[] {
  const { rows, activation } = options;
  const { gate, up, y } = tensors;
  const width = gate.shape[1] ?? 0;
  for (const name of ['gate', 'up', 'y'] as const) {
    expectTensor('swigluForward', name, tensors[name], [rows.capacity, width], 'f32');
  }
  return [
    new Dispatch(gpu, FORWARD, {
      bind: { gate, up, y },
      constants: { width, gelu: activation === 'gelu-tanh' },
      rows,
      grid: elementGrid(gpu, width),
    }),
  ];
}

/**
 * dUp = dY · act(gate); dGate = dY · up · act′(gate); all (N, F) f32, buffers of their own. WRITES dGate and dUp.
 * Throws `shape`.
 */
export function swigluBackward(
  gpu: Gpu,
  tensors: { gate: Tensor; up: Tensor; dY: Tensor; dGate: Tensor; dUp: Tensor },
  options: Activated,
): Command[] {
  const { rows, activation } = options;
  const { gate, up, dY, dGate, dUp } = tensors;
  const width = gate.shape[1] ?? 0;
  for (const name of ['gate', 'up', 'dY', 'dGate', 'dUp'] as const) {
    expectTensor('swigluBackward', name, tensors[name], [rows.capacity, width], 'f32');
  }
  return [
    new Dispatch(gpu, BACKWARD, {
      bind: { gate, up, d_y: dY, d_gate: dGate, d_up: dUp },
      constants: { width, gelu: activation === 'gelu-tanh' },
      rows,
      grid: elementGrid(gpu, width),
    }),
  ];
}
