// attention.ts: cases of the attention kernels: packed sequences of very different lengths, grouped query heads, odd head
// sizes, rows behind the count, sliding windows, softcaps.
import { attentionBackward, attentionDecode, attentionForward, kvCacheWrite } from '../../kernels/attention';
import * as reference from '../../reference/attention';
import type { CaseFamily, KernelCase } from '../harness';
import { integers, normals, packedSequences, padded, rowsInUse } from './samples';

interface Pack extends reference.AttentionSizes {
  lengths: number[];
  /** Rows of the tensors; the packed tokens by default. */
  capacity?: number;
  /** Standard deviation of queries and keys; large ones make sharp softmaxes. */
  spread?: number;
  /** Rows in one dispatch. */
  rowsPerSlice?: number;
  why: string;
}

const PACKS: Pack[] = [
  { lengths: [1], heads: 1, kvHeads: 1, headSize: 1, why: 'one token, one number' },
  { lengths: [7], heads: 1, kvHeads: 1, headSize: 5, why: 'odd head size' },
  { lengths: [1, 67, 2, 1, 5], heads: 6, kvHeads: 2, headSize: 16, why: 'very different lengths in one pack' },
  { lengths: [33, 9], heads: 8, kvHeads: 4, headSize: 64, capacity: 50, why: 'rows behind the count stay untouched' },
  { lengths: [3, 70], heads: 2, kvHeads: 1, headSize: 80, why: 'head size no power of two' },
  { lengths: [20], heads: 2, kvHeads: 2, headSize: 128, spread: 3, why: 'sharp softmax' },
  { lengths: [130], heads: 2, kvHeads: 1, headSize: 8, why: 'several tiles of keys' },
  { lengths: [40, 23], heads: 2, kvHeads: 1, headSize: 8, rowsPerSlice: 12, why: 'slices of 12 rows' },
  { lengths: [10, 9], heads: 2, kvHeads: 1, headSize: 3, rowsPerSlice: 4, why: 'slices of 4 rows, any head size' },
  { lengths: [17, 16], heads: 3, kvHeads: 1, headSize: 33, capacity: 35, why: 'odd everything' },
  { lengths: [9, 30], heads: 2, kvHeads: 1, headSize: 256, why: 'the largest head size' },
  { lengths: [4, 37], heads: 2, kvHeads: 1, headSize: 8, window: 1, why: 'every token sees itself alone' },
  { lengths: [9, 30], heads: 2, kvHeads: 1, headSize: 12, window: 1000, why: 'a window wider than the text' },
  { lengths: [3, 150, 40], heads: 4, kvHeads: 2, headSize: 8, window: 37, why: 'the window crosses tiles' },
  { lengths: [80, 5, 70], heads: 2, kvHeads: 2, headSize: 16, window: 32, why: 'the window is one tile' },
  { lengths: [70, 2, 33], heads: 3, kvHeads: 1, headSize: 7, window: 5, why: 'a window, any head size' },
  { lengths: [66, 21], heads: 2, kvHeads: 1, headSize: 8, window: 20, rowsPerSlice: 12, why: 'a window in slices' },
  { lengths: [5, 40], heads: 2, kvHeads: 1, headSize: 20, scale: 0.4, why: 'a scale of its own' },
  { lengths: [33, 9], heads: 6, kvHeads: 2, headSize: 16, softcap: 2, why: 'a softcap that bends the scores' },
  { lengths: [17, 20], heads: 2, kvHeads: 1, headSize: 13, softcap: 2, scale: 0.3, why: 'a softcap, any head size' },
  { lengths: [20], heads: 2, kvHeads: 1, headSize: 32, softcap: 3, spread: 9, why: 'scores far beyond the softcap' },
  { lengths: [40], heads: 2, kvHeads: 1, headSize: 32, softcap: 1e4, why: 'a softcap far beyond the scores' },
  {
    lengths: [70, 9],
    heads: 4,
    kvHeads: 2,
    headSize: 256,
    window: 48,
    scale: 256 ** -0.5,
    softcap: 50,
    capacity: 81,
    why: 'as Gemma 2',
  },
];

