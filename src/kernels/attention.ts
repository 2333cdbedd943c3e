// attention.ts: causal attention over packed sequences with grouped query heads, its backward, and attention over a
// key/value cache for decoding. Projections are linear.ts, rotations rope.ts.
import backwardDeltaWgsl from '../../shaders/attention/attention_backward_delta.wgsl?raw';
import backwardKeyValueWgsl from '../../shaders/attention/attention_backward_key_value.wgsl?raw';
import backwardKeyValueTiledWgsl from '../../shaders/attention/attention_backward_key_value_tiled.wgsl?raw';
import backwardQueryWgsl from '../../shaders/attention/attention_backward_query.wgsl?raw';
import backwardQueryTiledWgsl from '../../shaders/attention/attention_backward_query_tiled.wgsl?raw';
import decodeStreamsWgsl from '../../shaders/attention/attention_decode_streams.wgsl?raw';
import decodeWgsl from '../../shaders/attention/attention_decode.wgsl?raw';
import decodeWideWgsl from '../../shaders/attention/attention_decode_wide.wgsl?raw';
import forwardWgsl from '../../shaders/attention/attention_forward.wgsl?raw';
import forwardTiledWgsl from '../../shaders/attention/attention_forward_tiled.wgsl?raw';
import cacheWriteWgsl from '../../shaders/attention/kv_cache_write.wgsl?raw';
import safeTanhWgsl from '../../shaders/common/safe_tanh.wgsl?raw';
import scoreRulesWgsl from '../../shaders/attention/score_rules.wgsl?raw';
import tileScoresWgsl from '../../shaders/attention/tile_scores.wgsl?raw';
import tileValueProductsWgsl from '../../shaders/attention/tile_value_products.wgsl?raw';
import reductionsWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import { expectShape } from '../base/errors';
import { Dispatch, linearGrid, type Command, type Grid } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource, type Constants } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import { attentionTiling, type AttentionTiling } from './attentionTiling';
import { dispatchBound } from './dispatchBound';
import { elementGrid } from './elementwise';
import { workgroupLanes } from './lanes';

const FORWARD = kernelSource('attention_forward', forwardWgsl, reductionsWgsl, safeTanhWgsl, scoreRulesWgsl);
const FORWARD_TILED = kernelSource(
  'attention_forward_tiled',
  forwardTiledWgsl,
  safeTanhWgsl,
  scoreRulesWgsl,
  tileScoresWgsl,
);
const BACKWARD_DELTA = kernelSource('attention_backward_delta', backwardDeltaWgsl);
const BACKWARD_QUERY = kernelSource('attention_backward_query', backwardQueryWgsl, safeTanhWgsl, scoreRulesWgsl);
const BACKWARD_QUERY_TILED = kernelSource(
  'attention_backward_query_tiled',
  backwardQueryTiledWgsl,
  safeTanhWgsl,
  scoreRulesWgsl,
  tileScoresWgsl,
  tileValueProductsWgsl,
);
const BACKWARD_KEY_VALUE = kernelSource(
  'attention_backward_key_value',
  backwardKeyValueWgsl,
  safeTanhWgsl,
  scoreRulesWgsl,
);
const BACKWARD_KEY_VALUE_TILED = kernelSource(
  'attention_backward_key_value_tiled',
  backwardKeyValueTiledWgsl,
  safeTanhWgsl,
  scoreRulesWgsl,
  tileScoresWgsl,
  tileValueProductsWgsl,
);
const CACHE_WRITE = kernelSource('kv_cache_write', cacheWriteWgsl);
const DECODE = kernelSource('attention_decode', decodeWgsl, reductionsWgsl, safeTanhWgsl, scoreRulesWgsl);
const DECODE_STREAMS = kernelSource('attention_decode_streams', decodeStreamsWgsl, safeTanhWgsl, scoreRulesWgsl);
const DECODE_WIDE = kernelSource('attention_decode_wide', decodeWideWgsl, reductionsWgsl, safeTanhWgsl, scoreRulesWgsl);

/** Multiply-adds in one dispatch at the most, on any adapter; one that was measured to be slow takes fewer. */
const OPERATIONS_PER_DISPATCH = 2 ** 31;

/** Keys that decoding meets between two reductions. */
const DECODE_KEY_TILE = 256;

