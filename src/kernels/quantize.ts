// quantize.ts: dense weights into NF4 (single and double quantisation) and back, on the GPU. Products with NF4 weights are in
// linear.ts; the numbers are bitsandbytes', see reference/nf4.ts.
import { createDynamicMap } from '../base/nf4';
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import { expectTensor, type Arena, type Tensor } from '../gpu/tensor';
import { torchSumOrder } from '../reference/nf4';
import type { Nf4Weight } from './weights';
import nf4CodebookWgsl from '../../shaders/common/nf4_codebook.wgsl?raw';
import nf4ReciprocalWgsl from '../../shaders/common/nf4_reciprocal.wgsl?raw';
import nf4WeightWgsl from '../../shaders/common/nf4_weight.wgsl?raw';
import nf4QuantizeWgsl from '../../shaders/quant/nf4_quantize.wgsl?raw';
import nf4DequantizeWgsl from '../../shaders/quant/nf4_dequantize.wgsl?raw';
import nf4AbsmaxSumWgsl from '../../shaders/quant/nf4_absmax_sum.wgsl?raw';
import nf4AbsmaxMeanWgsl from '../../shaders/quant/nf4_absmax_mean.wgsl?raw';
import nf4AbsmaxQuantizeWgsl from '../../shaders/quant/nf4_absmax_quantize.wgsl?raw';

const QUANTIZE = kernelSource('nf4_quantize', nf4QuantizeWgsl, nf4ReciprocalWgsl);
const DEQUANTIZE = kernelSource('nf4_dequantize', nf4DequantizeWgsl, nf4CodebookWgsl, nf4WeightWgsl);
const ABSMAX_SUM = kernelSource('nf4_absmax_sum', nf4AbsmaxSumWgsl);
const ABSMAX_MEAN = kernelSource('nf4_absmax_mean', nf4AbsmaxMeanWgsl);
const ABSMAX_QUANTIZE = kernelSource('nf4_absmax_quantize', nf4AbsmaxQuantizeWgsl, nf4ReciprocalWgsl);

const BLOCK = 64;
const NESTED_BLOCK = 256;

/**
 * An empty NF4 weight (O, C) in the arena, to be filled by {@link nf4Quantize} or by writing a checkpoint's bytes. With
 * `double`, `nested` already holds the dynamic map in its first 256 values.
 */
export function makeNf4Weight(
  arena: Arena,
  label: string,
  shape: readonly [O: number, C: number],
  options: { double: boolean },
): Nf4Weight {
  const elements = shape[0] * shape[1];
  if (elements < 1 || elements >= 2 ** 32) {
    throw new PupilError(
      'shape',
      `makeNf4Weight: ${label} must have 1 to 2^32 − 1 elements, got (${shape.join(', ')})`,
    );
  }
  const blocks = Math.ceil(elements / BLOCK);
  const weight = {
    kind: 'nf4' as const,
    shape,
    blockSize: BLOCK,
    packed: arena.tensor(`${label}.packed`, [Math.ceil(elements / 2)], 'u8'),
    absmax: arena.tensor(`${label}.absmax`, [blocks], options.double ? 'u8' : 'f32'),
  };
  if (!options.double) return weight;
  const values = new Float32Array(NESTED_BLOCK + 1 + Math.ceil(blocks / NESTED_BLOCK));
  values.set(createDynamicMap());
  const nested = arena.upload(`${label}.nested`, [values.length], 'f32', values);
  return { ...weight, nested };
}

function groups(items: number): number {
  return Math.ceil(items / 64);
}

/**
 * Quantises x as bitsandbytes does: absmax per 64 elements, q = code(x·(1/absmax)); with a double weight also the absmax
 * (8 bits, blocks of 256, around their mean).
 *
 * @param tensors x f32 [O, C]
 * @param options weight from {@link makeNf4Weight}; arena for scratch of about 4.3 bytes a block (double only), free after use
 * @throws PupilError `shape`
 */
export function nf4Quantize(gpu: Gpu, tensors: { x: Tensor }, options: { weight: Nf4Weight; arena: Arena }): Command[] {
  const { x } = tensors;
  const { weight, arena } = options;
  const elements = weight.shape[0] * weight.shape[1];
  const blocks = Math.ceil(elements / BLOCK);
  expectTensor('nf4Quantize', 'x', x, weight.shape, 'f32');
  const { nested } = weight;
  const absmax = nested === undefined ? weight.absmax : arena.tensor('absmax f32', [blocks], 'f32');
  const commands: Command[] = [
    new Dispatch(gpu, QUANTIZE, {
      bind: { x, packed: weight.packed, absmax },
      constants: { ELEMENTS: elements },
      grid: () => linearGrid(gpu, groups(blocks)),
    }),
  ];
  if (nested === undefined) return commands;
  const { lanes, levelPower } = torchSumOrder(blocks);
  const strands = 4 * lanes;
  const step = 2 ** levelPower;
  const runs = Math.floor(blocks / (strands * step));
  const sums = arena.tensor('absmax sums', [Math.max(1, runs), strands], 'f32');
  const mean = arena.tensor('absmax mean', [1], 'f32');
  if (runs > 0) {
    commands.push(
      new Dispatch(gpu, ABSMAX_SUM, {
        bind: { values: absmax, sums },
        constants: { RUNS: runs, STEP: step, STRANDS: strands },
        grid: () => linearGrid(gpu, groups(runs * strands)),
      }),
    );
  }
  commands.push(
    new Dispatch(gpu, ABSMAX_MEAN, {
      bind: { values: absmax, sums, mean },
      constants: { COUNT: blocks, RUNS: runs, STEP: step, LEVEL_POWER: levelPower, LANES: lanes },
      grid: () => [1, 1, 1],
    }),
    new Dispatch(gpu, ABSMAX_QUANTIZE, {
      bind: { absmax, mean, codes: weight.absmax, nested },
      constants: { BLOCKS: blocks },
      grid: () => linearGrid(gpu, Math.ceil(blocks / NESTED_BLOCK)),
    }),
  );
  return commands;
}

/**
 * y = the weight's values: code·absmax in f32.
 *
 * @param tensors y f32 [O, C]
 * @throws PupilError `shape`
 */
export function nf4Dequantize(gpu: Gpu, tensors: { y: Tensor }, options: { weight: Nf4Weight }): Command[] {
  const { y } = tensors;
  const { weight } = options;
  const elements = weight.shape[0] * weight.shape[1];
  expectTensor('nf4Dequantize', 'y', y, weight.shape, 'f32');
  return [
    new Dispatch(gpu, DEQUANTIZE, {
      bind: {
        y,
        right: weight.packed,
        absmax: weight.absmax,
        nested: weight.nested ?? weight.absmax,
      },
      constants: { ELEMENTS: elements, DOUBLE: weight.nested !== undefined },
      grid: () => linearGrid(gpu, groups(Math.ceil(elements / 8))),
    }),
  ];
}
