// nf4.ts: claims about NF4 quantisation and its inverse: bytes are compared exactly.
import { createDynamicMap } from '../../base/nf4';
import { CHUNK_STEP_ELEMENTS } from '../../kernels/decode';
import { makeNf4Weight, nf4Dequantize, nf4Quantize, nf4QuantizeAbsmax, nf4QuantizeChunk } from '../../kernels/quantize';
import type { Command } from '../../gpu/commands';
import { CopyCommand } from '../../gpu/commands';
import { view } from '../../gpu/tensor';
import { storedNumbers, type StoredDtype } from '../../reference/decode';
import * as reference from '../../reference/nf4';
import type { CaseFamily, CaseInput, KernelCase } from '../harness';
import { bitsOf, storedWords } from './decode';
import { caseNumbers } from './linear';

const EXACT = { atol: 0, rtol: 0, reason: 'bitsandbytes files must agree byte for byte' };

function weights(O: number, C: number, zeroBlock: boolean): Float32Array {
  const x = caseNumbers(O * C, 21).map((v, i) => Math.fround(v * v * v * (1 + (i >> 8))));
  if (zeroBlock) x.fill(0, 64, 128);
  return x;
}

function quantizeCase(O: number, C: number, double: boolean, zeroBlock: boolean, why: string): KernelCase {
  const x = weights(O, C, zeroBlock);
  const single = reference.nf4Quantize(x);
  const nested = reference.nf4QuantizeAbsmax(single.absmax);
  const packed = { shape: [single.packed.length], dtype: 'u8' as const, expected: single.packed };
  const blocks = single.absmax.length;
  return {
    kernel: 'nf4_quantize',
    name: `(O,C)=(${O},${C})${double ? ' double' : ''}: ${why}`,
    inputs: { x: { shape: [O, C], data: x } },
    outputs: {
      packed,
      absmax: double
        ? { shape: [blocks], dtype: 'u8', expected: nested.codes }
        : { shape: [blocks], expected: single.absmax, tolerance: EXACT },
      ...(double
        ? {
            nested: {
              shape: [257 + nested.nestedAbsmax.length],
              initial: [...createDynamicMap(), ...new Array<number>(1 + nested.nestedAbsmax.length).fill(NaN)],
              expected: [...createDynamicMap(), nested.offset, ...nested.nestedAbsmax],
              tolerance: { atol: 1e-38, rtol: 0, reason: 'exact; a GPU may read the 1e-38 of a zero block as 0' },
            },
          }
        : {}),
    },
    commands: (gpu, t, arena): Command[] => {
      const weight = {
        kind: 'nf4' as const,
        shape: [O, C] as const,
        blockSize: 64,
        packed: t.packed!,
        absmax: t.absmax!,
        ...(double ? { nested: t.nested! } : {}),
      };
      return nf4Quantize(gpu, { x: t.x! }, { weight, arena });
    },
  };
}

function dequantizeCase(O: number, C: number, double: boolean, why: string): KernelCase {
  const single = reference.nf4Quantize(weights(O, C, false));
  const nested = reference.nf4QuantizeAbsmax(single.absmax);
  const blocks = single.absmax.length;
  const absmax: CaseInput = double
    ? { shape: [blocks], dtype: 'u8', data: nested.codes }
    : { shape: [blocks], data: single.absmax };
  const nestedData = [...createDynamicMap(), nested.offset, ...nested.nestedAbsmax];
  return {
    kernel: 'nf4_dequantize',
    name: `(O,C)=(${O},${C})${double ? ' double' : ''}: ${why}`,
    inputs: {
      packed: { shape: [single.packed.length], dtype: 'u8', data: single.packed },
      absmax,
      ...(double ? { nested: { shape: [nestedData.length], data: nestedData } } : {}),
    },
    outputs: {
      y: {
        shape: [O, C],
        expected: reference.nf4Dequantize(
          single.packed,
          double ? reference.nf4DequantizeAbsmax(nested) : single.absmax,
          O * C,
        ),
        tolerance: EXACT,
      },
    },
    commands: (gpu, t) =>
      nf4Dequantize(
        gpu,
        { y: t.y! },
        {
          weight: {
            kind: 'nf4',
            shape: [O, C],
            blockSize: 64,
            packed: t.packed!,
            absmax: t.absmax!,
            ...(double ? { nested: t.nested! } : {}),
          },
        },
      ),
  };
}

/** A weight made by makeNf4Weight, quantised and dequantised in one go, as the model loader does it. */
function roundTripCase(O: number, C: number, double: boolean): KernelCase {
  const x = weights(O, C, false);
  const single = reference.nf4Quantize(x);
  const absmax = double ? reference.nf4DequantizeAbsmax(reference.nf4QuantizeAbsmax(single.absmax)) : single.absmax;
  return {
    kernel: 'nf4_quantize',
    name: `(O,C)=(${O},${C})${double ? ' double' : ''}: into a fresh weight and back`,
    inputs: { x: { shape: [O, C], data: x } },
    outputs: {
      y: {
        shape: [O, C],
        expected: reference.nf4Dequantize(single.packed, absmax, O * C),
        tolerance: EXACT,
      },
      packed: { shape: [single.packed.length], dtype: 'u8', expected: single.packed },
    },
    commands: (gpu, t, arena) => {
      const weight = makeNf4Weight(arena, 'w', [O, C], { double });
      const copy = new CopyCommand(weight.packed, view(t.packed!, 0, [single.packed.length]));
      return [
        ...nf4Quantize(gpu, { x: t.x! }, { weight, arena }),
        ...nf4Dequantize(gpu, { y: t.y! }, { weight }),
        copy,
      ];
    },
  };
}