export interface AttentionOptions {
  rows: Rows;
  /** H, query heads. */
  heads: number;
  /** Hkv, key/value heads; divides H. */
  kvHeads: number;
  /** K */
  headSize: number;
  /** Keys that a query sees at the most, its own token's included. All of its sequence by default. */
  window?: number | undefined;
  /** Factor on q·k. 1/√K by default. */
  scale?: number | undefined;
  /** Bounds scores: s = softcap·tanh(q·k·scale/softcap). None by default. */
  softcap?: number | undefined;
}

export interface AttentionTrainingOptions extends AttentionOptions {
  /** Cut the work like this; 'none' for the kernels that take any head size. By default what suits the adapter. */
  tiling?: AttentionTiling | 'none';
  /** Rows in one dispatch at the most. By default so many that a dispatch stays short on slow adapters. */
  rowsPerSlice?: number;
}

function expectHeads(op: string, { heads, kvHeads, headSize, window, scale, softcap }: AttentionOptions): void {
  expectShape(
    [heads, kvHeads, headSize].every((n) => Number.isInteger(n) && n > 0) && heads % kvHeads === 0,
    () => `${op}: heads must be a multiple of kvHeads, got heads ${heads}, kvHeads ${kvHeads}, headSize ${headSize}`,
  );
  expectShape(
    window === undefined || (Number.isInteger(window) && window > 0),
    () => `${op}: window must be a whole number of keys, at least 1, got ${window}`,
  );
  for (const [name, value] of Object.entries({ scale, softcap })) {
    expectShape(
      value === undefined || (Number.isFinite(value) && value > 0),
      () => `${op}: ${name} must be a number above 0, got ${value}`,
    );
  }
}

/** What the kernels are compiled for; score_rules.wgsl holds the defaults of what is absent. */
function kernelConstants({ heads, kvHeads, headSize, window, scale, softcap }: AttentionOptions): Constants {
  return {
    heads,
    kv_heads: kvHeads,
    head_size: headSize,
    ...(window === undefined ? {} : { window: Math.min(window, 0xffffffff) }),
    ...(scale === undefined ? {} : { scale }),
    ...(softcap === undefined ? {} : { softcap }),
  };
}

/** Rows a dispatch may take when each row can meet every other row of its window; at most 128 slices; whole tiles of 64 rows. */
function boundedRows(
  gpu: Gpu,
  rows: Rows,
  { heads, headSize, window = Infinity, rowsPerSlice }: AttentionTrainingOptions,
  operations: number,
): number {
  if (rowsPerSlice !== undefined) return rowsPerSlice;
  const perRow = operations * heads * headSize * Math.min(rows.capacity, window);
  const most = Math.max(rows.capacity / 128, Math.min(OPERATIONS_PER_DISPATCH, dispatchBound(gpu)) / perRow);
  return Math.ceil(most / 64) * 64;
}

function tilingOf(gpu: Gpu, { tiling, headSize }: AttentionTrainingOptions): AttentionTiling | undefined {
  if (tiling === 'none') return undefined;
  return tiling ?? attentionTiling(gpu, headSize);
}

/** One workgroup per (tile of rows, head). */
function tileGrid(gpu: Gpu, tiling: AttentionTiling, heads: number): (rows: number) => Grid {
  return (rows) => linearGrid(gpu, Math.ceil(rows / (4 * tiling.groups)) * heads);
}

/**
 * y[n, h] = Σ_j softmax_j(s(q[n, h]·k[j, g])) · v[j, g] over j in [sequenceStart[n], n] with n − j < window, g = h / (H/Hkv);
 * the score s(p) is p·scale, with a softcap softcap·tanh(p·scale/softcap);
 * q, y (N, H·K), k, v (N, Hkv·K), logsumexp (N, H) f32, sequenceStart (N) u32, N = rows.capacity. Tokens of a sequence are
 * consecutive rows. WRITES y and logsumexp (natural log, of the scores). Throws `shape`.
 */