function claimOf({ lengths, why, ...sizes }: Pack): string {
  return `lengths ${lengths.join('+')}, ${sizesOf(sizes)}: ${why}`;
}

function sizesOf({ heads, kvHeads, headSize, window, scale, softcap }: reference.AttentionSizes): string {
  const rules = Object.entries({ window, scale, softcap }).filter(([, value]) => value !== undefined);
  return [`(H,Hkv,K)=(${heads},${kvHeads},${headSize})`, ...rules.map(([name, value]) => `${name} ${value}`)].join(
    ', ',
  );
}

/** The sizes alone, as kernels and reference take them. */
function attentionSizes({ heads, kvHeads, headSize, window, scale, softcap }: Pack): reference.AttentionSizes {
  return { heads, kvHeads, headSize, window, scale, softcap };
}

function packCases(pack: Pack): KernelCase[] {
  const { lengths, heads, kvHeads, headSize, spread = 1 } = pack;
  const name = claimOf(pack);
  const { start, end } = packedSequences(lengths);
  const N = start.length;
  const capacity = pack.capacity ?? N;
  const qWidth = heads * headSize;
  const kWidth = kvHeads * headSize;
  const q = normals(`q ${name}`, N * qWidth, spread);
  const k = normals(`k ${name}`, N * kWidth, spread);
  const v = normals(`v ${name}`, N * kWidth);
  const dY = normals(`dY ${name}`, N * qWidth);
  const forward = reference.attentionForward(q, k, v, start, pack);
  const y = forward.y.map(Math.fround);
  const backward = reference.attentionBackward(q, k, v, start, dY, pack);
  const slicing = pack.rowsPerSlice === undefined ? {} : { rowsPerSlice: pack.rowsPerSlice };
  const sizes = attentionSizes(pack);
  const longest = Math.min(Math.max(...lengths), pack.window ?? Infinity); // keys that a query meets
  // exp turns an absolute error of the score (√K·ε·|s|) into a relative one of the weight.
  const sumLength = (longest + headSize) * (1 + spread ** 4);
  // A lone token's weight is 1 whatever its score: dP − δ is 0 in exact numbers, and a fused product leaves its rounding.
  // Not spread into arguments: a worker's stack has no room for them.
  const largest = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const lone = {
    atol: 2 ** -23 * headSize * largest(dY) * largest(v) * Math.max(largest(q), largest(k)),
    rtol: 0,
    reason: 'the gradient is a difference of two equal numbers',
  };
  const ofScores = longest === 1 ? { tolerance: lone } : {};
  const inputs = {
    q: { shape: [capacity, qWidth], data: padded(q, capacity * qWidth) },
    k: { shape: [capacity, kWidth], data: padded(k, capacity * kWidth) },
    v: { shape: [capacity, kWidth], data: padded(v, capacity * kWidth) },
    sequenceStart: { shape: [capacity], dtype: 'u32' as const, data: padded(start, capacity, 0) },
  };
  return [
    {
      kernel: 'attention_forward',
      name,
      inputs,
      outputs: {
        y: { shape: [capacity, qWidth], expected: padded(forward.y, capacity * qWidth), sumLength },
        logsumexp: { shape: [capacity, heads], expected: padded(forward.logsumexp, capacity * heads), sumLength },
      },
      commands: (gpu, { q, k, v, sequenceStart, y, logsumexp }, arena) =>
        attentionForward(
          gpu,
          { q: q!, k: k!, v: v!, sequenceStart: sequenceStart!, y: y!, logsumexp: logsumexp! },
          { rows: rowsInUse(gpu, arena, capacity, N), ...sizes, ...slicing },
        ),
    },
    {
      kernel: 'attention_backward',
      name,
      inputs: {
        ...inputs,
        sequenceEnd: { shape: [capacity], dtype: 'u32', data: padded(end, capacity, 0xffffffff) },
        y: { shape: [capacity, qWidth], data: padded(y, capacity * qWidth) },
        logsumexp: { shape: [capacity, heads], data: padded(forward.logsumexp, capacity * heads) },
        dY: { shape: [capacity, qWidth], data: padded(dY, capacity * qWidth) },
      },
      outputs: {
        delta: { shape: [capacity, heads], expected: padded(backward.delta, capacity * heads), sumLength },
        dQ: { shape: [capacity, qWidth], expected: padded(backward.dQ, capacity * qWidth), sumLength, ...ofScores },
        dK: {
          shape: [capacity, kWidth],
          expected: padded(backward.dK, capacity * kWidth),
          sumLength: (sumLength * heads) / kvHeads,
          ...ofScores,
        },
        dV: {
          shape: [capacity, kWidth],
          expected: padded(backward.dV, capacity * kWidth),
          sumLength: (sumLength * heads) / kvHeads,
        },
      },
      commands: (gpu, t, arena) =>
        attentionBackward(
          gpu,
          {
            q: t.q!,
            k: t.k!,
            v: t.v!,
            sequenceStart: t.sequenceStart!,
            sequenceEnd: t.sequenceEnd!,
            y: t.y!,
            logsumexp: t.logsumexp!,
            dY: t.dY!,
            delta: t.delta!,
            dQ: t.dQ!,
            dK: t.dK!,
            dV: t.dV!,
          },
          { rows: rowsInUse(gpu, arena, capacity, N), ...sizes, ...slicing },
        ),
    },
  ];
}

