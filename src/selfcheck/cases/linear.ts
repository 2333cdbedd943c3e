// linear.ts: claims about the linear kernels: every operation, weight form and variant at awkward shapes.
import { threefry2x32 } from '../../base/random';
import { createDynamicMap } from '../../base/nf4';
import { f16ToNumber, numberToF16 } from '../../base/dtypes';
import type { Tensor } from '../../gpu/tensor';
import { linearBackwardInput, linearBackwardWeight, linearForward } from '../../kernels/linear';
import { variantUnsupported, withVariant } from '../../kernels/linearChoice';
import { linearVariants, variantExists, type LinearOperation, type LinearVariant } from '../../kernels/linearKernels';
import type { LinearWeight } from '../../kernels/weights';
import * as reference from '../../reference/linear';
import { nf4Dequantize, nf4DequantizeAbsmax, nf4Quantize, nf4QuantizeAbsmax } from '../../reference/nf4';
import type { CaseFamily, CaseInput, KernelCase } from '../harness';
import { rowsInUse, withBindingLimit } from './samples';

/** `count` numbers between −1 and 1, the same for the same stream, exactly representable in f32. */
export function caseNumbers(count: number, stream: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (threefry2x32(7, stream, i, 0)[0] >>> 8) / 2 ** 23 - 1);
}

export type WeightForm = 'f32' | 'f16' | 'nf4' | 'nf4-double';

/** A weight in a form, as inputs of a case, and the values that the kernels must see. */
export function caseWeight(
  form: WeightForm,
  O: number,
  C: number,
  stream: number,
): {
  inputs: Record<string, CaseInput>;
  values: ArrayLike<number>;
  weight: (t: Record<string, Tensor>) => LinearWeight;
} {
  const dense = caseNumbers(O * C, stream);
  const shape = [O, C] as const;
  if (form === 'f32' || form === 'f16') {
    const values = form === 'f32' ? dense : dense.map((v) => f16ToNumber(numberToF16(v)));
    return {
      inputs: { w: { shape, dtype: form, data: values } },
      values,
      weight: (t) => ({ kind: form, shape, data: t.w! }),
    };
  }
  const single = nf4Quantize(dense);
  const packed: CaseInput = { shape: [single.packed.length], dtype: 'u8', data: single.packed };
  const blocks = single.absmax.length;
  if (form === 'nf4') {
    return {
      inputs: { packed, absmax: { shape: [blocks], data: single.absmax } },
      values: nf4Dequantize(single.packed, single.absmax, O * C),
      weight: (t) => ({ kind: 'nf4', shape, blockSize: 64, packed: t.packed!, absmax: t.absmax! }),
    };
  }
  const nested = nf4QuantizeAbsmax(single.absmax);
  const nestedData = [...createDynamicMap(), nested.offset, ...nested.nestedAbsmax];
  return {
    inputs: {
      packed,
      absmax: { shape: [blocks], dtype: 'u8', data: nested.codes },
      nested: { shape: [nestedData.length], data: nestedData },
    },
    values: nf4Dequantize(single.packed, nf4DequantizeAbsmax(nested), O * C),
    weight: (t) => ({ kind: 'nf4', shape, blockSize: 64, packed: t.packed!, absmax: t.absmax!, nested: t.nested! }),
  };
}

interface Spec {
  operation: LinearOperation;
  variant: LinearVariant;
  form: WeightForm;
  /** Rows in use, and the capacity. */
  N: number;
  capacity: number;
  C: number;
  O: number;
  accumulate: boolean;
  rowsPerSlice?: number;
  /** Bytes of a binding; the adapter's by default. */
  bindingLimit?: number;
  why: string;
}

function linearCase(spec: Spec): KernelCase {
  const { operation, variant, form, N, capacity, C, O, accumulate, why } = spec;
  const weight = caseWeight(form, O, C, 3);
  const x = caseNumbers(capacity * C, 1);
  const dY = caseNumbers(capacity * O, 2);
  const inputs: KernelCase['inputs'] = {
    ...(operation === 'backward_input' ? {} : { x: { shape: [capacity, C], data: x } }),
    ...(operation === 'forward' ? {} : { dY: { shape: [capacity, O], data: dY } }),
    ...(operation === 'backward_weight' ? {} : weight.inputs),
  };
  const [rowsOut, columns, sumLength, values] = {
    forward: () => [capacity, O, C, reference.linearForward(x, weight.values, N, C, O)] as const,
    backward_input: () => [capacity, C, O, reference.linearBackwardInput(dY, weight.values, N, C, O)] as const,
    backward_weight: () => [O, C, N, reference.linearBackwardWeight(dY, x, N, C, O)] as const,
  }[operation]();
  const add = accumulate || operation === 'backward_weight';
  const initial = add ? caseNumbers(rowsOut * columns, 4) : undefined;
  // Rows past the count must stay as they were.
  const expected = Float64Array.from({ length: rowsOut * columns }, (_, i) => {
    const start = initial === undefined ? NaN : initial[i]!;
    return i >= values.length ? start : (add ? start : 0) + values[i]!;
  });
  return {
    kernel: `linear_${operation}_${variant}`,
    name: `(N,C,O)=(${N},${C},${O}) ${form}${add ? ', adds' : ''}: ${why}`,
    unsupported: (gpu) =>
      form === 'f16' && !gpu.features.f16 ? 'this adapter has no shader-f16' : variantUnsupported(gpu, variant),
    inputs,
    outputs: {
      out: { shape: [rowsOut, columns], expected, sumLength, ...(initial === undefined ? {} : { initial }) },
    },
    commands: (gpu, t, arena) =>
      withVariant(gpu, variant, () => {
        const rows = rowsInUse(gpu, arena, capacity, N);
        const slicing = spec.rowsPerSlice === undefined ? {} : { rowsPerSlice: spec.rowsPerSlice };
        const through = (): Parameters<typeof linearForward>[2] => ({
          rows,
          weight: weight.weight(t),
          accumulate,
          ...slicing,
        });
        const prepare = {
          forward: () => linearForward(gpu, { x: t.x!, y: t.out! }, through()),
          backward_input: () => linearBackwardInput(gpu, { dY: t.dY!, dX: t.out! }, through()),
          backward_weight: () => linearBackwardWeight(gpu, { x: t.x!, dY: t.dY!, dW: t.out! }, { rows, ...slicing }),
        }[operation];
        return withBindingLimit(gpu, spec.bindingLimit, prepare);
      }),
  };
}

