// head.ts: cases of the output head with cross-entropy: whole vocabularies and chunks, frozen and trained heads, both
// storage types. The matrix products have cases of their own (linear.ts).
import { f16ToNumber, numberToF16 } from '../../base/dtypes';
import { RandomStream } from '../../base/random';
import { Rows } from '../../gpu/rows';
import type { Gpu } from '../../gpu/device';
import { headBackward, headForward, softcapLogits } from '../../kernels/head';
import type { DenseWeight } from '../../kernels/weights';
import * as reference from '../../reference/head';
import type { CaseFamily, CaseInput, KernelCase } from '../harness';

interface Shape {
  /** Capacity of the rows, and how many are used. */
  M: number;
  used?: number;
  C: number;
  V: number;
  /** Width of the logits scratch. */
  Vc: number;
  kind?: 'f32' | 'f16';
  scale?: number;
  /** Soft cap of the logits. */
  cap?: number;
  why: string;
}

const SHAPES: Shape[] = [
  { M: 1, C: 1, V: 1, Vc: 1, why: 'everything 1' },
  { M: 3, C: 5, V: 7, Vc: 7, why: 'odd sizes, one chunk' },
  { M: 5, C: 64, V: 257, Vc: 257, why: 'one chunk, V a prime' },
  { M: 5, used: 2, C: 12, V: 259, Vc: 64, why: '5 chunks, the last of 3; 2 of 5 rows used' },
  { M: 4, C: 3, V: 150, Vc: 70, why: 'odd C: chunks of 64 though the scratch holds 70' },
  { M: 3, C: 64, V: 19, Vc: 1, why: 'a row of 256 bytes: 19 chunks of 1' },
  { M: 3, C: 10, V: 300, Vc: 128, kind: 'f16', why: 'f16 weight, 3 chunks' },
  { M: 5, used: 4, C: 12, V: 259, Vc: 64, cap: 3, why: 'softly capped, 5 chunks' },
  { M: 3, C: 5, V: 70, Vc: 70, scale: 10, cap: 30, why: 'softly capped, logits far beyond the cap' },
  { M: 3, C: 8, V: 90, Vc: 90, scale: 40, why: 'large logits: one token has nearly all the mass' },
];

function describe(s: Shape): string {
  return `(M,C,V,Vc)=(${s.M},${s.C},${s.V},${s.Vc}) ${s.kind ?? 'f32'}: ${s.why}`;
}

function make(s: Shape): { inputs: Record<string, CaseInput>; x: number[]; w: number[]; t: number[]; r: number[] } {
  const random = new RandomStream(7, describe(s));
  const normal = (n: number, scale: number): number[] =>
    Array.from({ length: n }, () => Math.fround(scale * random.nextNormal()));
  const x = normal(s.M * s.C, s.scale ?? 1);
  let w = normal(s.V * s.C, 1);
  if (s.kind === 'f16') w = w.map((v) => f16ToNumber(numberToF16(v)));
  const t = Array.from({ length: s.M }, () => random.nextBelow(s.V));
  t[0] = s.V - 1; // a target in the last chunk
  const r = normal(s.M, 1);
  if (s.M > 2) r[1] = 0; // a row without weight has no gradient
  return {
    x,
    w,
    t,
    r,
    inputs: {
      x: { shape: [s.M, s.C], data: x },
      weight: { shape: [s.V, s.C], dtype: s.kind ?? 'f32', data: w },
      targets: { shape: [s.M], dtype: 'u32', data: t },
    },
  };
}

function rowsOf(gpu: Gpu, arena: ConstructorParameters<typeof Rows>[1], s: Pick<Shape, 'M' | 'used'>): Rows {
  const rows = new Rows(gpu, arena, 'targets', s.M);
  rows.set(s.used ?? s.M);
  return rows;
}

function unsupported(s: Shape): NonNullable<KernelCase['unsupported']> {
  return (gpu) => (s.kind === 'f16' && !gpu.features.f16 ? 'needs shader-f16' : undefined);
}

/** Values of the used rows, NaN (untouched) behind them. */
function firstRows(values: Float64Array, used: number, width: number): Float64Array {
  return values.map((v, i) => (i < used * width ? v : NaN));
}