function decodeCase(
  why: string,
  lengths: number[],
  capacity: number,
  cacheCapacity: number,
  sizes: reference.AttentionSizes,
): KernelCase {
  const { heads, kvHeads, headSize } = sizes;
  const B = lengths.length;
  const name = `lengths ${lengths.join(',')} of ${cacheCapacity}, ${sizesOf(sizes)}: ${why}`;
  const qWidth = heads * headSize;
  const kWidth = kvHeads * headSize;
  const q = normals(`q ${name}`, B * qWidth);
  const keyCache = normals(`keys ${name}`, capacity * cacheCapacity * kWidth);
  // Later keys are larger, so the running maximum moves from tile to tile.
  for (let i = 0; i < keyCache.length; i++) {
    const place = Math.floor(i / kWidth) % cacheCapacity;
    keyCache[i] = Math.fround(keyCache[i]! * (1 + (place / 100) ** 2));
  }
  const valueCache = normals(`values ${name}`, capacity * cacheCapacity * kWidth);
  // Sequences lie in the caches in another order than in the batch.
  const cacheStarts = Array.from({ length: capacity }, (_, b) => (capacity - 1 - b) * cacheCapacity);
  for (let b = 0; b < capacity; b++) {
    // Rows not yet written may hold anything.
    const from = (cacheStarts[b]! + (lengths[b] ?? 0)) * kWidth;
    const to = (cacheStarts[b]! + cacheCapacity) * kWidth;
    keyCache.fill(NaN, from, to);
    valueCache.fill(NaN, from, to);
  }
  return {
    kernel: 'attention_decode',
    name,
    inputs: {
      q: { shape: [capacity, qWidth], data: padded(q, capacity * qWidth) },
      keyCache: { shape: [capacity * cacheCapacity, kWidth], data: keyCache },
      valueCache: { shape: [capacity * cacheCapacity, kWidth], data: valueCache },
      lengths: { shape: [capacity], dtype: 'u32', data: padded(lengths, capacity, 0) },
      cacheStarts: { shape: [capacity], dtype: 'u32', data: cacheStarts },
    },
    outputs: {
      y: {
        shape: [capacity, qWidth],
        expected: padded(
          reference.attentionDecode(q, keyCache, valueCache, lengths, cacheStarts, sizes),
          capacity * qWidth,
        ),
        sumLength: 2 * (Math.max(...lengths) + headSize),
      },
    },
    commands: (gpu, { q, keyCache, valueCache, lengths, cacheStarts, y }, arena) =>
      attentionDecode(
        gpu,
        {
          q: q!,
          keyCache: keyCache!,
          valueCache: valueCache!,
          lengths: lengths!,
          cacheStarts: cacheStarts!,
          y: y!,
        },
        { rows: rowsInUse(gpu, arena, capacity, B), cacheCapacity, ...sizes },
      ),
  };
}

