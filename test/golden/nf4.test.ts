// nf4.test.ts: NF4 on the GPU and in reference/ against bitsandbytes' own bytes (test/fixtures/golden/nf4, 12 cases). Packed
// bytes, scales, their mean and single-quantised values must be exact; elements that the fixture names as ambiguous are excused, no others.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bf16ToNumber, numberToBf16 } from '../../src/base/dtypes';
import { createDynamicMap } from '../../src/base/nf4';
import { Recorder } from '../../src/gpu/commands';
import { makeNf4Weight, nf4Dequantize, nf4Quantize } from '../../src/kernels/quantize';
import type { Nf4Weight } from '../../src/kernels/weights';
import * as reference from '../../src/reference/nf4';
import { testGpu } from '../kernels/device';

interface Case {
  shape: number[];
  dtype: string;
  'ambiguous_elements_within_1e-6_of_a_decision_boundary': number[];
  'ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary': number[];
}
const folder = new URL('../fixtures/golden/nf4/', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as { cases: Record<string, Case> };

/** The fixture's tensors; only the dtypes that occur in it. */
function readTensors(): Map<string, ArrayLike<number>> {
  const bytes = readFileSync(new URL('expected.safetensors', folder));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  const out = new Map<string, ArrayLike<number>>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const part = new Uint8Array(bytes.subarray(8 + headerBytes + data_offsets[0], 8 + headerBytes + data_offsets[1]));
    if (dtype === 'U8') out.set(name, part);
    else if (dtype === 'F32') out.set(name, new Float32Array(part.buffer));
    else if (dtype === 'BF16') out.set(name, Array.from(new Uint16Array(part.buffer), bf16ToNumber));
    else throw new Error(`fixture dtype ${dtype}`);
  }
  return out;
}
const golden = readTensors();

/** Distance in float32 steps. */
function ulps(a: number, b: number): number {
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  const ordered = Array.from(bits, (v) => (v < 0 ? -(v & 0x7fffffff) : v));
  return Math.abs(ordered[0]! - ordered[1]!);
}

describe.each(Object.entries(cases))('NF4 equals bitsandbytes on %s', (name, info) => {
  const get = (suffix: string): ArrayLike<number> => golden.get(`${name}.${suffix}`)!;
  const elements = info.shape.reduce((p, s) => p * s, 1);
  const shape: [number, number] = info.shape.length === 2 ? [info.shape[0]!, info.shape[1]!] : [1, elements];
  const input = Float32Array.from(get('input'));
  const excused = new Set(info['ambiguous_elements_within_1e-6_of_a_decision_boundary']);
  const excusedAbsmax = new Set(info['ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary']);
  const asInput = (v: number): number => (info.dtype === 'torch.bfloat16' ? bf16ToNumber(numberToBf16(v)) : v);

  const expectCodes = (packed: ArrayLike<number>, wanted: ArrayLike<number>): void => {
    expect(packed.length).toBe(wanted.length);
    const wrong: number[] = [];
    for (let i = 0; i < 2 * wanted.length; i++) {
      if (reference.nf4Code(packed, i) !== reference.nf4Code(wanted, i) && !excused.has(i)) wrong.push(i);
    }
    expect(wrong).toEqual([]);
  };
  const expectNested = (codes: ArrayLike<number>, offset: number, nestedAbsmax: ArrayLike<number>): void => {
    expect(offset).toBe(get('double.offset')[0]!);
    const wanted = get('double.absmax');
    const wrong = Array.from(wanted, (_, b) => b).filter((b) => codes[b] !== wanted[b] && !excusedAbsmax.has(b));
    expect(wrong).toEqual([]);
    expect(Array.from(nestedAbsmax)).toEqual(Array.from(get('double.nested_absmax')));
  };

  it('in the reference', () => {
    const single = reference.nf4Quantize(input);
    expectCodes(single.packed, get('single.packed'));
    expect(Array.from(single.absmax)).toEqual(Array.from(get('single.absmax')));
    const nested = reference.nf4QuantizeAbsmax(single.absmax);
    expectNested(nested.codes, nested.offset, nested.nestedAbsmax);
    expect(Array.from(createDynamicMap())).toEqual(Array.from(get('double.nested_code')));
  });

  it('on the GPU: quantised, single and double', async () => {
    const gpu = await testGpu();
    const arena = gpu.arena('golden');
    const x = arena.upload('x', shape, 'f32', input);
    const single = makeNf4Weight(arena, 'single', shape, { double: false });
    const double = makeNf4Weight(arena, 'double', shape, { double: true });
    const commands = [
      ...nf4Quantize(gpu, { x }, { weight: single, arena }),
      ...nf4Quantize(gpu, { x }, { weight: double, arena }),
    ];
    await gpu.settled();
    new Recorder(gpu, 'quantise').add(...commands).submit();
    const bytes = async (weight: Nf4Weight): Promise<Uint8Array> =>
      new Uint8Array(await gpu.read(weight.packed)).subarray(0, Math.ceil(elements / 2));
    expectCodes(await bytes(single), get('single.packed'));
    expectCodes(await bytes(double), get('double.packed'));
    expect(Array.from(await gpu.readF32(single.absmax))).toEqual(Array.from(get('single.absmax')));
    const nested = await gpu.readF32(double.nested!);
    expectNested(new Uint8Array(await gpu.read(double.absmax)), nested[256]!, nested.subarray(257));
    arena.destroy();
  });

  it('on the GPU: dequantised from its own bytes, single and double', async () => {
    const gpu = await testGpu();
    const arena = gpu.arena('golden');
    for (const kind of ['single', 'double'] as const) {
      const weight = makeNf4Weight(arena, kind, shape, { double: kind === 'double' });
      gpu.write(weight.packed, Uint8Array.from(get(`${kind}.packed`)));
      if (kind === 'single') gpu.write(weight.absmax, Float32Array.from(get('single.absmax')));
      else {
        gpu.write(weight.absmax, Uint8Array.from(get('double.absmax')));
        const nested = ['nested_code', 'offset', 'nested_absmax'].flatMap((part) => Array.from(get(`double.${part}`)));
        gpu.write(weight.nested!, Float32Array.from(nested));
      }
      const y = arena.tensor('y', shape);
      const commands = nf4Dequantize(gpu, { y }, { weight });
      await gpu.settled();
      new Recorder(gpu, 'dequantise').add(...commands).submit();
      const actual = await gpu.readF32(y);
      const wanted = get(`${kind}.dequantized`);
      let worst = 0;
      for (let i = 0; i < elements; i++) {
        const got = asInput(actual[i]!);
        if (got !== wanted[i]!)
          worst = Math.max(worst, info.dtype === 'torch.bfloat16' ? Infinity : ulps(got, wanted[i]!));
      }
      expect(worst, kind).toBe(0);
    }
    arena.destroy();
  });
});