function forwardCase(s: Shape): KernelCase {
  const { inputs, x, w, t } = make(s);
  const used = s.used ?? s.M;
  const expected = reference.headForward(x, w, t, s);
  // Logits are sums of C products of size |x||w|; the logsumexp and the difference inherit their absolute error.
  const atol = 2e-6 * Math.sqrt(s.C) * (s.scale ?? 1) * 4;
  const tolerance = { atol, rtol: 1e-6, reason: 'differences of logits keep the absolute error of the logits' };
  const output = (values: Float64Array) => ({ shape: [s.M], expected: firstRows(values, used, 1), tolerance });
  return {
    kernel: 'logsumexp_update',
    name: describe(s),
    unsupported: unsupported(s),
    inputs,
    outputs: {
      logsumexp: output(expected.logsumexp),
      targetLogit: output(expected.targetLogit),
      tokenLogps: output(expected.tokenLogps),
    },
    commands: (gpu, tensors, arena) => {
      const weight: DenseWeight = { kind: s.kind ?? 'f32', shape: [s.V, s.C], data: tensors['weight']! };
      const { x, targets, logsumexp, targetLogit, tokenLogps } = tensors;
      const logits = arena.tensor('logits', [s.M, s.Vc]);
      return headForward(
        gpu,
        { x: x!, targets: targets!, logits, logsumexp: logsumexp!, targetLogit: targetLogit!, tokenLogps: tokenLogps! },
        { rows: rowsOf(gpu, arena, s), weight, cap: s.cap },
      );
    },
  };
}

function backwardCase(s: Shape, trained: boolean): KernelCase {
  const { inputs, x, w, t, r } = make(s);
  const used = s.used ?? s.M;
  const { logsumexp } = reference.headForward(x, w, t, s);
  const live = r.map((v, m) => (m < used ? v : 0));
  const { dX, dWeight } = reference.headBackward(x, w, t, live, s);
  const before = Array.from(dWeight, (_, i) => Math.fround(Math.sin(i)));
  // exp(logit − logsumexp) carries the logits' absolute error as a relative one.
  const rounding = 4e-6 * Math.sqrt(s.C) * (s.scale ?? 1);
  const scaleOf = (values: Float64Array): number => Math.max(1e-3, ...values.map(Math.abs));
  const tolerance = (values: Float64Array) => ({
    atol: rounding * scaleOf(values) + 1e-7,
    rtol: 1e-5,
    reason: 'probabilities inherit the absolute error of the logits',
  });
  return {
    kernel: 'cross_entropy_backward',
    name: `${describe(s)}${trained ? '; the head trains' : '; the head is frozen'}`,
    unsupported: unsupported(s),
    inputs: {
      ...inputs,
      logsumexp: { shape: [s.M], data: Float32Array.from(logsumexp) },
      rowWeights: { shape: [s.M], data: r },
    },
    outputs: {
      dX: { shape: [s.M, s.C], expected: firstRows(dX, used, s.C), tolerance: tolerance(dX) },
      ...(trained
        ? {
            dWeight: {
              shape: [s.V, s.C],
              initial: before,
              expected: dWeight.map((d, i) => d + before[i]!),
              tolerance: tolerance(dWeight),
            },
          }
        : {}),
    },
    commands: (gpu, tensors, arena) => {
      const weight: DenseWeight = { kind: s.kind ?? 'f32', shape: [s.V, s.C], data: tensors['weight']! };
      return headBackward(
        gpu,
        {
          x: tensors['x']!,
          targets: tensors['targets']!,
          logits: arena.tensor('logits', [s.M, s.Vc]),
          logsumexp: tensors['logsumexp']!,
          rowWeights: tensors['rowWeights']!,
          dX: tensors['dX']!,
          dWeight: tensors['dWeight'],
        },
        { rows: rowsOf(gpu, arena, s), weight, cap: s.cap },
      );
    },
  };
}

function softcapCase(M: number, used: number, V: number, scale: number, cap: number): KernelCase {
  const random = new RandomStream(7, `softcap ${M} ${V} ${scale}`);
  const logits = Array.from({ length: M * V }, () => Math.fround(scale * random.nextNormal()));
  return {
    kernel: 'logit_softcap',
    name: `(M,V)=(${M},${V}), ${used} rows used, cap ${cap}, logits of ±${scale}`,
    inputs: {},
    outputs: {
      y: {
        shape: [M, V],
        initial: logits,
        expected: logits.map((x, i) => (i < used * V ? cap * Math.tanh(x / cap) : x)),
        tolerance: { atol: 1e-6 * cap, rtol: 4e-6, reason: 'exp errs by 3 + 2|x| ulp' },
      },
    },
    commands: (gpu, { y }, arena) => softcapLogits(gpu, y!, { rows: rowsOf(gpu, arena, { M, used }), cap }),
  };
}

export const headCases: CaseFamily = {
  family: 'head',
  cases: () => [
    ...SHAPES.map(forwardCase),
    softcapCase(3, 2, 65, 20, 30),
    softcapCase(1, 1, 7, 1e4, 30),
    softcapCase(2, 2, 64, 0.01, 30),
    ...SHAPES.map((s) => backwardCase(s, false)),
    ...SHAPES.filter((s) => s.Vc > 1).map((s) => backwardCase(s, true)),
  ],
};