const DECODED_RULES: [why: string, sizes: reference.AttentionSizes][] = [
  ['the new token sees itself alone', { heads: 2, kvHeads: 1, headSize: 16, window: 1 }],
  ['a window, any head size', { heads: 3, kvHeads: 1, headSize: 5, window: 70 }],
  ['a window, vec4', { heads: 2, kvHeads: 1, headSize: 8, window: 270 }],
  ['a window, whole matrices of 16', { heads: 4, kvHeads: 2, headSize: 32, window: 65 }],
  ['a window wider than the cache', { heads: 2, kvHeads: 2, headSize: 16, window: 4096 }],
  ['a softcap, any head size', { heads: 2, kvHeads: 1, headSize: 5, softcap: 3 }],
  ['a softcap and a scale, vec4', { heads: 2, kvHeads: 1, headSize: 12, softcap: 3, scale: 0.2 }],
  ['as Gemma 2', { heads: 2, kvHeads: 1, headSize: 256, softcap: 50, scale: 256 ** -0.5, window: 128 }],
];

function cacheWriteCase(why: string, slots: number[], S: number, C: number, capacity: number): KernelCase {
  const N = slots.length;
  const name = `slots ${slots.join(',')} of ${S}, C=${C}: ${why}`;
  const k = normals(`k ${name}`, N * C);
  const v = normals(`v ${name}`, N * C);
  const place = (values: Float64Array): Float64Array => {
    const cache = new Float64Array(S * C).fill(NaN);
    slots.forEach((slot, n) => {
      if (slot < S) cache.set(values.subarray(n * C, (n + 1) * C), slot * C);
    });
    return cache;
  };
  return {
    kernel: 'kv_cache_write',
    name,
    inputs: {
      k: { shape: [capacity, C], data: padded(k, capacity * C) },
      v: { shape: [capacity, C], data: padded(v, capacity * C) },
      slots: { shape: [capacity], dtype: 'u32', data: padded(slots, capacity, 0) },
    },
    outputs: {
      keyCache: { shape: [S, C], expected: place(k) },
      valueCache: { shape: [S, C], expected: place(v) },
    },
    commands: (gpu, { k, v, slots, keyCache, valueCache }, arena) =>
      kvCacheWrite(
        gpu,
        { k: k!, v: v!, slots: slots!, keyCache: keyCache!, valueCache: valueCache! },
        { rows: rowsInUse(gpu, arena, capacity, N), width: C },
      ),
  };
}

/** Attention forward, backward and decode against f64. */
export const attentionCases: CaseFamily = {
  family: 'attention',
  cases: () => [
    ...PACKS.flatMap(packCases),
    decodeCase('one key', [1], 1, 1, { heads: 1, kvHeads: 1, headSize: 1 }),
    decodeCase('odd head size', [3, 7], 2, 7, { heads: 2, kvHeads: 1, headSize: 5 }),
    decodeCase('very different lengths', [1, 100, 17], 3, 101, { heads: 8, kvHeads: 4, headSize: 16 }),
    decodeCase('rows behind the count stay untouched', [30, 2], 4, 40, { heads: 6, kvHeads: 2, headSize: 64 }),
    decodeCase('length 0 gives zeros', [0, 65], 2, 70, { heads: 2, kvHeads: 1, headSize: 80 }),
    decodeCase('large heads', [66, 5], 2, 70, { heads: 2, kvHeads: 2, headSize: 128 }),
    decodeCase('several tiles of keys', [300, 257, 5], 3, 300, { heads: 2, kvHeads: 1, headSize: 8 }),
    decodeCase('several tiles of keys, whole matrices of 16', [300, 257, 5, 64, 129], 5, 300, {
      heads: 4,
      kvHeads: 2,
      headSize: 32,
    }),
    ...DECODED_RULES.map(([why, sizes]) => decodeCase(why, [300, 1, 129, 0, 64], 5, 300, sizes)),
    cacheWriteCase('one element', [0], 1, 1, 1),
    cacheWriteCase('odd width, a slot outside is skipped', [6, 9, 2], 7, 33, 3),
    cacheWriteCase('rows behind the count are not written', integersOnce(2, 12), 12, 64, 5),
  ],
};

function integersOnce(count: number, bound: number): number[] {
  return [...new Set(integers('slots', 4 * count, bound))].slice(0, count);
}