/** A weight as it is loaded: from stored bytes of any dtype, in chunks that end where they must, the last one anywhere. */
function chunkedCase(O: number, C: number, dtype: StoredDtype, double: boolean): KernelCase {
  const bits = bitsOf(weights(O, C, true), dtype);
  const x = storedNumbers(storedWords(bits, dtype), dtype, O * C);
  const single = reference.nf4Quantize(x);
  const nested = reference.nf4QuantizeAbsmax(single.absmax);
  const step = CHUNK_STEP_ELEMENTS;
  const chunks = Array.from({ length: Math.ceil((O * C) / step) }, (_, i) =>
    storedWords(bits.subarray(i * step, (i + 1) * step), dtype),
  );
  const elementsOf = (i: number): number => Math.min(step, O * C - i * step);
  return {
    kernel: 'nf4_quantize',
    name: `(O,C)=(${O},${C}) of ${dtype}${double ? ' double' : ''}: in ${chunks.length} chunks`,
    inputs: Object.fromEntries(
      chunks.map((words, i) => [`stored${i}`, { shape: [words.length], dtype: 'u32', data: words }]),
    ),
    outputs: {
      ...Object.fromEntries(
        chunks.map((_, i) => {
          const header = [elementsOf(i), 0];
          return [`chunk${i}`, { shape: [2], dtype: 'u32', initial: header, expected: header } as const];
        }),
      ),
      packed: { shape: [single.packed.length], dtype: 'u8', expected: single.packed },
      absmax: double
        ? { shape: [nested.codes.length], dtype: 'u8', expected: nested.codes }
        : { shape: [single.absmax.length], expected: single.absmax, tolerance: EXACT },
    },
    commands: (gpu, t, arena): Command[] => {
      const weight = {
        ...makeNf4Weight(arena, 'w', [O, C], { double }),
        packed: t.packed!,
        absmax: t.absmax!,
      };
      const absmax = double ? arena.tensor('absmax f32', [single.absmax.length]) : t.absmax!;
      const commands = chunks.flatMap((_, i) =>
        nf4QuantizeChunk(
          gpu,
          { stored: t[`stored${i}`]!, chunk: t[`chunk${i}`]!, absmax },
          { weight, dtype, first: i * step, elements: elementsOf(i) },
        ),
      );
      return double ? [...commands, ...nf4QuantizeAbsmax(gpu, { absmax }, { weight, arena })] : commands;
    },
  };
}

/** Elements that are not finite, told by the first of them. */
function refusedCase(dtype: StoredDtype, bad: Record<number, number>): KernelCase {
  const [O, C] = [5, 67];
  const x = weights(O, C, false);
  for (const [i, value] of Object.entries(bad)) x[Number(i)] = value;
  const words = storedWords(bitsOf(x, dtype), dtype);
  const first = Math.min(...Object.keys(bad).map(Number));
  return {
    kernel: 'nf4_quantize',
    name: `(O,C)=(${O},${C}) of ${dtype}: ${bad[first]} at element ${first} is refused`,
    inputs: { stored: { shape: [words.length], dtype: 'u32', data: words } },
    outputs: {
      chunk: { shape: [2], dtype: 'u32', initial: [O * C, 0], expected: [O * C, 0xffffffff - first] },
    },
    commands: (gpu, t, arena) => {
      const weight = makeNf4Weight(arena, 'w', [O, C], { double: false });
      const { absmax } = weight;
      return nf4QuantizeChunk(
        gpu,
        { stored: t.stored!, chunk: t.chunk!, absmax },
        { weight, dtype, first: 0, elements: O * C },
      );
    },
  };
}

const DTYPES = ['f32', 'f16', 'bf16'] as const;

export const nf4Cases: CaseFamily = {
  family: 'nf4',
  cases: () => [
    quantizeCase(1, 1, false, false, 'one element, padded nibble'),
    quantizeCase(3, 65, false, false, 'odd, short last block'),
    quantizeCase(40, 96, false, true, 'blocks across rows, a zero block'),
    quantizeCase(1, 1, true, false, 'one element: the mean is the only absmax'),
    quantizeCase(3, 65, true, false, 'four codes in one word, a mean without vectors'),
    quantizeCase(129, 130, true, true, '263 blocks: two nested blocks, a zero block'),
    quantizeCase(181, 193, true, false, '546 blocks: the mean has whole runs, a rest, vectors and scalars over'),
    dequantizeCase(1, 1, false, 'one element'),
    dequantizeCase(3, 65, false, 'odd'),
    dequantizeCase(129, 130, true, 'two nested blocks'),
    roundTripCase(16, 1025, true),
    roundTripCase(16, 1025, false),
    ...DTYPES.flatMap((dtype) => [
      chunkedCase(3, 4099, dtype, true), // four chunks: 12,297 elements, an odd number
      chunkedCase(2, 4096, dtype, false),
      refusedCase(dtype, { 0: NaN, 1: Infinity }),
      refusedCase(dtype, { 63: Infinity, 64: NaN }),
      refusedCase(dtype, { 130: -Infinity, 334: NaN }),
      refusedCase(dtype, { 334: NaN }),
    ]),
  ],
};