/**
 * Workgroup memory compiles for seconds on software adapters, where nothing uses it: there a few cases must do, since the
 * operand preludes are checked by the other variants.
 */
export function mostlyOnHardware(variant: LinearVariant, kernelCase: KernelCase): KernelCase {
  if (variant !== 'tiled' && variant !== 'few_rows') return kernelCase;
  return {
    ...kernelCase,
    unsupported: (gpu) =>
      kernelCase.unsupported?.(gpu) ??
      (gpu.adapter.software ? 'compiles for seconds on a software adapter, where it is never used' : undefined),
  };
}

/** Weights that exceed a binding, with what the binding holds. */
const CUT: Omit<Spec, 'operation' | 'variant' | 'accumulate'>[] = [
  { form: 'f32', N: 5, capacity: 6, C: 36, O: 200, bindingLimit: 10_000, why: 'four parts, a short one last' },
  { form: 'f32', N: 3, capacity: 3, C: 65, O: 135, bindingLimit: 17_000, why: 'three parts, odd everything' },
  { form: 'f16', N: 5, capacity: 5, C: 36, O: 200, bindingLimit: 5000, why: 'four parts' },
  { form: 'nf4', N: 3, capacity: 3, C: 128, O: 330, bindingLimit: 9000, why: 'three parts, whole words of codes' },
  {
    form: 'nf4-double',
    N: 3,
    capacity: 3,
    C: 65,
    O: 600,
    bindingLimit: 17_000,
    why: 'two parts, blocks straddle rows',
  },
];

export const linearCases: CaseFamily = {
  family: 'linear',
  cases: () => {
    const cases: KernelCase[] = [];
    const forms: WeightForm[] = ['f32', 'f16', 'nf4', 'nf4-double'];
    const shapes: [N: number, capacity: number, C: number, O: number, why: string][] = [
      [1, 1, 1, 1, 'the smallest'],
      [3, 5, 65, 7, 'odd everything, blocks straddle rows, fewer rows than the capacity'],
      [37, 40, 36, 20, 'multiples of 4, not of a tile'],
      [5, 33, 6, 130, 'C mod 4 = 2'],
      [66, 66, 128, 72, 'whole blocks, several tiles'],
      [17, 17, 12, 261, 'vec4 loads, scalar stores'],
      [130, 133, 48, 24, 'the tallest tile, cut off in its middle'],
      [20, 20, 40, 36, 'whole words of codes, blocks straddle rows'],
    ];
    for (const variant of linearVariants) {
      for (const operation of ['forward', 'backward_input', 'backward_weight'] as const) {
        if (!variantExists(variant, operation)) continue;
        const sliced = { N: 37, capacity: 40, C: 36, O: 20, rowsPerSlice: 16, why: 'three slices of rows' };
        cases.push(
          mostlyOnHardware(variant, linearCase({ operation, variant, form: 'f32', accumulate: true, ...sliced })),
        );
        CUT.filter(({ form }) => operation !== 'backward_weight' || form === 'f32').forEach((spec, i) =>
          cases.push(mostlyOnHardware(variant, linearCase({ ...spec, operation, variant, accumulate: i % 2 === 1 }))),
        );
        for (const form of operation === 'backward_weight' ? (['f32'] as const) : forms) {
          shapes.forEach(([N, capacity, C, O, why], i) => {
            const spec = { operation, variant, form, N, capacity, C, O, accumulate: i % 2 === 1, why };
            if (form !== 'f32' && ![1, 2, 4, 6, 7].includes(i)) return; // the tile's edges are checked with f32
            const always = (i === 1 && form === 'nf4-double') || (i === 4 && (form === 'f32' || form === 'f16'));
            cases.push(always ? linearCase(spec) : mostlyOnHardware(variant, linearCase(spec)));
          });
        }
      }
    }
    return cases;
  },
};