export function attentionForward(
  gpu: Gpu,
  tensors: { q: Tensor; k: Tensor; v: Tensor; sequenceStart: Tensor; y: Tensor; logsumexp: Tensor },
  options: AttentionTrainingOptions,
): Command[] {
  const { rows, heads, kvHeads, headSize } = options;
  const { q, k, v, sequenceStart, y, logsumexp } = tensors;
  const op = 'attentionForward';
  expectHeads(op, options);
  for (const name of ['q', 'y'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, heads * headSize], 'f32');
  }
  for (const name of ['k', 'v'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, kvHeads * headSize], 'f32');
  }
  expectTensor(op, 'sequenceStart', sequenceStart, [rows.capacity], 'u32');
  expectTensor(op, 'logsumexp', logsumexp, [rows.capacity, heads], 'f32');
  const bind = { q, k, v, sequence_start: sequenceStart, y, logsumexp };
  const sizes = kernelConstants(options);
  const rowsPerSlice = boundedRows(gpu, rows, options, 2);
  const tiling = tilingOf(gpu, options);
  if (tiling === undefined) {
    const constants = { ...sizes, lanes: workgroupLanes(gpu) };
    const grid = (sliceRows: number): Grid => linearGrid(gpu, sliceRows * heads);
    return [new Dispatch(gpu, FORWARD, { bind, constants, rows, rowsPerSlice, grid })];
  }
  return [
    new Dispatch(gpu, FORWARD_TILED, {
      bind,
      constants: {
        ...sizes,
        lanes: tiling.lanes,
        query_groups: tiling.groups,
        key_tile: tiling.tile,
        parts: Math.max(1, Math.floor(tiling.lanes / tiling.groups)),
      },
      rows,
      rowsPerSlice,
      grid: tileGrid(gpu, tiling, heads),
    }),
  ];
}

/**
 * Gradients of {@link attentionForward}; q, y, dY, dQ (N, H·K), k, v, dK, dV (N, Hkv·K), logsumexp (N, H) as the forward left
 * it, delta (N, H) scratch; f32; sequenceStart and sequenceEnd (N) u32, the end exclusive and at most rows.count. WRITES
 * delta, dQ, dK and dV; without atomics, so equal runs give equal bits. Throws `shape`.
 */
export function attentionBackward(
  gpu: Gpu,
  tensors: {
    q: Tensor;
    k: Tensor;
    v: Tensor;
    sequenceStart: Tensor;
    sequenceEnd: Tensor;
    y: Tensor;
    logsumexp: Tensor;
    dY: Tensor;
    delta: Tensor;
    dQ: Tensor;
    dK: Tensor;
    dV: Tensor;
  },
  options: AttentionTrainingOptions,
): Command[] {
  const { rows, heads, kvHeads, headSize } = options;
  const { q, k, v, sequenceStart, sequenceEnd, y, logsumexp, dY, delta, dQ, dK, dV } = tensors;
  const op = 'attentionBackward';
  expectHeads(op, options);
  for (const name of ['q', 'y', 'dY', 'dQ'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, heads * headSize], 'f32');
  }
  for (const name of ['k', 'v', 'dK', 'dV'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, kvHeads * headSize], 'f32');
  }
  for (const name of ['sequenceStart', 'sequenceEnd'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity], 'u32');
  }
  for (const name of ['logsumexp', 'delta'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, heads], 'f32');
  }
  const sizes = kernelConstants(options);
  const queryBind = { q, k, v, sequence_start: sequenceStart, logsumexp, delta, d_y: dY, d_q: dQ };
  const keyValueBind = { q, k, v, sequence_end: sequenceEnd, logsumexp, delta, d_y: dY, d_k: dK, d_v: dV };
  const deltaDispatch = new Dispatch(gpu, BACKWARD_DELTA, {
    bind: { y, d_y: dY, delta },
    constants: { heads, head_size: headSize },
    rows,
    grid: elementGrid(gpu, heads),
  });
  const queryRows = boundedRows(gpu, rows, options, 3);
  const keyValueRows = boundedRows(gpu, rows, options, 4);
  const tiling = tilingOf(gpu, options);
  if (tiling === undefined) {
    const constants = { ...sizes, lanes: workgroupLanes(gpu) };
    return [
      deltaDispatch,
      new Dispatch(gpu, BACKWARD_QUERY, {
        bind: queryBind,
        constants,
        rows,
        rowsPerSlice: queryRows,
        grid: (sliceRows) => linearGrid(gpu, sliceRows * heads),
      }),
      new Dispatch(gpu, BACKWARD_KEY_VALUE, {
        bind: keyValueBind,
        constants,
        rows,
        rowsPerSlice: keyValueRows,
        grid: (sliceRows) => linearGrid(gpu, sliceRows * kvHeads),
      }),
    ];
  }
  const { lanes, groups, tile } = tiling;
  return [
    deltaDispatch,
    new Dispatch(gpu, BACKWARD_QUERY_TILED, {
      bind: queryBind,
      constants: { ...sizes, lanes, query_groups: groups, key_tile: tile },
      rows,
      rowsPerSlice: queryRows,
      grid: tileGrid(gpu, tiling, heads),
    }),
    new Dispatch(gpu, BACKWARD_KEY_VALUE_TILED, {
      bind: keyValueBind,
      constants: { ...sizes, lanes, key_groups: groups, query_tile: tile },
      rows,
      rowsPerSlice: keyValueRows,
      grid: tileGrid(gpu, tiling, kvHeads),
    }),
  ];
}

