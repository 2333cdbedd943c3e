// samples.ts: inputs for the kernel cases: seeded normals rounded to f32 (so that the f64 reference sees what the GPU sees),
// rows in use of a larger capacity, and packed sequences. It runs nothing.
import { RandomStream } from '../../base/random';
import type { Gpu } from '../../gpu/device';
import { Rows } from '../../gpu/rows';
import type { Arena } from '../../gpu/tensor';

/** `count` normal numbers of standard deviation `scale`, exactly representable in f32; the same for the same name. */
export function normals(name: string, count: number, scale = 1): Float64Array {
  const random = new RandomStream(17, name);
  return Float64Array.from({ length: count }, () => Math.fround(scale * random.nextNormal()));
}

/** `count` whole numbers in [0, bound); the same for the same name. */
export function integers(name: string, count: number, bound: number): Float64Array {
  const random = new RandomStream(17, name);
  return Float64Array.from({ length: count }, () => random.nextBelow(bound));
}

/** The values followed by `fill` up to `length`: what a tensor holds in the rows behind those in use. */
export function padded(values: ArrayLike<number>, length: number, fill = NaN): Float64Array {
  const out = new Float64Array(length).fill(fill);
  out.set(values);
  return out;
}

/** The first `values.length` of `initial` plus the values; the rest of `initial` as it was. For kernels that ADD. */
export function added(initial: ArrayLike<number>, values: ArrayLike<number>): Float64Array {
  return Float64Array.from(initial, (start, i) => (i < values.length ? start + values[i]! : start));
}

/** Rows of a capacity, `count` of them in use. */
export function rowsInUse(gpu: Gpu, arena: Arena, capacity: number, count = capacity): Rows {
  const rows = new Rows(gpu, arena, 'check', capacity);
  rows.set(count);
  return rows;
}

/** Prepares commands as on an adapter whose bindings hold at most so many bytes. */
export function withBindingLimit<T>(gpu: Gpu, bytes: number | undefined, prepare: () => T): T {
  if (bytes === undefined) return prepare();
  const before = gpu.limits.maxStorageBufferBindingSize;
  gpu.limits.maxStorageBufferBindingSize = Math.min(before, bytes);
  try {
    return prepare();
  } finally {
    gpu.limits.maxStorageBufferBindingSize = before;
  }
}

/** First and one-past-last row of each token's sequence, for sequences packed one behind the other. */
export function packedSequences(lengths: readonly number[]): { start: number[]; end: number[]; positions: number[] } {
  const start: number[] = [];
  const end: number[] = [];
  const positions: number[] = [];
  let first = 0;
  for (const length of lengths) {
    for (let t = 0; t < length; t++) {
      start.push(first);
      end.push(first + length);
      positions.push(t);
    }
    first += length;
  }
  return { start, end, positions };
}
