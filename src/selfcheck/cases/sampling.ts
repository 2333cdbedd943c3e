// sampling.ts: cases of drawing the next token: greedy and drawn, every filter, awkward vocabularies, finished rows. Tokens
// are compared exactly: the same draw must give the same token as float64 does.
import { RandomStream } from '../../base/random';
import { Rows } from '../../gpu/rows';
import { sampleTokens } from '../../kernels/sampling';
import { sampleRow, type DecodeRow, type SamplingRule } from '../../reference/sampling';
import type { CaseFamily, KernelCase } from '../harness';

interface Shape {
  B: number;
  used?: number;
  V: number;
  rule: SamplingRule;
  maxNewTokens?: number;
  cacheCapacity?: number;
  eosIds?: number[];
  /** Logits rounded to multiples of 1/ties, so that many are equal. */
  ties?: number;
  /** Rows that have ended before. */
  ended?: number[];
  /** Logits that are not as drawn: value by row and index. */
  put?: [row: number, index: number, value: number][];
  /** The first logits lie this close together, above all others. */
  near?: number;
  why: string;
}

const ALL = { topK: 0, topP: 1 };
/** Rows 0 to 2 get some, but for one, and all logits −∞; row 3 +∞; row 4 NaN; row 5 −0 and 0 as the largest. */
const NOT_FINITE: [number, number, number][] = [
  ...[0, 5, 17].map((i): [number, number, number] => [0, i, -Infinity]),
  ...Array.from({ length: 17 }, (_, i): [number, number, number] => [1, i < 6 ? i : i + 1, -Infinity]),
  ...Array.from({ length: 18 }, (_, i): [number, number, number] => [2, i, -Infinity]),
  [3, 9, Infinity],
  [4, 11, NaN],
  ...Array.from({ length: 18 }, (_, i): [number, number, number] => [5, i, i === 4 ? -0 : i === 8 ? 0 : -1 - i]),
];

const SHAPES: Shape[] = [
  { B: 1, V: 1, rule: { temperature: 0, ...ALL }, why: 'one token, greedy' },
  { B: 1, V: 1, rule: { temperature: 0.7, topK: 1, topP: 0.5 }, why: 'one token, drawn' },
  { B: 5, V: 257, rule: { temperature: 0, ...ALL }, why: 'greedy' },
  { B: 5, V: 600, ties: 1, rule: { temperature: 0, ...ALL }, why: 'greedy, ties: the lowest index' },
  { B: 33, V: 257, rule: { temperature: 1, ...ALL }, why: 'temperature 1' },
  { B: 9, V: 3, rule: { temperature: 0.1, ...ALL }, why: 'fewer tokens than lanes, temperature 0.1' },
  { B: 16, V: 1009, rule: { temperature: 0.7, topK: 40, topP: 1 }, why: 'top-k 40' },
  { B: 16, V: 300, rule: { temperature: 0.7, topK: 1, topP: 1 }, why: 'top-k 1' },
  { B: 16, V: 300, rule: { temperature: 0.7, topK: 300, topP: 1 }, why: 'top-k of everything' },
  { B: 16, V: 1009, rule: { temperature: 1.3, topK: 0, topP: 0.9 }, why: 'top-p 0.9' },
  { B: 16, V: 257, rule: { temperature: 1, topK: 0, topP: 1e-6 }, why: 'top-p next to nothing: the largest' },
  { B: 16, V: 515, ties: 2, rule: { temperature: 1, topK: 20, topP: 0.8 }, why: 'ties at the edge of top-k and top-p' },
  { B: 7, V: 515, rule: { temperature: 1e-9, ...ALL }, why: 'next to no temperature: the largest' },
  { B: 40, V: 9, near: 2 ** -20, rule: { temperature: 1e-6, ...ALL }, why: 'temperature 1e-6 still weighs near ties' },
  { B: 20, V: 9, near: 2 ** -20, rule: { temperature: 1e-9, ...ALL }, why: 'colder than every near tie: the largest' },
  { B: 16, V: 70, ties: 0.25, rule: { temperature: 1, topK: 7, topP: 1 }, why: 'many ties at the edge of top-k' },
  { B: 16, V: 130, ties: 0.5, rule: { temperature: 2, topK: 0, topP: 0.5 }, why: 'many ties at the edge of top-p' },
  { B: 9, V: 64, rule: { temperature: 1, topK: 1000, topP: 1 }, why: 'top-k beyond the vocabulary' },
  { B: 7, V: 18, rule: { temperature: 0, ...ALL }, put: NOT_FINITE, why: 'greedy, infinities and NaN' },
  { B: 7, V: 18, rule: { temperature: 1, ...ALL }, put: NOT_FINITE, why: 'drawn, infinities and NaN' },
  { B: 7, V: 18, rule: { temperature: 1, topK: 4, topP: 0.9 }, put: NOT_FINITE, why: 'filtered, infinities and NaN' },
  {
    B: 8,
    used: 6,
    V: 7,
    rule: { temperature: 1, ...ALL },
    eosIds: [0, 6, 2, 3],
    maxNewTokens: 4,
    cacheCapacity: 9,
    ended: [1, 4],
    why: 'end tokens, full outputs, full caches, finished rows, rows beyond the count',
  },
];

