// lora.ts: claims about the low-rank branch: forward and every gradient, with and without dropout, at awkward shapes.
import { Rows } from '../../gpu/rows';
import { loraBackward, loraForward } from '../../kernels/lora';
import { variantUnsupported, withVariant } from '../../kernels/linearChoice';
import { linearVariants, variantExists, type LinearVariant } from '../../kernels/linearKernels';
import * as reference from '../../reference/lora';
import type { CaseFamily, KernelCase } from '../harness';
import { caseNumbers, mostlyOnHardware } from './linear';

interface Spec {
  variant: LinearVariant;
  N: number;
  C: number;
  R: number;
  O: number;
  rate: number;
  /** false: nothing below trains, so dX is left out. */
  inputGradient: boolean;
  why: string;
}

const SCALE = 0.375;
const KEY = { seed: 11, step: 3, micro: 2, layerStream: 5 };

function casesOf({ variant, N, C, R, O, rate, inputGradient, why }: Spec): KernelCase[] {
  const x = caseNumbers(N * C, 1);
  const a = caseNumbers(R * C, 2);
  const b = caseNumbers(O * R, 3);
  const dY = caseNumbers(N * O, 4);
  const shape = { N, C, R, O };
  const mask = rate > 0 ? reference.dropoutMask(N, C, { ...KEY, rate }) : undefined;
  const forward = reference.loraForward(x, a, b, shape, SCALE, mask);
  const h = Float32Array.from(forward.h);
  const backward = reference.loraBackward(x, a, b, h, dY, shape, SCALE, mask);
  const base = caseNumbers(N * O, 5);
  const starts = { dA: caseNumbers(R * C, 6), dB: caseNumbers(O * R, 7), dX: caseNumbers(N * C, 8) };
  const plus = (values: ArrayLike<number>, start: ArrayLike<number>): Float64Array =>
    Float64Array.from(values, (v, i) => v + start[i]!);
  const seed = { shape: [4], dtype: 'u32' as const, data: [KEY.seed, KEY.step, KEY.micro, KEY.layerStream] };
  const claim = `(N,C,R,O)=(${N},${C},${R},${O})${rate > 0 ? ` dropout ${rate}` : ''}: ${why}`;
  const inputs = {
    x: { shape: [N, C], data: x },
    a: { shape: [R, C], data: a },
    b: { shape: [O, R], data: b },
    seed,
  };
  return [
    {
      kernel: `lora_forward_${variant}`,
      name: claim,
      unsupported: (gpu) => variantUnsupported(gpu, variant),
      inputs,
      outputs: {
        h: { shape: [N, R], expected: forward.h, sumLength: C },
        y: { shape: [N, O], expected: plus(forward.y, base), initial: base, sumLength: C * R },
      },
      commands: (gpu, t, arena) =>
        withVariant(gpu, variant, () => {
          const rows = new Rows(gpu, arena, 'case', N);
          rows.set(N);
          const dropout = { rate, counters: t.seed!, scratch: arena.tensor('scratch', [N, C]) };
          return loraForward(
            gpu,
            { x: t.x!, a: t.a!, b: t.b!, h: t.h!, y: t.y! },
            { rows, scale: SCALE, ...(rate > 0 ? { dropout } : {}) },
          );
        }),
    },
    {
      kernel: `lora_backward_${variant}`,
      name: `${claim}${inputGradient ? '' : ', no dX'}`,
      unsupported: (gpu) => variantUnsupported(gpu, variant),
      inputs: { ...inputs, h: { shape: [N, R], data: h }, dY: { shape: [N, O], data: dY } },
      outputs: {
        dH: { shape: [N, R], expected: backward.dH, sumLength: O },
        dA: { shape: [R, C], expected: plus(backward.dA, starts.dA), initial: starts.dA, sumLength: N * O },
        dB: { shape: [O, R], expected: plus(backward.dB, starts.dB), initial: starts.dB, sumLength: N },
        ...(inputGradient
          ? { dX: { shape: [N, C], expected: plus(backward.dX, starts.dX), initial: starts.dX, sumLength: R * O } }
          : {}),
      },
      commands: (gpu, t, arena) =>
        withVariant(gpu, variant, () => {
          const rows = new Rows(gpu, arena, 'case', N);
          rows.set(N);
          const dropout = { rate, counters: t.seed!, scratch: arena.tensor('scratch', [N, C]) };
          const { dX, ...others } = t as Record<
            'x' | 'a' | 'b' | 'h' | 'dY' | 'dH' | 'dA' | 'dB' | 'dX',
            typeof t.x & {}
          >;
          return loraBackward(gpu, inputGradient ? { ...others, dX } : others, {
            rows,
            scale: SCALE,
            ...(rate > 0 ? { dropout } : {}),
          });
        }),
    },
  ];
}

export const loraCases: CaseFamily = {
  family: 'lora',
  cases: () => {
    const cases: KernelCase[] = [];
    for (const variant of linearVariants) {
      if (!variantExists(variant, 'backward_input')) continue; // forward only: see the linear cases
      const of = (spec: Omit<Spec, 'variant'>): void => {
        cases.push(...casesOf({ variant, ...spec }).map((kernelCase) => mostlyOnHardware(variant, kernelCase)));
      };
      of({ N: 1, C: 1, R: 1, O: 1, rate: 0, inputGradient: true, why: 'the smallest' });
      of({ N: 21, C: 36, R: 8, O: 20, rate: 0, inputGradient: true, why: 'multiples of 4' });
      of({ N: 19, C: 33, R: 5, O: 7, rate: 0, inputGradient: false, why: 'odd everything' });
      of({ N: 35, C: 72, R: 16, O: 68, rate: 0.1, inputGradient: true, why: 'masks in fours' });
      of({ N: 9, C: 35, R: 3, O: 18, rate: 0.5, inputGradient: true, why: 'odd C, masks across pairs' });
    }
    return cases;
  },
};
