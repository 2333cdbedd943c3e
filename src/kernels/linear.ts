// linear.ts: matrix products of activations with a weight, and their two derivatives, over dense f32, dense f16 and NF4
// weights, one too large for a binding of the adapter in parts of whole rows. It checks shapes and binds; which variant is linearChoice.ts, the shaders are put together in linearKernels.ts.
import { DTYPE_BYTES } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command, type Grid } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Constants } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, view, type Tensor } from '../gpu/tensor';
import { dispatchBound, standingBound } from './dispatchBound';
import { pickVariant } from './linearChoice';
import { linearSource, tileOf, type LinearOperation } from './linearKernels';
import { bindableRanges, weightRows, type DenseWeight, type LinearWeight } from './weights';

const MAX_SLICES = 64;

export interface ProductOptions {
  rows: Rows;
  accumulate: boolean;
  /** Factor on the product. 1 by default. */
  alpha?: number;
  /** Rows of one dispatch; chosen to bound its work by default. */
  rowsPerSlice?: number;
  /** Elements from row to row, where the left operand or the result is columns of a wider matrix. */
  leftStride?: number;
  outStride?: number;
  /** Blocks of the whole NF4 weight before the first of `right`, which is a part of it. */
  firstBlock?: number;
}

/** One product, any operation and weight. The exported functions below and LoRA are its users. */
export function product(
  gpu: Gpu,
  operation: LinearOperation,
  tensors: { left: Tensor; right: LinearWeight; out: Tensor },
  options: ProductOptions,
): Command[] {
  const { left, right, out } = tensors;
  const { leftStride, outStride, firstBlock = 0 } = options;
  const leftWidth = left.shape[1]!;
  const rightWidth = right.shape[1];
  const outWidth = out.shape[1]!;
  if (right.kind === 'f16' && !gpu.features.f16) {
    throw new PupilError(
      'gpu-feature-missing',
      `linear: an f16 weight (${right.shape.join(', ')}) needs shader-f16, which this adapter does not offer`,
      'Use tier f32.',
    );
  }
  const variant = pickVariant(gpu, operation, { capacity: options.rows.capacity, terms: leftWidth });
  const lanes = gpu.features.subgroupSize;
  const outRows = operation === 'backward_weight' ? out.shape[0]! : options.rows.capacity;
  const tile = tileOf(variant, lanes, outRows);
  const kernel = linearSource({
    operation,
    variant,
    tile,
    lanes,
    right: right.kind,
    // A part that is not the last has a multiple of 64 columns, and the last as many beyond as the whole.
    widths: { left: leftStride ?? leftWidth, right: rightWidth, out: outStride ?? outWidth },
  });
  const bind: Record<string, Tensor | GPUBuffer> = {
    left,
    out,
    right: right.kind === 'nf4' ? right.packed : right.data,
    product: productUniform(gpu, leftWidth, rightWidth, outWidth, options),
  };
  const constants: Constants = {
    ...(leftStride === undefined ? {} : { LEFT_STRIDE: leftStride }),
    ...(outStride === undefined ? {} : { OUT_STRIDE: outStride }),
    ...(firstBlock === 0 ? {} : { FIRST_BLOCK: firstBlock }),
  };
  if (right.kind === 'nf4') {
    constants.DOUBLE = right.nested !== undefined;
    bind.absmax = right.absmax;
    bind.nested = right.nested ?? right.absmax;
  }
  const columnTiles = Math.ceil(outWidth / tile.columns);
  const grid = (rows: number): Grid => {
    const rowTiles = Math.ceil((operation === 'backward_weight' ? outRows : rows) / tile.rows);
    if (variant !== 'few_rows') return [columnTiles, rowTiles, 1];
    const [x, y] = linearGrid(gpu, columnTiles);
    return [x, y, rowTiles];
  };
  return [
    new Dispatch(gpu, kernel, {
      bind,
      constants,
      rows: options.rows,
      rowsPerSlice:
        options.rowsPerSlice ?? rowsPerSlice(workBound(gpu, operation), options.rows, leftWidth * outWidth, tile.rows),
      grid,
      label: `${kernel.name} ${right.kind} (${options.rows.capacity}, ${leftWidth}, ${outWidth})`,
    }),
  ];
}

