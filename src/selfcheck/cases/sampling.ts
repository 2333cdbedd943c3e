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
  why: string;
}

const ALL = { topK: 0, topP: 1 };
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
