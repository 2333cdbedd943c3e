// tokenLogps.ts: cases of token probabilities: awkward vocabularies, ties, −∞, fewer tokens than alternatives, rows that write
// nothing. Ids are compared exactly.
import { RandomStream } from '../../base/random';
import { Rows } from '../../gpu/rows';
import { NO_TOKEN, tokenLogps } from '../../kernels/tokenLogps';
import { logSoftmax, topTokens } from '../../reference/tokenLogps';
import type { CaseFamily, KernelCase } from '../harness';

interface Shape {
  B: number;
  used?: number;
  V: number;
  alternatives: number;
  /** Logits rounded to multiples of 1/ties, so that many are equal. */
  ties?: number;
  /** Added to all logits of a row. */
  offset?: number;
  /** Every so many-th logit is −∞; a token is never drawn among them. */
  never?: number;
  finished?: number[];
  noToken?: number[];
  /** Rows whose output is full. */
  full?: number[];
  why: string;
}

const SHAPES: Shape[] = [
  { B: 1, V: 1, alternatives: 3, why: 'one token: certain' },
  { B: 3, V: 7, alternatives: 10, why: 'fewer tokens than alternatives and than lanes' },
  { B: 4, V: 257, alternatives: 5, why: 'a prime vocabulary' },
  { B: 2, V: 32000, alternatives: 5, why: 'Llama 2' },
  { B: 1, V: 49152, alternatives: 1, why: 'SmolLM2, the likeliest alone' },
  { B: 5, V: 515, alternatives: 0, why: 'no alternatives' },
  { B: 5, V: 1009, alternatives: 8, ties: 1, why: 'many ties: the lower id first' },
  { B: 3, V: 300, alternatives: 10, ties: 0.1, why: 'all logits equal' },
  { B: 4, V: 130, alternatives: 6, offset: 3000, why: 'large logits do not overflow' },
  { B: 4, V: 130, alternatives: 6, offset: -3000, why: 'nor do very low ones' },
  { B: 6, V: 18, alternatives: 10, never: 2, why: 'half of the logits −∞' },
  {
    B: 7,
    used: 5,
    V: 65,
    alternatives: 4,
    finished: [1],
    noToken: [3],
    full: [4],
    why: 'finished rows, no token, full outputs and rows beyond the count write nothing',
  },
];

const MAX_NEW = 4;

function tokenLogpsCase(s: Shape): KernelCase {
  const { B, V, alternatives: K } = s;
  const used = s.used ?? B;
  const random = new RandomStream(5, s.why);
  const logits = Array.from({ length: B * V }, (_, n) => {
    if (s.never !== undefined && n % s.never === 0) return -Infinity;
    const x = 3 * random.nextNormal();
    return Math.fround((s.ties === undefined ? x : Math.round(x * s.ties) / s.ties) + (s.offset ?? 0));
  });
  const possible = (b: number): number[] =>
    Array.from({ length: V }, (_, i) => i).filter((i) => Number.isFinite(logits[b * V + i]));
  const nextIds = Array.from({ length: B }, (_, b) => {
    const ids = possible(b);
    return s.noToken?.includes(b) === true ? NO_TOKEN : ids[random.nextBelow(ids.length)]!;
  });
  const finished = Array.from({ length: B }, (_, b) => (s.finished?.includes(b) === true ? 1 : 0));
  const counts = Array.from({ length: B }, (_, b) => (s.full?.includes(b) === true ? MAX_NEW : b % MAX_NEW));
  const places = Math.max(1, B * MAX_NEW * K);
  const logps = new Array<number>(B * MAX_NEW).fill(77);
  const topIds = new Array<number>(places).fill(77);
  const topLogps = new Array<number>(places).fill(77);
  const initial = { logps: [...logps], topIds: [...topIds], topLogps: [...topLogps] };
  for (let b = 0; b < used; b++) {
    if (finished[b] !== 0 || nextIds[b] === NO_TOKEN || counts[b]! >= MAX_NEW) continue;
    const row = logits.slice(b * V, (b + 1) * V);
    const all = logSoftmax(row);
    const at = b * MAX_NEW + counts[b]!;
    logps[at] = all[nextIds[b]!]!;
    const top = topTokens(row, K);
    for (let k = 0; k < K; k++) {
      topIds[at * K + k] = top[k] ?? NO_TOKEN;
      topLogps[at * K + k] = k < top.length ? all[top[k]!]! : 0;
    }
  }
  // exp and log of WGSL are good to a few units in the last place of their arguments, whatever the sum cancels to.
  const tolerance = { atol: 2e-5 + 4e-7 * Math.abs(s.offset ?? 0), rtol: 2e-6, reason: 'exp and log of WGSL' };
  const u32 = (data: number[]) => ({ shape: [B], dtype: 'u32' as const, data });
  return {
    kernel: 'token_logps',
    name: `(B,V,K)=(${B},${V},${K}): ${s.why}`,
    inputs: {
      logits: { shape: [B, V], data: logits },
      nextIds: u32(nextIds),
      finished: u32(finished),
      outputCount: u32(counts),
    },
    outputs: {
      logps: { shape: [B * MAX_NEW], initial: initial.logps, expected: logps, tolerance },
      topIds: { shape: [places], dtype: 'u32', initial: initial.topIds, expected: topIds },
      topLogps: { shape: [places], initial: initial.topLogps, expected: topLogps, tolerance },
    },
    commands: (gpu, t, arena) => {
      const rows = new Rows(gpu, arena, 'rows', B);
      rows.set(used);
      return tokenLogps(
        gpu,
        {
          logits: t['logits']!,
          nextIds: t['nextIds']!,
          finished: t['finished']!,
          outputCount: t['outputCount']!,
          logps: t['logps']!,
          topIds: t['topIds']!,
          topLogps: t['topLogps']!,
        },
        { rows, vocab: V, maxNewTokens: MAX_NEW, alternatives: K },
      );
    },
  };
}

export const tokenLogpsCases: CaseFamily = {
  family: 'token log-probabilities',
  cases: () => SHAPES.map(tokenLogpsCase),
};