/** Sizes and factor of a product as shaders/linear/product.wgsl declares them. */
function productUniform(
  gpu: Gpu,
  leftWidth: number,
  rightWidth: number,
  outWidth: number,
  options: ProductOptions,
): GPUBuffer {
  const words = Uint32Array.of(leftWidth, rightWidth, outWidth, options.accumulate ? 1 : 0, 0);
  new Float32Array(words.buffer)[4] = options.alpha ?? 1;
  return gpu.uniform(words);
}

/**
 * Multiply-adds of one dispatch at the most: as measured on this adapter. Of the gradient of a weight what stands, since its
 * slices are parts of one sum: where they are cut shows in the last bits.
 */
function workBound(gpu: Gpu, operation: LinearOperation): number {
  return operation === 'backward_weight' ? standingBound(gpu) : dispatchBound(gpu);
}

/** Rows of one dispatch: a tile's rows times a power of two (so that layers share slicings), and not too many slices. */
function rowsPerSlice(most: number, rows: Rows, multiplyAddsPerRow: number, tileRows: number): number {
  let slice = tileRows;
  while (slice < rows.capacity && (2 * slice * multiplyAddsPerRow <= most || slice * MAX_SLICES < rows.capacity)) {
    slice *= 2;
  }
  return Math.max(1, Math.min(slice, rows.capacity));
}

function expectWeight(op: string, weight: LinearWeight): readonly [number, number] {
  const [O, C] = weight.shape;
  if (weight.kind === 'nf4') {
    if (weight.blockSize !== 64) {
      throw new PupilError('shape', `${op}: NF4 blocks must have 64 elements, got ${weight.blockSize}`);
    }
    expectTensor(op, 'weight.packed', weight.packed, [Math.ceil((O * C) / 2)], 'u8');
  } else {
    expectTensor(op, 'weight', weight.data, [O, C], weight.kind);
  }
  return weight.shape;
}

/** Parts begin at columns of y or dY that are multiples of so many: 256 bytes, which every offset of a binding needs. */
const COLUMN_ALIGNMENT = 64;

/** Rows [first, first + weight.shape[0]) of a weight. */
interface WeightPart {
  readonly weight: LinearWeight;
  readonly first: number;
  /** NF4: blocks before the part. */
  readonly firstBlock: number;
}

/** A weight as parts that this adapter can bind: itself where it can. */
function bindableParts(gpu: Gpu, op: string, weight: LinearWeight): WeightPart[] {
  const [O, C] = weight.shape;
  const data = weight.kind === 'nf4' ? weight.packed : weight.data;
  if (data.sizeBytes <= gpu.limits.maxStorageBufferBindingSize) return [{ weight, first: 0, firstBlock: 0 }];
  // 256 bytes of NF4 are eight whole blocks. Its absmax stay in one binding: they take an eighth of the bytes.
  const rowBytes = C * (weight.kind === 'nf4' ? 0.5 : DTYPE_BYTES[weight.kind]);
  return bindableRanges(gpu, `${op}: ${data.label}`, O, rowBytes, COLUMN_ALIGNMENT).map(({ first, count }) => ({
    weight: weightRows(weight, first, count),
    first,
    firstBlock: weight.kind === 'nf4' ? (first * C) / weight.blockSize : 0,
  }));
}

/** Columns [first, first + count) of a matrix; its rows stay as far apart as they are. */
function columns(matrix: Tensor, first: number, count: number): Tensor {
  const skipped = first * DTYPE_BYTES[matrix.dtype];
  return {
    ...matrix,
    offset: matrix.offset + skipped,
    sizeBytes: matrix.sizeBytes - skipped,
    shape: [matrix.shape[0]!, count],
  };
}

/**
 * y = x·Wᵀ, or y += x·Wᵀ with `accumulate`.
 *
 * @param tensors x f32 [N, C], y f32 [N, O]; only rows < rows.count are read and written
 * @param options weight (O, C): dense f32, dense f16 or NF4, of any size; cut, it gives the same bits
 * @throws PupilError `shape`, e.g. "linearForward: x must be (512, 64) f32, got (512, 60) f32"
 */
