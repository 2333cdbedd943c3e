// embedding.ts: cases of embedding_forward, embedding_forward_f16 and embedding_backward.
import { f16ToNumber, numberToF16 } from '../../base/dtypes';
import { embeddingBackward, embeddingForward } from '../../kernels/embedding';
import * as reference from '../../reference/embedding';
import type { CaseFamily, KernelCase } from '../harness';
import { added, integers, normals, padded, rowsInUse } from './samples';

function forward(
  claim: string,
  N: number,
  V: number,
  C: number,
  capacity: number,
  dtype: 'f32' | 'f16',
  scale = 1,
): KernelCase {
  const exact = normals(`table ${claim}`, V * C);
  const table = dtype === 'f32' ? exact : exact.map((x) => f16ToNumber(numberToF16(x)));
  const ids = integers(`ids ${claim}`, N, V);
  ids[N - 1] = V - 1;
  return {
    kernel: dtype === 'f32' ? 'embedding_forward' : 'embedding_forward_f16',
    name: claim,
    inputs: {
      ids: { shape: [capacity], dtype: 'u32', data: padded(ids, capacity, 0) },
      table: { shape: [V, C], dtype, data: table },
    },
    outputs: {
      y: {
        shape: [capacity, C],
        expected: padded(reference.embeddingForward(ids, table, C, scale), capacity * C),
        ...(scale === 1 ? { tolerance: { atol: 0, rtol: 0, reason: 'a copy is exact' } } : {}),
      },
    },
    commands: (gpu, { ids, table, y }, arena) =>
      embeddingForward(gpu, { ids: ids!, table: table!, y: y! }, { rows: rowsInUse(gpu, arena, capacity, N), scale }),
  };
}

function backward(
  claim: string,
  ids: ArrayLike<number>,
  V: number,
  C: number,
  capacity: number,
  slicing: { rowsPerSlice?: number } = {},
): KernelCase {
  const N = ids.length;
  const dY = normals(`dY ${claim}`, N * C);
  const initial = normals(`dTable ${claim}`, V * C);
  return {
    kernel: 'embedding_backward',
    name: claim,
    inputs: {
      ids: { shape: [capacity], dtype: 'u32', data: padded(ids, capacity, 0) },
      dY: { shape: [capacity, C], data: padded(dY, capacity * C) },
    },
    outputs: {
      dTable: {
        shape: [V, C],
        initial,
        expected: added(initial, reference.embeddingBackward(ids, dY, V, C)),
        sumLength: N,
      },
    },
    commands: (gpu, { ids, dY, dTable }, arena) =>
      embeddingBackward(
        gpu,
        { ids: ids!, dY: dY!, dTable: dTable! },
        { rows: rowsInUse(gpu, arena, capacity, N), ...slicing },
      ),
  };
}

/** The embedding and its table's gradient against f64. */
export const embeddingCases: CaseFamily = {
  family: 'embedding',
  cases: () => [
    ...(['f32', 'f16'] as const).flatMap((dtype) => [
      forward('(N,V,C)=(1,1,1): one element', 1, 1, 1, 1, dtype),
      forward('(N,V,C)=(13,7,33): odd C', 13, 7, 33, 13, dtype),
      forward('(N,V,C)=(5,50,64) of capacity 8: rows behind the count stay untouched', 5, 50, 64, 8, dtype),
      forward('(N,V,C)=(5,9,33): scaled', 5, 9, 33, 5, dtype, Math.fround(Math.sqrt(33))),
    ]),
    forward('(N,V,C)=(65537,3,65): more than 65,535 workgroups', 65_537, 3, 65, 65_537, 'f32'),
    backward('(N,V,C)=(1,1,1): one element', [0], 1, 1, 1),
    backward('(N,V,C)=(13,7,33): tokens that repeat', integers('repeats', 13, 7), 7, 33, 13),
    backward('(N,V,C)=(5,50,65) of capacity 8: padding ids are not counted', [49, 3, 3, 49, 3], 50, 65, 8),
    backward('(N,V,C)=(50,9,5) in slices of 7 tokens', integers('slices', 50, 9), 9, 5, 50, { rowsPerSlice: 7 }),
    backward('(N,V,C)=(4500,3,5): occurrences over several tiles of 2048', integers('tiles', 4500, 3), 3, 5, 4500),
  ],
};