/**
 * keyCache[slots[n]] = k[n], valueCache[slots[n]] = v[n]; k, v (N, C), caches (S, C) f32 with C = width = Hkv·K, slots (N) u32,
 * N = rows.capacity. WRITES the named rows; a slot of S or more is skipped. Throws `shape`.
 */
export function kvCacheWrite(
  gpu: Gpu,
  tensors: { k: Tensor; v: Tensor; slots: Tensor; keyCache: Tensor; valueCache: Tensor },
  options: { rows: Rows; width: number },
): Command[] {
  const { rows, width } = options;
  const { k, v, slots, keyCache, valueCache } = tensors;
  const op = 'kvCacheWrite';
  for (const name of ['k', 'v'] as const) expectTensor(op, name, tensors[name], [rows.capacity, width], 'f32');
  expectTensor(op, 'slots', slots, [rows.capacity], 'u32');
  expectTensor(op, 'keyCache', keyCache, [-1, width], 'f32');
  expectTensor(op, 'valueCache', valueCache, [keyCache.shape[0]!, width], 'f32');
  return [
    new Dispatch(gpu, CACHE_WRITE, {
      bind: { k, v, slots, key_cache: keyCache, value_cache: valueCache },
      constants: { width, cache_rows: keyCache.shape[0]! },
      rows,
      grid: elementGrid(gpu, width),
    }),
  ];
}

/**
 * Attention of one new token a sequence over its rows of the caches, cacheStarts[b] and the following, lengths[b] of them
 * and at most cacheCapacity, the new token's own included; q, y (B, H·K), caches (S, Hkv·K) f32, lengths and cacheStarts (B)
 * u32, B = rows.capacity. With a window the last `window` of them. WRITES y (zeros where the length is 0). Throws `shape`.
 */
export function attentionDecode(
  gpu: Gpu,
  tensors: { q: Tensor; keyCache: Tensor; valueCache: Tensor; lengths: Tensor; cacheStarts: Tensor; y: Tensor },
  options: AttentionOptions & { cacheCapacity: number },
): Command[] {
  const { rows, heads, kvHeads, headSize, cacheCapacity } = options;
  const { q, keyCache, valueCache, lengths, cacheStarts, y } = tensors;
  const op = 'attentionDecode';
  expectHeads(op, options);
  for (const name of ['q', 'y'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity, heads * headSize], 'f32');
  }
  expectTensor(op, 'keyCache', keyCache, [-1, kvHeads * headSize], 'f32');
  expectTensor(op, 'valueCache', valueCache, [keyCache.shape[0]!, kvHeads * headSize], 'f32');
  for (const name of ['lengths', 'cacheStarts'] as const) {
    expectTensor(op, name, tensors[name], [rows.capacity], 'u32');
  }
  const bind = { q, key_cache: keyCache, value_cache: valueCache, lengths, cache_starts: cacheStarts, y };
  const lanes = workgroupLanes(gpu);
  const constants = { ...kernelConstants(options), cache_capacity: cacheCapacity, lanes };
  const grid = (sliceRows: number): Grid => linearGrid(gpu, sliceRows * heads);
  if (headSize % 4 !== 0) return [new Dispatch(gpu, DECODE, { bind, constants, rows, grid })];
  if (headSize % 16 === 0 && gpu.adapter.software) {
    return [new Dispatch(gpu, DECODE_STREAMS, { bind, constants, rows, grid })];
  }
  const parts = Math.max(1, Math.floor((4 * lanes) / headSize));
  return [
    new Dispatch(gpu, DECODE_WIDE, { bind, constants: { ...constants, key_tile: DECODE_KEY_TILE, parts }, rows, grid }),
  ];
}