const SEED = 11;
const STREAM = 0xfedcba98;

function samplingCase(s: Shape): KernelCase {
  const { B, V } = s;
  const used = s.used ?? B;
  const maxNewTokens = s.maxNewTokens ?? 6;
  const cacheCapacity = s.cacheCapacity ?? 50;
  const eosIds = s.eosIds ?? [];
  const random = new RandomStream(SEED, s.why);
  const logits = Array.from({ length: B * V }, () => {
    const x = 2 * random.nextNormal();
    return Math.fround(s.ties === undefined ? x : Math.round(x * s.ties) / s.ties);
  });
  if (s.near !== undefined) {
    for (let i = 0; i < logits.length; i++) if (i % V < 4) logits[i] = 12 + (i % V) * s.near;
  }
  for (const [row, index, value] of s.put ?? []) logits[row * V + index] = value;
  // Rows differ in what they have generated; the third is about to fill its output, the fourth its cache.
  const before: DecodeRow[] = Array.from({ length: B }, (_, b) => {
    const generated = b === 2 ? maxNewTokens - 1 : b % Math.min(3, maxNewTokens);
    return {
      sequence: 1000 - 3 * b,
      length: b === 3 ? cacheCapacity : Math.min(cacheCapacity - 1, 4 + generated),
      finished: s.ended?.includes(b) === true ? 1 + (b % 2) : 0,
      output: Array.from({ length: generated }, (_, i) => 100 + i),
      nextId: 3,
      nextPosition: 0xa5a5,
      nextSlot: 0xa5a5,
      cacheStart: (B - b) * cacheCapacity,
    };
  });
  const run = { seed: SEED, stream: STREAM, maxNewTokens, cacheCapacity, eosIds };
  const after = before.map((row, b) =>
    b < used ? sampleRow(row, logits.slice(b * V, (b + 1) * V), s.rule, run) : row,
  );
  const padded = (rows: DecodeRow[]): number[] =>
    rows.flatMap((row) => [...row.output, ...new Array<number>(maxNewTokens - row.output.length).fill(77)]);
  const u32 = (key: 'length' | 'finished' | 'nextId' | 'nextPosition' | 'nextSlot') => ({
    shape: [B],
    dtype: 'u32' as const,
    initial: before.map((row) => row[key]),
    expected: after.map((row) => row[key]),
  });
  const { temperature, topK, topP } = s.rule;
  return {
    kernel: 'sample_tokens',
    name: `(B,V)=(${B},${V}), T ${temperature}, k ${topK}, p ${topP}: ${s.why}`,
    inputs: {
      logits: { shape: [B, V], data: logits },
      sequences: { shape: [B], dtype: 'u32', data: before.map((row) => row.sequence) },
      cacheStarts: { shape: [B], dtype: 'u32', data: before.map((row) => row.cacheStart) },
      state: { shape: [4], dtype: 'u32', data: [SEED, STREAM, 0, 0] },
    },
    outputs: {
      lengths: u32('length'),
      finished: u32('finished'),
      nextIds: u32('nextId'),
      nextPositions: u32('nextPosition'),
      nextSlots: u32('nextSlot'),
      output: { shape: [B * maxNewTokens], dtype: 'u32', initial: padded(before), expected: padded(after) },
      outputCount: {
        shape: [B],
        dtype: 'u32',
        initial: before.map((row) => row.output.length),
        expected: after.map((row) => row.output.length),
      },
    },
    commands: (gpu, t, arena) => {
      const rows = new Rows(gpu, arena, 'rows', B);
      rows.set(used);
      return sampleTokens(
        gpu,
        {
          logits: t['logits']!,
          sequences: t['sequences']!,
          state: t['state']!,
          lengths: t['lengths']!,
          finished: t['finished']!,
          output: t['output']!,
          outputCount: t['outputCount']!,
          nextIds: t['nextIds']!,
          nextPositions: t['nextPositions']!,
          nextSlots: t['nextSlots']!,
          cacheStarts: t['cacheStarts']!,
        },
        { rows, vocab: V, maxNewTokens, cacheCapacity, eosIds, ...s.rule },
      );
    },
  };
}

export const samplingCases: CaseFamily = {
  family: 'sampling',
  cases: () => SHAPES.map(samplingCase),
};
