// nf4.ts: NormalFloat-4 quantisation in plain loops, rounding to float32 exactly where bitsandbytes does (0.50, its torch
// path): the specification of shaders/quant. It writes no files and knows no GPU.
// Source: Dettmers et al. 2023, arXiv:2305.14314; bitsandbytes functional.py.
import { createDynamicMap, NF4_BLOCK, NF4_NESTED_BLOCK, nf4QuantizeBlock, nf4Value } from '../base/nf4';

const f = Math.fround;

export interface Nf4Single {
  /** ceil(elements/2) bytes; the EVEN element in the HIGH nibble, an odd end padded with the code of 0. */
  packed: Uint8Array;
  absmax: Float32Array;
}

/** absmax per 64 elements, q = number of thresholds strictly below x·(1/absmax), all in float32. */
export function nf4Quantize(x: ArrayLike<number>): Nf4Single {
  const blocks = Math.ceil(x.length / NF4_BLOCK);
  const absmax = new Float32Array(blocks);
  const packed = new Uint8Array(Math.ceil(x.length / 2)).fill(0);
  const put = (i: number, code: number): void => {
    packed[i >> 1]! |= i % 2 === 0 ? code << 4 : code;
  };
  for (let block = 0; block < blocks; block++) {
    const start = block * NF4_BLOCK;
    const quantized = nf4QuantizeBlock(x, start, Math.min(start + NF4_BLOCK, x.length));
    absmax[block] = quantized.absmax;
    quantized.codes.forEach((code, i) => put(start + i, code));
  }
  if (x.length % 2 === 1) put(x.length, 7);
  return { packed, absmax };
}

/** The code (0 … 15) of element i. */
export function nf4Code(packed: ArrayLike<number>, i: number): number {
  return i % 2 === 0 ? packed[i >> 1]! >> 4 : packed[i >> 1]! & 15;
}

/** y[i] = code·absmax, rounded to float32. */
export function nf4Dequantize(packed: ArrayLike<number>, absmax: ArrayLike<number>, elements: number): Float32Array {
  return Float32Array.from({ length: elements }, (_, i) =>
    nf4Value(nf4Code(packed, i), absmax[Math.floor(i / NF4_BLOCK)]!),
  );
}

/**
 * The shape of PyTorch's float32 sum of n values: lanes of a vector, and the power of two of values that go into one
 * partial sum of the next level.
 */
export function torchSumOrder(n: number): { lanes: 1 | 8; levelPower: number } {
  const lanes = n < 8 ? 1 : 8;
  const length = Math.floor(n / (4 * lanes));
  const log2 = length <= 2 ? 1 : 32 - Math.clz32(length - 1); // rounded up
  return { lanes, levelPower: Math.max(4, Math.floor(log2 / 4)) };
}

/**
 * Sum in float32 in the order of PyTorch's sum of a contiguous vector by one thread of a CPU with 256-bit vectors, to the
 * last bit: 4 rows of 8 lanes (below 8 values: of 1), each strand of them through four levels of partial sums.
 * Source: PyTorch aten/src/ATen/native/cpu/SumKernel.cpp, cascade_sum (multi_row_sum, row_sum, vectorized_inner_sum).
 * Doubt: PyTorch divides 32,768 values and more among its threads, and its result then depends on their number.
 */
export function torchSum(values: ArrayLike<number>): number {
  const n = values.length;
  const { lanes, levelPower } = torchSumOrder(n);
  const strands = 4 * lanes;
  const length = Math.floor(n / strands);
  const step = 2 ** levelPower;
  const rows = Array.from({ length: strands }, (_, strand) => {
    const level = [0, 0, 0, 0];
    let i = 0;
    while (i + step <= length) {
      for (let j = 0; j < step; j++, i++) level[0] = f(level[0]! + values[i * strands + strand]!);
      for (let l = 1; l < 4; l++) {
        level[l] = f(level[l]! + level[l - 1]!);
        level[l - 1] = 0;
        if (i % 2 ** ((l + 1) * levelPower) !== 0) break;
      }
    }
    for (; i < length; i++) level[0] = f(level[0]! + values[i * strands + strand]!);
    return level.reduce((sum, part) => f(sum + part));
  });
  const vectors = Math.floor(n / lanes);
  let total = 0;
  for (let i = vectors * lanes; i < n; i++) total = f(total + values[i]!);
  for (let lane = 0; lane < lanes; lane++) {
    let sum = rows[lane]!;
    for (let i = length * 4; i < vectors; i++) sum = f(sum + values[i * lanes + lane]!);
    for (let row = 1; row < 4; row++) sum = f(sum + rows[row * lanes + lane]!);
    total = f(total + sum);
  }
  return total;
}

export interface Nf4Nested {
  codes: Uint8Array;
  offset: number;
  nestedAbsmax: Float32Array;
}

/** Eight-bit absmax: around their mean, in blocks of 256, nearest value of the dynamic map (the lower in a tie). */
export function nf4QuantizeAbsmax(absmax: ArrayLike<number>): Nf4Nested {
  const map = createDynamicMap();
  const offset = f(torchSum(absmax) / f(absmax.length));
  const codes = new Uint8Array(absmax.length);
  const nestedAbsmax = new Float32Array(Math.ceil(absmax.length / NF4_NESTED_BLOCK));
  for (let g = 0; g < nestedAbsmax.length; g++) {
    const end = Math.min((g + 1) * NF4_NESTED_BLOCK, absmax.length);
    let most = 0;
    for (let b = g * NF4_NESTED_BLOCK; b < end; b++) most = Math.max(most, Math.abs(f(absmax[b]! - offset)));
    const inverse = most === 0 ? 0 : f(1 / most);
    nestedAbsmax[g] = most === 0 ? 1e-38 : most; // bitsandbytes divides by at least 1e-38
    for (let b = g * NF4_NESTED_BLOCK; b < end; b++) {
      const scaled = Math.min(1, Math.max(-1, f(f(absmax[b]! - offset) * inverse)));
      let best = 0;
      for (let k = 1; k < map.length; k++) {
        if (f(Math.abs(f(map[k]! - scaled))) < f(Math.abs(f(map[best]! - scaled)))) best = k;
      }
      codes[b] = best;
    }
  }
  return { codes, offset, nestedAbsmax };
}

/** absmax[b] = map[code]·nested_absmax[b / 256] + offset, each step rounded to float32. */
export function nf4DequantizeAbsmax(nested: Nf4Nested, map: ArrayLike<number> = createDynamicMap()): Float32Array {
  return Float32Array.from(nested.codes, (code, b) =>
    f(f(map[code]! * nested.nestedAbsmax[Math.floor(b / NF4_NESTED_BLOCK)]!) + nested.offset),
  );
}
