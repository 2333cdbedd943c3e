// streamedStudents.test.ts: students whose tensors are far larger than a chunk: every weight on the GPU has the bits that the
// reference says, whatever the stored dtype; a bad element is found wherever it lies; what is held meanwhile is bounded; and a
// sink sees what a cache must keep. All checkpoints are random and made in memory.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createDynamicMap } from '../../src/base/nf4';
import { bnb4bitTensors, withBnb4bitConfig } from '../../src/formats/bnb4bit';
import { type TensorData } from '../../src/formats/safetensorsWrite';
import type { StoredNf4, WeightSink } from '../../src/formats/weightSink';
import type { Tensor } from '../../src/gpu/tensor';
import type { LinearWeight } from '../../src/kernels/weights';
import { decodeF16 } from '../../src/reference/decode';
import { nf4Quantize, nf4QuantizeAbsmax } from '../../src/reference/nf4';
import { freshGpu, testGpu } from '../kernels/device';
import {
  CONFIG,
  CHUNK_BYTES,
  EMBEDDING,
  GATE,
  SHAPES,
  tensors,
  open,
  valuesOf,
  gpu,
  load,
  bytesOf,
  bits,
  bytesIn,
  expectBytes,
  linearOf,
  expectNf4,
  useGpu,
} from './streamed';

describe('every weight has the bits of the reference', () => {
  for (const form of ['f32', 'f16', 'bf16', 'f64'] as const) {
    for (const quantize of ['none', 'nf4', 'nf4-double'] as const) {
      it(`${form} → ${quantize}, in chunks of 16 KiB and whole`, async () => {
        const checkpoint = await open(tensors(form));
        const values = await valuesOf(checkpoint);
        for (const chunkBytes of quantize === 'nf4' ? [CHUNK_BYTES, 3 * CHUNK_BYTES] : [CHUNK_BYTES, 2 ** 23]) {
          const student = await load(checkpoint, { quantize, chunkBytes });
          for (const [name, weight] of linearOf(student)) {
            if (quantize !== 'none') await expectNf4(name, weight, values.get(name)!);
            else if (weight.kind !== 'f32') throw new Error(weight.kind);
            else expectBytes(await bytesOf(weight.data, values.get(name)!.byteLength), bits(values.get(name)!), name);
          }
          const embedding = values.get(EMBEDDING)!;
          expectBytes(await bytesOf(student.embedding.data, embedding.byteLength), bits(embedding));
          const norm = values.get('model.norm.weight')!;
          expectBytes(await bytesOf(student.finalNorm, norm.byteLength), bits(norm));
          student.destroy();
        }
      });
    }
  }

  it('a student that is trained as a whole, from bf16', async () => {
    const checkpoint = await open(tensors('bf16'));
    const values = await valuesOf(checkpoint);
    const student = await load(checkpoint, { trainable: true });
    const flat = student.parameters!.split(await student.parameters!.read());
    expect([...flat.keys()].sort()).toEqual([...values.keys()].sort());
    for (const [name, { data }] of flat) expectBytes(bits(data), bits(values.get(name)!), name);
    student.destroy();
  });
});

