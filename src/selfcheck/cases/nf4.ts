// nf4.ts: claims about NF4 quantisation and its inverse: bytes are compared exactly.
import { createDynamicMap } from '../../base/nf4';
import { makeNf4Weight, nf4Dequantize, nf4Quantize } from '../../kernels/quantize';
import type { Command } from '../../gpu/commands';
import { CopyCommand } from '../../gpu/commands';
import { view } from '../../gpu/tensor';
import * as reference from '../../reference/nf4';
import type { CaseFamily, CaseInput, KernelCase } from '../harness';
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
  ],
};
