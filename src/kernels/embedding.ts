// embedding.ts: token embeddings and the gradient of their table. A table larger than a binding of this adapter is used in
// parts of whole rows. The tied output head is head.ts.
import backwardWgsl from '../../shaders/common/embedding_backward.wgsl?raw';
import forwardWgsl from '../../shaders/common/embedding_forward.wgsl?raw';
import forwardF16Wgsl from '../../shaders/common/embedding_forward_f16.wgsl?raw';
import { DTYPE_BYTES } from '../base/dtypes';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, view, type Tensor } from '../gpu/tensor';
import { elementGrid } from './elementwise';
import { workgroupLanes } from './lanes';
import { bindableRanges, type RowRange } from './weights';

const FORWARD = kernelSource('embedding_forward', forwardWgsl);
const FORWARD_F16 = kernelSource('embedding_forward_f16', forwardF16Wgsl);
const BACKWARD = kernelSource('embedding_backward', backwardWgsl);

/** Ids compared in one dispatch of the backward; keeps a dispatch well below a second on slow adapters. */
const COMPARISONS_PER_DISPATCH = 2 ** 28;

interface TablePart extends RowRange {
  readonly table: Tensor;
}

/** The table as parts that this adapter can bind: whole rows, starting at multiples of 256 bytes. */
function bindableParts(gpu: Gpu, table: Tensor): TablePart[] {
  const [V, C] = table.shape as [number, number];
  if (table.sizeBytes <= gpu.limits.maxStorageBufferBindingSize) return [{ first: 0, count: V, table }];
  return bindableRanges(gpu, 'embedding', V, C * DTYPE_BYTES[table.dtype]).map(({ first, count }) => ({
    first,
    count,
    table: view(table, first * C, [count, C], `${table.label} from row ${first}`),
  }));
}

/**
 * y[n] = scale · table[ids[n]]; ids (N) u32 below V, table (V, C) f32 or f16, y (N, C) f32, N = rows.capacity. WRITES y; a row whose
 * id is V or more is left as it was. The f16 table needs no `shader-f16`. Throws `shape`.
 */
export function embeddingForward(
  gpu: Gpu,
  tensors: { ids: Tensor; table: Tensor; y: Tensor },
  options: { rows: Rows; scale?: number },
): Command[] {
  const { rows, scale = 1 } = options;
  const { ids, table, y } = tensors;
  const width = y.shape[1] ?? 0;
  expectTensor('embeddingForward', 'ids', ids, [rows.capacity], 'u32');
  expectTensor('embeddingForward', 'y', y, [rows.capacity, width], 'f32');
  expectTensor('embeddingForward', 'table', table, [-1, width], table.dtype === 'f16' ? 'f16' : 'f32');
  return bindableParts(gpu, table).map(
    (part) =>
      new Dispatch(gpu, table.dtype === 'f16' ? FORWARD_F16 : FORWARD, {
        bind: { ids, table: part.table, y },
        constants: { width, table_first: part.first, table_rows: part.count, scale },
        rows,
        grid: elementGrid(gpu, width),
      }),
  );
}

/**
 * dTable[v] += Σ_{n: ids[n] = v} dY[n], in the order of n; ids (N) u32, dY (N, C) f32, dTable (V, C) f32, N = rows.capacity.
 * ADDS into dTable; without atomics, so equal runs give equal bits. Throws `shape`.
 */
export function embeddingBackward(
  gpu: Gpu,
  tensors: { ids: Tensor; dY: Tensor; dTable: Tensor },
  options: { rows: Rows; rowsPerSlice?: number },
): Command[] {
  const { rows } = options;
  const { ids, dY, dTable } = tensors;
  const width = dY.shape[1] ?? 0;
  expectTensor('embeddingBackward', 'ids', ids, [rows.capacity], 'u32');
  expectTensor('embeddingBackward', 'dY', dY, [rows.capacity, width], 'f32');
  expectTensor('embeddingBackward', 'dTable', dTable, [-1, width], 'f32');
  const rowsPerSlice =
    options.rowsPerSlice ??
    Math.max(Math.ceil(rows.capacity / 64), Math.floor(COMPARISONS_PER_DISPATCH / rows.capacity));
  return bindableParts(gpu, dTable).map(
    (part) =>
      new Dispatch(gpu, BACKWARD, {
        bind: { ids, d_y: dY, d_table: part.table },
        constants: { lanes: workgroupLanes(gpu), width, table_first: part.first, table_rows: part.count },
        rows,
        rowsPerSlice,
        grid: (sliceRows) => linearGrid(gpu, sliceRows),
      }),
  );
}