describe('a sink', () => {
  /** Keeps what it sees, as a cache would. */
  class Kept implements WeightSink {
    readonly order: string[] = [];
    readonly parts = new Map<string, TensorData[]>();
    readonly weights = new Map<string, StoredNf4>();
    private readonly bytes = new Map<string, Uint8Array>();

    dense(...[name, info, start, bytes]: Parameters<WeightSink['dense']>): Promise<void> {
      const whole = this.bytes.get(name) ?? new Uint8Array(info.sizeBytes);
      if (!this.bytes.has(name)) this.order.push(name);
      expect(this.order.at(-1)).toBe(name);
      whole.set(bytes, start);
      this.bytes.set(name, whole);
      this.parts.set(name, [{ name, dtype: info.dtype, shape: info.shape, data: whole }]);
      return Promise.resolve();
    }

    nf4(name: string, weight: StoredNf4): Promise<void> {
      this.order.push(name);
      this.weights.set(name, weight);
      this.parts.set(name, bnb4bitTensors(name, weight));
      return Promise.resolve();
    }
  }

  for (const quantize of ['none', 'nf4', 'nf4-double'] as const) {
    it(`${quantize}: what it kept is a checkpoint that gives the same bits, and is passed on again`, async () => {
      const checkpoint = await open(tensors('bf16'));
      const kept = new Kept();
      const student = await load(checkpoint, { quantize, sink: kept });
      expect(kept.order).toEqual([...SHAPES.keys()]);
      for (const [name] of SHAPES) {
        const stored = kept.weights.get(name);
        expect(stored !== undefined, name).toBe(
          quantize !== 'none' && name.startsWith('model.layers.') && !name.includes('norm'),
        );
        if (stored === undefined)
          expectBytes(bytesIn(kept.parts.get(name)![0]!), await checkpoint.readBytes(name), name);
        else {
          const single = nf4Quantize(await checkpoint.readF32(name));
          expect(stored).toMatchObject({ shape: SHAPES.get(name), dtype: 'bf16', blockSize: 64 });
          expectBytes(stored.packed, single.packed, name);
          const nested = { ...nf4QuantizeAbsmax(single.absmax), nestedMap: createDynamicMap() };
          expect(stored.absmax).toEqual(quantize === 'nf4' ? single.absmax : nested);
        }
      }
      const config = quantize === 'none' ? CONFIG : withBnb4bitConfig(CONFIG, quantize === 'nf4-double');
      const again = new Kept();
      const second = await load(await open([...kept.parts.values()].flat(), config), { sink: again });
      for (const [i, [name, weight]] of linearOf(student).entries()) {
        const other = linearOf(second)[i]![1];
        expect(other.kind).toBe(weight.kind);
        const tensorsOf = (w: LinearWeight): Tensor[] =>
          w.kind === 'nf4' ? [w.packed, w.absmax, ...(w.nested === undefined ? [] : [w.nested])] : [w.data];
        for (const [j, tensor] of tensorsOf(weight).entries()) {
          const [mine, its] = [await gpu.read(tensor), await gpu.read(tensorsOf(other)[j]!)];
          expectBytes(new Uint8Array(its), new Uint8Array(mine), name);
        }
      }
      expect(again.order).toEqual(kept.order);
      for (const [name, parts] of kept.parts) {
        for (const [i, part] of parts.entries())
          expectBytes(bytesIn(again.parts.get(name)![i]!), bytesIn(part), part.name);
      }
      student.destroy();
      second.destroy();
    });
  }

  it('where there is none, nothing is read back', async () => {
    const read = vi.spyOn(gpu, 'read');
    (await load(await open(tensors('f16')), { quantize: 'nf4-double' })).destroy();
    expect(read).not.toHaveBeenCalled();
    (await load(await open(tensors('f16')), { quantize: 'nf4-double', sink: new Kept() })).destroy();
    expect(read).toHaveBeenCalled();
    read.mockRestore();
  });
});

const { features } = await testGpu();
describe.skipIf(!features.f16)('tier f16 (needs an adapter with shader-f16)', () => {
  beforeAll(async () => {
    const own = await freshGpu({ tier: 'f16' });
    useGpu(own);
    return async () => {
      own.destroy();
      useGpu(await testGpu());
    };
  });

  for (const form of ['f32', 'f16', 'bf16', 'f64'] as const) {
    it(`${form}: matrices are the nearest halves, norms stay float32`, async () => {
      const checkpoint = await open(tensors(form, (_, values) => values.set([1e-7, -6e-8, 65_024, 0.1, -0])));
      const values = await valuesOf(checkpoint);
      const student = await load(checkpoint);
      const dense = [[EMBEDDING, student.embedding], ...linearOf(student)] as const;
      for (const [name, weight] of dense) {
        if (weight.kind !== 'f16') throw new Error(`${name} is ${weight.kind}`);
        const wanted = decodeF16(values.get(name)!);
        expectBytes(await bytesOf(weight.data, wanted.byteLength), new Uint8Array(wanted.buffer), name);
      }
      const norm = values.get('model.norm.weight')!;
      expectBytes(await bytesOf(student.finalNorm, norm.byteLength), bits(norm));
      student.destroy();
    });
  }

  it('a number that no half can hold is refused by name, not stored as infinity', async () => {
    const checkpoint = await open(tensors('bf16', (name, values) => name === GATE && (values[9000] = -70_000)));
    await expect(load(checkpoint)).rejects.toMatchObject({
      code: 'checkpoint',
      message: `pupil: "${GATE}": element 9000 is -70144, expected a number that a half can hold (below 65520)`,
      hint: expect.stringContaining('tier f32') as string,
    });
    (await load(checkpoint, { quantize: 'nf4' })).destroy(); // NF4 has a scale
  });
});
