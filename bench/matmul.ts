// matmul.ts: plain f32 matrix products in the three forms that training needs (forward, gradient of the input, gradient of
// the weight), Pupil's kernels against the peer's, on the same numbers; the whole results are compared.
import { jit, numpy as np } from '@jax-js/jax';
import { RandomStream } from '../src/base/random';
import { ClearCommand, Recorder, type Command } from '../src/gpu/commands';
import type { Gpu } from '../src/gpu/device';
import { Rows } from '../src/gpu/rows';
import { view, type Tensor } from '../src/gpu/tensor';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../src/kernels/linear';
import type { DenseWeight } from '../src/kernels/weights';
import { inTurns, maxDifference, ratioOf } from './measure';
import { peerArray, peerDone, readPeer, startPeer } from './peer';
import type { MatmulResult } from './results';

/** Rows of the result, inner size, columns. The last is a layer's product over a training batch. */
export const MATMUL_SHAPES: readonly (readonly [number, number, number])[] = [
  [256, 256, 256],
  [512, 512, 512],
  [128, 1024, 1024],
  [1024, 128, 384],
];

/** Products a sample, queued one behind the other: the wait at the end is then small beside the work. */
const PRODUCTS_A_SAMPLE = 4;

/** Seeded normal numbers. */
export function normals(name: string, count: number): Float32Array {
  const random = new RandomStream(1, name);
  return Float32Array.from({ length: count }, () => random.nextNormal());
}

interface Form {
  name: string;
  /** Whether an operand is stored with the inner dimension first (A) or last (B), i.e. transposed. */
  transposed: { a: boolean; b: boolean };
  /** Stored shapes of the operands for a result (M, N) over K. */
  shapes: (M: number, K: number, N: number) => [[number, number], [number, number]];
  commands: (gpu: Gpu, a: Tensor, b: Tensor, out: Tensor, rows: { M: Rows; K: Rows }) => Command[];
  peer: (a: np.Array, b: np.Array) => np.Array;
}

const dense = (data: Tensor): DenseWeight => ({ kind: 'f32', shape: [data.shape[0]!, data.shape[1]!], data });

const FORMS: readonly Form[] = [
  {
    name: 'A·B',
    transposed: { a: false, b: false },
    shapes: (M, K, N) => [
      [M, K],
      [K, N],
    ],
    commands: (gpu, a, b, out, { M }) => linearBackwardInput(gpu, { dY: a, dX: out }, { rows: M, weight: dense(b) }),
    peer: (a, b) => np.matmul(a, b),
  },
  {
    name: 'A·Bᵀ',
    transposed: { a: false, b: true },
    shapes: (M, K, N) => [
      [M, K],
      [N, K],
    ],
    commands: (gpu, a, b, out, { M }) => linearForward(gpu, { x: a, y: out }, { rows: M, weight: dense(b) }),
    peer: (a, b) => np.matmul(a, b.transpose()),
  },
  {
    name: 'Aᵀ·B',
    transposed: { a: true, b: false },
    shapes: (M, K, N) => [
      [K, M],
      [K, N],
    ],
    // This one adds, so a sample starts from zeros; the clear is part of its time.
    commands: (gpu, a, b, out, { K }) => [
      new ClearCommand(out),
      ...linearBackwardWeight(gpu, { x: b, dY: a, dW: out }, { rows: K }),
    ],
    peer: (a, b) => np.matmul(a.transpose(), b),
  },
];

/** One result a form and shape. */
export async function benchMatmul(
  gpu: Gpu,
  options: { rounds: number; shapes?: readonly (readonly [number, number, number])[]; log: (line: string) => void },
): Promise<MatmulResult[]> {
  await startPeer();
  const results: MatmulResult[] = [];
  for (const shape of options.shapes ?? MATMUL_SHAPES) {
    for (const form of FORMS) {
      options.log(`matmul ${form.name} ${shape.join('×')}`);
      results.push(await benchForm(gpu, form, shape, options.rounds));
    }
  }
  return results;
}

async function benchForm(
  gpu: Gpu,
  form: Form,
  shape: readonly [number, number, number],
  rounds: number,
): Promise<MatmulResult> {
  const [M, K, N] = shape;
  const [aShape, bShape] = form.shapes(M, K, N);
  const aValues = normals('a', M * K);
  const bValues = normals('b', K * N);
  const arena = gpu.arena('bench matmul');
  const rows = { M: new Rows(gpu, arena, 'M', M), K: new Rows(gpu, arena, 'K', K) };
  rows.M.set(M);
  rows.K.set(K);
  const out = arena.tensor('out', [M, N]);
  const commands = form.commands(
    gpu,
    arena.upload('a', aShape, 'f32', aValues),
    arena.upload('b', bShape, 'f32', bValues),
    out,
    rows,
  );
  await gpu.settled();
  const firstValue = view(out, 0, [1]);

  const a = peerArray(aValues, aShape);
  const b = peerArray(bValues, bShape);
  const product = jit(form.peer);
  try {
    const [pupil, peer] = await inTurns(
      [
        {
          name: 'pupil',
          run: async () => {
            const recorder = new Recorder(gpu, 'matmul');
            for (let i = 0; i < PRODUCTS_A_SAMPLE; i++) recorder.add(...commands);
            recorder.submit();
            await gpu.readF32(firstValue);
          },
        },
        {
          name: 'peer',
          run: async () => {
            const products = Array.from({ length: PRODUCTS_A_SAMPLE }, () => product(a.ref, b.ref));
            await peerDone(products);
            for (const array of products) array.dispose();
          },
        },
      ],
      { repeats: rounds },
    );
    const theirs = product(a.ref, b.ref);
    const ours = await gpu.readF32(out);
    const difference = maxDifference(ours, await readPeer(theirs));
    theirs.dispose();
    expectLast(form, shape, ours, aValues, bValues);
    const pupilMs = pupil!.medianMs / PRODUCTS_A_SAMPLE;
    const peerMs = peer!.medianMs / PRODUCTS_A_SAMPLE;
    const gflop = (2 * M * K * N) / 1e6; // a millisecond times this is GFLOP/s
    return {
      form: form.name,
      shape,
      pupilMs,
      peerMs,
      pupilGflops: gflop / pupilMs,
      peerGflops: gflop / peerMs,
      ratio: ratioOf(peer!, pupil!),
      difference,
    };
  } finally {
    a.dispose();
    b.dispose();
    product.dispose();
    arena.destroy();
  }
}

/** Both could agree on nonsense: the result's last element against float64. */
function expectLast(
  form: Form,
  [M, K, N]: readonly [number, number, number],
  out: Float32Array,
  a: Float32Array,
  b: Float32Array,
): void {
  const { transposed } = form;
  let expected = 0;
  for (let k = 0; k < K; k++) {
    const left = transposed.a ? a[k * M + M - 1]! : a[(M - 1) * K + k]!;
    const right = transposed.b ? b[(N - 1) * K + k]! : b[k * N + N - 1]!;
    expected += left * right;
  }
  const got = out[M * N - 1]!;
  if (!(Math.abs(got - expected) <= 1e-3 * Math.sqrt(K))) {
    throw new Error(`matmul ${form.name} ${M}×${K}×${N}: expected ${expected} at the last element, got ${got}`);
  }
}
