// rope.ts: rotary position embedding: its tables, made on the CPU in f64, and the rotation on the GPU. WGSL's own sin and
// cos are good to 2⁻¹¹ only and are never used.
import ropeWgsl from '../../shaders/attention/rope.wgsl?raw';
import { expectShape } from '../base/errors';
import type { RopeRule } from '../formats/families/family';
import { Dispatch, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import { elementGrid } from './elementwise';

const ROPE = kernelSource('rope', ropeWgsl);

/**
 * The angle per position of each pair i < K/2: θ^(−2i/K), corrected where the checkpoint asks for it.
 * Source of the corrections: transformers 4.57, modeling_rope_utils.py.
 */
export function ropeFrequencies(headSize: number, { theta, scaling }: RopeRule): Float64Array {
  expectShape(
    Number.isInteger(headSize) && headSize > 0 && headSize % 2 === 0,
    () => `ropeTables: the head size must be even, got ${headSize}`,
  );
  const frequencies = new Float64Array(headSize / 2);
  for (let i = 0; i < frequencies.length; i++) {
    const plain = theta ** (-(2 * i) / headSize);
    frequencies[i] = plain;
    if (scaling === undefined) continue;
    if (scaling.kind === 'linear') {
      frequencies[i] = plain / scaling.factor;
      continue;
    }
    const wavelength = (2 * Math.PI) / plain;
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = scaling;
    if (wavelength > original / lowFreqFactor) frequencies[i] = plain / factor;
    else if (wavelength >= original / highFreqFactor) {
      const smooth = (original / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
      frequencies[i] = ((1 - smooth) * plain) / factor + smooth * plain;
    }
  }
  return frequencies;
}

/**
 * cos and sin of position · {@link ropeFrequencies} (Su et al. 2021, arXiv:2104.09864), each (maxPositions, K/2), computed in f64 and
 * rounded once. Throws `shape` for an odd head size.
 */
export function ropeTables(
  maxPositions: number,
  headSize: number,
  rule: RopeRule,
): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const frequencies = ropeFrequencies(headSize, rule);
  const half = frequencies.length;
  const cos = new Float32Array(maxPositions * half);
  const sin = new Float32Array(maxPositions * half);
  for (let position = 0; position < maxPositions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Rotates each pair (i, i + K/2) of each head by its position's angle, in place; x (N, H·K) f32, positions (N) u32 below P,
 * cos and sin (P, K/2) f32 from {@link ropeTables}, N = rows.capacity. `inverse` rotates back, which is the backward.
 * UPDATES x. Throws `shape`.
 */
export function rope(
  gpu: Gpu,
  tensors: { x: Tensor; positions: Tensor; cos: Tensor; sin: Tensor },
  options: { rows: Rows; heads: number; headSize: number; inverse?: boolean },
): Command[] {
  const { rows, heads, headSize, inverse } = options;
  const { x, positions, cos, sin } = tensors;
  expectShape(headSize % 2 === 0, () => `rope: the head size must be even, got ${headSize}`);
  const half = headSize / 2;
  expectTensor('rope', 'x', x, [rows.capacity, heads * headSize], 'f32');
  expectTensor('rope', 'positions', positions, [rows.capacity], 'u32');
  expectTensor('rope', 'cos', cos, [-1, half], 'f32');
  expectTensor('rope', 'sin', sin, [cos.shape[0]!, half], 'f32');
  return [
    new Dispatch(gpu, ROPE, {
      bind: { x, positions, cos_table: cos, sin_table: sin },
      constants: { heads, half_size: half, direction: inverse === true ? -1 : 1 },
      rows,
      grid: elementGrid(gpu, heads * half),
    }),
  ];
}
