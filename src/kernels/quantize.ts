// quantize.ts: dense weights, whole or chunk by chunk as a checkpoint stores them, into NF4 (single and double quantisation)
// and back, on the GPU. Products with NF4 weights are in linear.ts; the numbers are bitsandbytes', see reference/nf4.ts.
import { createDynamicMap } from '../base/nf4';
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import { expectTensor, view, type Arena, type Tensor } from '../gpu/tensor';
import type { StoredDtype } from '../reference/decode';
import { torchSumOrder } from '../reference/nf4';
import { CHUNK_STEP_ELEMENTS, expectChunk, storedKernels, type StoredChunk } from './decode';
import type { Nf4Weight } from './weights';
import nf4CodebookWgsl from '../../shaders/common/nf4_codebook.wgsl?raw';
import nf4ReciprocalWgsl from '../../shaders/common/nf4_reciprocal.wgsl?raw';
import nf4WeightWgsl from '../../shaders/common/nf4_weight.wgsl?raw';
import nf4QuantizeWgsl from '../../shaders/quant/nf4_quantize.wgsl?raw';
import nf4DequantizeWgsl from '../../shaders/quant/nf4_dequantize.wgsl?raw';
import nf4AbsmaxSumWgsl from '../../shaders/quant/nf4_absmax_sum.wgsl?raw';
import nf4AbsmaxMeanWgsl from '../../shaders/quant/nf4_absmax_mean.wgsl?raw';
import nf4AbsmaxQuantizeWgsl from '../../shaders/quant/nf4_absmax_quantize.wgsl?raw';

const QUANTIZE = storedKernels('nf4_quantize', nf4QuantizeWgsl, nf4ReciprocalWgsl);
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
 * Quantises a chunk of a weight as bitsandbytes does: absmax per 64 elements, q = code(x·(1/absmax)). Elements that are not
 * finite are marked in `chunk`, and what is written for their block means nothing.
 *
 * @param tensors the chunk, which says how many elements it has; absmax f32 [blocks of the whole weight]: its own where it is
 *   quantised once, else scratch for {@link nf4QuantizeAbsmax}
 * @param options weight from {@link makeNf4Weight}; dtype of the stored bytes; first, the chunk's first element in the weight,
 *   a multiple of {@link CHUNK_STEP_ELEMENTS}; elements
 * @throws PupilError `shape`
 */
export function nf4QuantizeChunk(
  gpu: Gpu,
  tensors: StoredChunk & { absmax: Tensor },
  options: { weight: Nf4Weight; dtype: StoredDtype; first: number; elements: number },
): Command[] {
  const { stored, chunk, absmax } = tensors;
  const { weight, dtype, first, elements } = options;
  expectChunk('nf4QuantizeChunk', tensors, dtype, elements);
  if (first % CHUNK_STEP_ELEMENTS !== 0) {
    throw new PupilError(
      'shape',
      `nf4QuantizeChunk: a chunk begins at a multiple of ${CHUNK_STEP_ELEMENTS} elements, got ${first}`,
    );
  }
  const blocks = Math.ceil(elements / BLOCK);
  return [
    new Dispatch(gpu, QUANTIZE[dtype], {
      bind: {
        stored,
        chunk,
        packed: view(weight.packed, first / 2, [Math.ceil(elements / 2)]),
        absmax: view(absmax, first / BLOCK, [blocks]),
      },
      grid: () => linearGrid(gpu, groups(blocks)),
    }),
  ];
}

/** Values of scratch that {@link nf4QuantizeAbsmax} takes for so many blocks: partial sums, and the mean. */
export function absmaxScratch(blocks: number): { runs: number; strands: number; elements: number } {
  const { lanes, levelPower } = torchSumOrder(blocks);
  const strands = 4 * lanes;
  const runs = Math.floor(blocks / (strands * 2 ** levelPower));
  return { runs, strands, elements: Math.max(1, runs) * strands + 1 };
}

/**
 * The second quantisation: absmax in 8 bits, blocks of 256, around their mean.
 *
 * @param tensors absmax f32 [blocks], all of them written by {@link nf4QuantizeChunk}
 * @param options a double weight; arena for scratch of about 0.3 bytes a block, free after use
 * @throws PupilError `shape`
 */
export function nf4QuantizeAbsmax(
  gpu: Gpu,
  tensors: { absmax: Tensor },
  options: { weight: Nf4Weight; arena: Arena },
): Command[] {
  const { absmax } = tensors;
  const { weight, arena } = options;
  const { nested } = weight;
  if (nested === undefined) {
    throw new PupilError('shape', 'nf4QuantizeAbsmax: expected a double weight, this one is quantised once');
  }
  const blocks = Math.ceil((weight.shape[0] * weight.shape[1]) / BLOCK);
  expectTensor('nf4QuantizeAbsmax', 'absmax', absmax, [blocks], 'f32');
  const { lanes, levelPower } = torchSumOrder(blocks);
  const { runs, strands } = absmaxScratch(blocks);
  const step = 2 ** levelPower;
  const sums = arena.tensor('absmax sums', [Math.max(1, runs), strands], 'f32');
  const mean = arena.tensor('absmax mean', [1], 'f32');
  const commands: Command[] = [];
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
 * Quantises x whole: one chunk, and with a double weight its absmax.
 *
 * @param tensors x f32 [O, C], finite
 * @param options weight from {@link makeNf4Weight}; arena for scratch (8 bytes; about 4.3 bytes a block where double), free
 *   after use
 * @throws PupilError `shape`
 */
export function nf4Quantize(gpu: Gpu, tensors: { x: Tensor }, options: { weight: Nf4Weight; arena: Arena }): Command[] {
  const { x } = tensors;
  const { weight, arena } = options;
  const elements = weight.shape[0] * weight.shape[1];
  expectTensor('nf4Quantize', 'x', x, weight.shape, 'f32');
  const chunk = {
    stored: view(x, 0, [elements], x.label, 'u32'),
    chunk: arena.upload('chunk', [2], 'u32', Uint32Array.of(elements, 0)),
  };
  if (weight.nested === undefined) {
    const { absmax } = weight;
    return nf4QuantizeChunk(gpu, { ...chunk, absmax }, { weight, dtype: 'f32', first: 0, elements });
  }
  const absmax = arena.tensor('absmax f32', [Math.ceil(elements / BLOCK)], 'f32');
  return [
    ...nf4QuantizeChunk(gpu, { ...chunk, absmax }, { weight, dtype: 'f32', first: 0, elements }),
    ...nf4QuantizeAbsmax(gpu, { absmax }, { weight, arena }),
  ];
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
