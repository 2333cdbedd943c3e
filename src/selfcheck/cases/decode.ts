// decode.ts: claims about stored numbers on their way into dense weights: compared as bits, subnormals and signed zeros
// included, and with the element that is refused.
import { f16ToNumber, numberToBf16, numberToF16 } from '../../base/dtypes';
import { decodeStored } from '../../kernels/decode';
import { view } from '../../gpu/tensor';
import { decodeF16, decodeF32, firstRefused, storedNumbers, type StoredDtype } from '../../reference/decode';
import type { CaseFamily, KernelCase } from '../harness';
import { caseNumbers } from './linear';

/** Elements of 16 or 32 bits as whole words; the rest of a last word is not theirs and must not be read. */
export function storedWords(bits: ArrayLike<number>, dtype: StoredDtype): Uint32Array {
  if (dtype === 'f32') return Uint32Array.from(bits);
  const halves = new Uint16Array(2 * Math.ceil(bits.length / 2)).fill(0x7e00); // NaN
  halves.set(Array.from(bits));
  return new Uint32Array(halves.buffer);
}

/** The bits of values in a dtype. */
export function bitsOf(values: ArrayLike<number>, dtype: StoredDtype): Uint32Array {
  if (dtype === 'f32') return new Uint32Array(Float32Array.from(values).buffer);
  return Uint32Array.from(values, dtype === 'f16' ? numberToF16 : numberToBf16);
}

function decodeCase(from: StoredDtype, to: 'f32' | 'f16', bits: ArrayLike<number>, why: string): KernelCase {
  const elements = bits.length;
  const words = storedWords(bits, from);
  const values = storedNumbers(words, from, elements);
  const expected =
    to === 'f32' ? bitsOf(decodeF32(values), 'f32') : storedWords([...decodeF16(values), ...pad(elements)], 'f16');
  const refused = firstRefused(values, to === 'f16');
  return {
    kernel: `decode_${to}`,
    name: `${elements} of ${from}: ${why}`,
    inputs: { stored: { shape: [words.length], dtype: 'u32', data: words } },
    outputs: {
      y: { shape: [expected.length], dtype: 'u32', expected },
      chunk: {
        shape: [2],
        dtype: 'u32',
        initial: [elements, 0],
        expected: [elements, refused < 0 ? 0 : 0xffffffff - refused],
      },
    },
    commands: (gpu, t) => {
      const y = view(t.y!, 0, [elements], 'y', to);
      return decodeStored(gpu, { stored: t.stored!, chunk: t.chunk!, y }, { dtype: from, elements });
    },
  };
}

/** What stands beside an odd last half in its word. */
const pad = (elements: number): number[] => (elements % 2 === 1 ? [0] : []);

/** Bits of all 63,488 finite halves, or bfloat16 (65,280). */
function allFinite(exponent: number): number[] {
  return Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & exponent) !== exponent);
}

/** float32 where rounding to a half turns: each point midway between two halves, and its neighbours; both signs. */
function halfTurns(): Uint32Array {
  const turns = new Float32Array(0x7bff).map((_, bits) => (f16ToNumber(bits) + f16ToNumber(bits + 1)) / 2);
  const middle = new Uint32Array(turns.buffer);
  const extremes = bitsOf([0, 65_519.996, 65_504, 2 ** -24, 2 ** -25, 2 ** -149, 2 ** -126, 1e-40], 'f32');
  const magnitudes = [...middle, ...middle.map((bits) => bits - 1), ...middle.map((bits) => bits + 1), ...extremes];
  return Uint32Array.from([...magnitudes, ...magnitudes.map((bits) => (bits | 0x80000000) >>> 0)]);
}

function refusedCases(): KernelCase[] {
  const numbers = (values: Record<number, number>): number[] =>
    Array.from(caseNumbers(301, 4)).map((value, i) => values[i] ?? value);
  const cases: KernelCase[] = [];
  for (const from of ['f32', 'f16', 'bf16'] as const) {
    for (const to of ['f32', 'f16'] as const) {
      cases.push(
        decodeCase(from, to, bitsOf(numbers({ 299: NaN, 300: Infinity }), from), 'NaN before the last'),
        decodeCase(from, to, bitsOf(numbers({ 300: -Infinity }), from), 'the last is infinite'),
        decodeCase(from, to, bitsOf(numbers({ 0: Infinity, 7: NaN }), from), 'the first is infinite'),
      );
    }
    if (from === 'f16') continue;
    const large = bitsOf(numbers({ 258: -65_536, 259: 3e38 }), from);
    cases.push(
      decodeCase(from, 'f32', large, 'large ones are taken'),
      decodeCase(from, 'f16', large, 'no half is as large'),
    );
  }
  return cases;
}

export const decodeCases: CaseFamily = {
  family: 'decode',
  cases: () => [
    decodeCase('f16', 'f32', allFinite(0x7c00), 'every finite half'),
    decodeCase('f16', 'f16', allFinite(0x7c00), 'every finite half'),
    decodeCase('bf16', 'f32', allFinite(0x7f80), 'every finite bfloat16'),
    decodeCase(
      'bf16',
      'f16',
      allFinite(0x7f80).filter((bits) => (bits & 0x7fff) < 0x4780),
      'every bfloat16 below 65536',
    ),
    decodeCase('f32', 'f16', halfTurns(), 'both sides of every rounding'),
    decodeCase('f32', 'f32', halfTurns(), 'the same as they are'),
    decodeCase('f32', 'f16', bitsOf([65_520], 'f32'), 'the least that rounds to infinity'),
    ...[1, 2, 3, 4, 5, 255, 257].flatMap((n) =>
      (['f32', 'f16', 'bf16'] as const).flatMap((from) => [
        decodeCase(from, 'f32', bitsOf(caseNumbers(n, 9), from), 'any length'),
        decodeCase(from, 'f16', bitsOf(caseNumbers(n, 9), from), 'any length'),
      ]),
    ),
    ...refusedCases(),
  ],
};