export function linearForward(
  gpu: Gpu,
  tensors: { x: Tensor; y: Tensor },
  options: { rows: Rows; weight: LinearWeight; accumulate?: boolean; rowsPerSlice?: number },
): Command[] {
  const { x, y } = tensors;
  const { rows, weight } = options;
  const [O, C] = expectWeight('linearForward', weight);
  expectTensor('linearForward', 'x', x, [rows.capacity, C], 'f32');
  expectTensor('linearForward', 'y', y, [rows.capacity, O], 'f32');
  const given = { rows, accumulate: options.accumulate ?? false, ...slicing(options) };
  const parts = bindableParts(gpu, 'linearForward', weight);
  if (parts.length === 1) return product(gpu, 'forward', { left: x, right: weight, out: y }, given);
  return parts.flatMap(({ weight: right, first, firstBlock }) =>
    product(
      gpu,
      'forward',
      { left: x, right, out: columns(y, first, right.shape[0]) },
      { ...given, outStride: O, firstBlock },
    ),
  );
}

/**
 * dX = dY·W, or dX += dY·W with `accumulate`: the gradient of a linear layer's input, through a frozen or trained weight.
 *
 * @param tensors dY f32 [N, O], dX f32 [N, C]
 * @param options weight (O, C): dense f32, dense f16 or NF4, of any size; cut, its parts' shares of a sum are rounded one by one
 * @throws PupilError `shape`
 */
export function linearBackwardInput(
  gpu: Gpu,
  tensors: { dY: Tensor; dX: Tensor },
  options: { rows: Rows; weight: LinearWeight; accumulate?: boolean; rowsPerSlice?: number },
): Command[] {
  const { dY, dX } = tensors;
  const { rows, weight } = options;
  const [O, C] = expectWeight('linearBackwardInput', weight);
  expectTensor('linearBackwardInput', 'dY', dY, [rows.capacity, O], 'f32');
  expectTensor('linearBackwardInput', 'dX', dX, [rows.capacity, C], 'f32');
  const given = { rows, accumulate: options.accumulate ?? false, ...slicing(options) };
  const parts = bindableParts(gpu, 'linearBackwardInput', weight);
  if (parts.length === 1) return product(gpu, 'backward_input', { left: dY, right: weight, out: dX }, given);
  return parts.flatMap(({ weight: right, first, firstBlock }, i) =>
    product(
      gpu,
      'backward_input',
      { left: columns(dY, first, right.shape[0]), right, out: dX },
      { ...given, accumulate: given.accumulate || i > 0, leftStride: O, firstBlock },
    ),
  );
}

/**
 * dW += dYᵀ·x: the gradient of a dense weight. ADDS: clear dW once per optimiser step.
 *
 * @param tensors x f32 [N, C], dY f32 [N, O], dW f32 [O, C]
 * @throws PupilError `shape`
 */
export function linearBackwardWeight(
  gpu: Gpu,
  tensors: { x: Tensor; dY: Tensor; dW: Tensor },
  options: { rows: Rows; rowsPerSlice?: number },
): Command[] {
  const { x, dY, dW } = tensors;
  const { rows } = options;
  expectTensor('linearBackwardWeight', 'dW', dW, [-1, -1], 'f32');
  const [O, C] = dW.shape as [number, number];
  expectTensor('linearBackwardWeight', 'x', x, [rows.capacity, C], 'f32');
  expectTensor('linearBackwardWeight', 'dY', dY, [rows.capacity, O], 'f32');
  const given = { rows, accumulate: true, ...slicing(options) };
  const right = activations(x);
  const parts = bindableParts(gpu, 'linearBackwardWeight', { kind: 'f32', shape: [O, C], data: dW });
  if (parts.length === 1) return product(gpu, 'backward_weight', { left: dY, right, out: dW }, given);
  return parts.flatMap(({ weight, first }) => {
    const [count] = weight.shape;
    const tensors = { left: columns(dY, first, count), right, out: view(dW, first * C, [count, C]) };
    return product(gpu, 'backward_weight', tensors, { ...given, leftStride: O });
  });
}

function slicing(options: { rowsPerSlice?: number }): { rowsPerSlice?: number } {
  return options.rowsPerSlice === undefined ? {} : { rowsPerSlice: options.rowsPerSlice };
}

/** Activations (N, C) as the right operand of a weight's gradient. */
export function activations(x: Tensor): DenseWeight {
  return { kind: 'f32', shape: [x.shape[0]!, x.shape[1]!], data: x };
}
