// elementwise.ts: sums of tensors, biases, and picking and placing of rows. It is not the place for activations (swiglu.ts).
import gatherWgsl from '../../shaders/common/elementwise_gather.wgsl?raw';
import scatterWgsl from '../../shaders/common/elementwise_scatter.wgsl?raw';
import addWgsl from '../../shaders/common/elementwise_add.wgsl?raw';
import addBiasWgsl from '../../shaders/common/add_bias.wgsl?raw';
import addIntoWgsl from '../../shaders/common/elementwise_add_into.wgsl?raw';
import { Dispatch, linearGrid, type Command, type Grid } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';

const ADD = kernelSource('elementwise_add', addWgsl);
const ADD_INTO = kernelSource('elementwise_add_into', addIntoWgsl);
const ADD_BIAS = kernelSource('add_bias', addBiasWgsl);
const GATHER = kernelSource('elementwise_gather', gatherWgsl);
const SCATTER = kernelSource('elementwise_scatter', scatterWgsl);

export interface RowsAndWidth {
  rows: Rows;
  /** Elements of a row. */
  width: number;
}

/** The grid of kernels with one invocation an element in workgroups of 64. */
export function elementGrid(gpu: Gpu, elementsPerRow: number): (rows: number) => Grid {
  return (rows) => linearGrid(gpu, Math.ceil((rows * elementsPerRow) / 64));
}

/**
 * y = a + b for the rows in use; a, b, y (N, C) f32, N = rows.capacity, C = width. WRITES y, which must be a buffer of its
 * own. Throws `shape` where a tensor does not fit.
 */
export function add(gpu: Gpu, tensors: { a: Tensor; b: Tensor; y: Tensor }, options: RowsAndWidth): Command[] {
  const { rows, width } = options;
  for (const name of ['a', 'b', 'y'] as const) expectTensor('add', name, tensors[name], [rows.capacity, width], 'f32');
  const { a, b, y } = tensors;
  return [new Dispatch(gpu, ADD, { bind: { a, b, y }, constants: { width }, rows, grid: elementGrid(gpu, width) })];
}

/** y += x for the rows in use; x, y (N, C) f32. ADDS into y. Throws `shape`. */
export function addInto(gpu: Gpu, tensors: { x: Tensor; y: Tensor }, options: RowsAndWidth): Command[] {
  const { rows, width } = options;
  for (const name of ['x', 'y'] as const) expectTensor('addInto', name, tensors[name], [rows.capacity, width], 'f32');
  const { x, y } = tensors;
  return [new Dispatch(gpu, ADD_INTO, { bind: { x, y }, constants: { width }, rows, grid: elementGrid(gpu, width) })];
}

/** y[n] += bias for the rows in use; y (N, O), bias (O) f32, O = width. ADDS into y. Throws `shape`. */
export function addBias(gpu: Gpu, tensors: { bias: Tensor; y: Tensor }, options: RowsAndWidth): Command[] {
  const { rows, width } = options;
  const { bias, y } = tensors;
  expectTensor('addBias', 'bias', bias, [width], 'f32');
  expectTensor('addBias', 'y', y, [rows.capacity, width], 'f32');
  return [
    new Dispatch(gpu, ADD_BIAS, { bind: { bias, y }, constants: { width }, rows, grid: elementGrid(gpu, width) }),
  ];
}

/**
 * y[m] = x[index[m]] for the picks in use; x (N, C) f32, index (M) u32, y (M, C) f32, M = rows.capacity. WRITES y. Indices
 * must be below N (not checked on the GPU). Throws `shape`.
 */
export function gatherRows(
  gpu: Gpu,
  tensors: { x: Tensor; index: Tensor; y: Tensor },
  options: RowsAndWidth,
): Command[] {
  const { rows, width } = options;
  const { x, index, y } = tensors;
  expectTensor('gatherRows', 'x', x, [-1, width], 'f32');
  expectTensor('gatherRows', 'index', index, [rows.capacity], 'u32');
  expectTensor('gatherRows', 'y', y, [rows.capacity, width], 'f32');
  return [
    new Dispatch(gpu, GATHER, { bind: { x, index, y }, constants: { width }, rows, grid: elementGrid(gpu, width) }),
  ];
}

/**
 * y[index[m]] = x[m] for the rows in use; x (M, C) f32, index (M) u32 distinct and below N, y (N, C) f32, M = rows.capacity.
 * WRITES only the named rows: clear y first where it is the gradient of {@link gatherRows}. Throws `shape`.
 */
export function scatterRows(
  gpu: Gpu,
  tensors: { x: Tensor; index: Tensor; y: Tensor },
  options: RowsAndWidth,
): Command[] {
  const { rows, width } = options;
  const { x, index, y } = tensors;
  expectTensor('scatterRows', 'x', x, [rows.capacity, width], 'f32');
  expectTensor('scatterRows', 'index', index, [rows.capacity], 'u32');
  expectTensor('scatterRows', 'y', y, [-1, width], 'f32');
  return [
    new Dispatch(gpu, SCATTER, { bind: { x, index, y }, constants: { width }, rows, grid: elementGrid(gpu, width) }),
  ];
}
