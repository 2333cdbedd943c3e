// streamedStudents.test.ts: students whose tensors are far larger than a chunk: every weight on the GPU has the bits that the
// reference says, whatever the stored dtype; a bad element is found wherever it lies; what is held meanwhile is bounded; and a
// sink sees what a cache must keep. All checkpoints are random and made in memory.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { numberToBf16, numberToF16 } from '../../src/base/dtypes';
import { PupilError } from '../../src/base/errors';
import { createDynamicMap } from '../../src/base/nf4';
import { RandomStream } from '../../src/base/random';
import { bnb4bitTensors, withBnb4bitConfig } from '../../src/formats/bnb4bit';
import { memorySource, type ByteSource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import type { JsonObject } from '../../src/formats/jsonText';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import type { StoredNf4, WeightSink } from '../../src/formats/weightSink';
import type { Gpu } from '../../src/gpu/device';
import type { Tensor } from '../../src/gpu/tensor';
import type { LinearWeight } from '../../src/kernels/weights';
import { LINEAR_NAMES } from '../../src/base/linearNames';

import { parameterShapes } from '../../src/model/parameterShapes';
import { Student } from '../../src/model/student';
import type { LoadOptions } from '../../src/model/studentLoading';
import { quantizerBytes } from '../../src/model/weightQuantizer';
import { chunkCapacity, streamBytes } from '../../src/model/weightStream';
import { decodeF16 } from '../../src/reference/decode';
import { nf4Quantize, nf4QuantizeAbsmax } from '../../src/reference/nf4';
import { freshGpu, testGpu } from '../kernels/device';

/** Odd sizes: gate has 131 · 90 = 11,790 elements, the embedding 301 · 90 = 27,090; a chunk has 4,096 of f32, or 8,192. */
const CONFIG: JsonObject = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 90,
  intermediate_size: 131,
  num_hidden_layers: 1,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  vocab_size: 301,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};
const CHUNK_BYTES = 16_384;
const EMBEDDING = 'model.embed_tokens.weight';
const GATE = 'model.layers.0.mlp.gate_proj.weight';
const ELEMENTS: Readonly<Record<string, number>> = { [EMBEDDING]: 301 * 90, [GATE]: 131 * 90 };

type Form = 'f32' | 'f16' | 'bf16' | 'f64';
type Values = ReadonlyMap<string, Float32Array>;

function tensorOf(name: string, shape: readonly number[], values: Float32Array, form: Form): TensorData {
  if (form === 'f32') return { name, dtype: form, shape, data: values };
  if (form === 'f64') return { name, dtype: form, shape, data: Float64Array.from(values) };
  return { name, dtype: form, shape, data: Uint16Array.from(values, form === 'f16' ? numberToF16 : numberToBf16) };
}

const { matrices, vectors } = parameterShapes(parseModelConfig(CONFIG));
const SHAPES = new Map([...matrices, ...vectors].map(({ name, shape }) => [name, shape]));

/** Seeded values, changed where `change` says; and the checkpoint that stores them. */
function tensors(form: Form, change: (name: string, values: Float32Array) => void = () => undefined): TensorData[] {
  return Array.from(SHAPES, ([name, shape]) => {
    const random = new RandomStream(3, name);
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => random.nextNormal() ** 3);
    change(name, values);
    return tensorOf(name, shape, values, form);
  });
}

function open(parts: readonly TensorData[], config = CONFIG, wrap = (source: ByteSource) => source) {
  const files: Record<string, ByteSource> = {
    'config.json': memorySource('config.json', new TextEncoder().encode(JSON.stringify(config))),
    'model.safetensors': wrap(memorySource('model.safetensors', writeSafetensors(parts))),
  };
  return openCheckpoint((path) => Promise.resolve(files[path]), 'pupil');
}

/** The values that a checkpoint stores, read by the CPU's own path. */
async function valuesOf(checkpoint: Checkpoint): Promise<Values> {
  const entries = [...SHAPES.keys()].map(async (name) => [name, await checkpoint.readF32(name)] as const);
  return new Map(await Promise.all(entries));
}

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const load = (checkpoint: Checkpoint, options: Partial<LoadOptions> = {}): Promise<Student> =>
  Student.load(gpu, checkpoint, { quantize: 'none', chunkBytes: CHUNK_BYTES, ...options });

const bytesOf = async (tensor: Tensor, count: number): Promise<Uint8Array> =>
  new Uint8Array(await gpu.read(tensor)).subarray(0, count);
const bits = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const bytesIn = ({ data }: TensorData): Uint8Array => bits(data);

/** Equal bytes; a comparison that tells the first difference instead of printing both. */
function expectBytes(got: Uint8Array, wanted: Uint8Array, what?: string): void {
  expect(got.byteLength, what).toBe(wanted.byteLength);
  if (Buffer.compare(got, wanted) === 0) return;
  expect(`differs at byte ${got.findIndex((byte, i) => byte !== wanted[i])}`, what).toBe('equal');
}

function linearOf(student: Student): [name: string, weight: LinearWeight][] {
  return LINEAR_NAMES.map((name) => {
    const group =
      name.endsWith('proj') && ['gate', 'up', 'down'].some((part) => name.startsWith(part)) ? 'mlp' : 'self_attn';
    return [`model.layers.0.${group}.${name}.weight`, student.layers[0]!.linear[name]];
  });
}

async function expectNf4(name: string, weight: LinearWeight, values: Float32Array): Promise<void> {
  if (weight.kind !== 'nf4') throw new Error(`${name} is ${weight.kind}`);
  const single = nf4Quantize(values);
  expectBytes(await bytesOf(weight.packed, single.packed.length), single.packed, name);
  if (weight.nested === undefined) {
    expectBytes(await bytesOf(weight.absmax, single.absmax.byteLength), bits(single.absmax), name);
    return;
  }
  const { codes, offset, nestedAbsmax } = nf4QuantizeAbsmax(single.absmax);
  expectBytes(await bytesOf(weight.absmax, codes.length), codes, name);
  expect(Array.from((await gpu.readF32(weight.nested)).subarray(256)), name).toEqual([offset, ...nestedAbsmax]);
}

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

describe('what is refused', () => {
  const whole = (name: string): number => ELEMENTS[name]!;
  const places = [0, 4095, 4096, 8191, 8192, 8193, -1];
  let current: number;
  let alive: number;
  beforeEach(() => {
    ({ current, buffersAlive: alive } = gpu.account);
  });
  afterEach(() => {
    expect([gpu.account.current, gpu.account.buffersAlive]).toEqual([current, alive]);
  });

  for (const name of [GATE, EMBEDDING] as const) {
    for (const form of ['f32', 'f16', 'bf16'] as const) {
      it(`${form}: NaN and infinity in ${name}, wherever they lie, by the first one's index`, async () => {
        for (const [i, place] of places.entries()) {
          const at = place < 0 ? whole(name) + place : place;
          const [value, later] = i % 2 === 0 ? [NaN, -Infinity] : [-Infinity, NaN];
          const checkpoint = await open(
            tensors(form, (tensor, values) => {
              if (tensor !== name) return;
              values[at] = value;
              values[Math.min(at + 1, values.length - 1)] = at + 1 < values.length ? later : value;
            }),
          );
          for (const quantize of ['none', 'nf4-double'] as const) {
            await expect(load(checkpoint, { quantize })).rejects.toMatchObject({
              code: 'checkpoint',
              message: `pupil: "${name}": element ${at} is ${value}, expected a finite number`,
            });
          }
        }
      });
    }
  }

  it('an F64 number that float32 cannot hold', async () => {
    const parts = tensors('f64').map((part) =>
      part.name === GATE ? { ...part, data: (part.data as Float64Array).with(5000, 1e300) } : part,
    );
    await expect(load(await open(parts))).rejects.toMatchObject({
      message: `pupil: "${GATE}": element 5000 is Infinity, expected a finite number`,
    });
  });

  it('a missing norm, before a byte of the weights is read', async () => {
    const read: [number, number][] = [];
    const watched = (source: ByteSource): ByteSource => ({
      ...source,
      read: (start, end) => (read.push([start, end]), source.read(start, end)),
    });
    const checkpoint = await open(tensors('f16').slice(0, -1), CONFIG, watched);
    const headers = read.length;
    await expect(load(checkpoint)).rejects.toMatchObject({
      message: expect.stringContaining('model.norm.weight') as string,
    });
    expect(read.length).toBe(headers);
  });

  it('a read that fails in the middle: its own error', async () => {
    const failing = (source: ByteSource): ByteSource => ({
      ...source,
      read: (start, end) =>
        start > source.size / 2
          ? Promise.reject(new PupilError('source', 'the cable was cut'))
          : source.read(start, end),
    });
    const checkpoint = await open(tensors('f16'), CONFIG, failing);
    await expect(load(checkpoint, { quantize: 'nf4' })).rejects.toMatchObject({ message: 'the cable was cut' });
  });

  it('a sink that fails: its own error', async () => {
    const sink: WeightSink = { dense: () => Promise.resolve(), nf4: () => Promise.reject(new Error('no room')) };
    await expect(load(await open(tensors('f16')), { quantize: 'nf4', sink })).rejects.toThrow('no room');
  });

  it('a load that is cancelled in the middle of a tensor: it stops there', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }): void => {
      seen.push(done);
      if (done > 5000) stop.abort();
    };
    await expect(load(await open(tensors('f32')), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(seen).toEqual([4096, 8192]);
  });
});

describe('what is held', () => {
  it.each(['none', 'nf4', 'nf4-double'] as const)(
    '%s: at most five pieces in memory, and on the GPU what the plan says',
    async (quantize) => {
      let held = 0;
      let most = 0;
      const counted = (source: ByteSource): ByteSource => ({
        ...source,
        async read(start, end) {
          most = Math.max(most, ++held);
          expect(end - start).toBeLessThanOrEqual(CHUNK_BYTES);
          await new Promise((resolve) => setTimeout(resolve, 1));
          return source.read(start, end);
        },
      });
      const checkpoint = await open(tensors('f16'), CONFIG, counted);
      [held, most] = [0, 0];
      gpu.account.restartPeak();
      const before = gpu.account.current;
      const onProgress = (): void => void held--;
      const student = await load(checkpoint, { quantize, onProgress });
      expect(held).toBe(0);
      expect(most).toBe(5); // one in use, four ahead
      const beside = gpu.account.peak - before - student.sizeBytes;
      const bound = streamBytes(ELEMENTS[EMBEDDING]!, CHUNK_BYTES);
      expect(beside).toBeLessThanOrEqual(bound + (quantize === 'nf4-double' ? quantizerBytes(ELEMENTS[GATE]!) : 0));
      expect(gpu.account.current - before).toBe(student.sizeBytes);
      student.destroy();
    },
  );

  it('memory of its own is given back when it has been used; memory of others, and what a sink may keep, is not', async () => {
    const prototype = ArrayBuffer.prototype as { transfer?: (length: number) => ArrayBuffer };
    const given = vi.fn(function (this: ArrayBuffer) {
      return structuredClone(this, { transfer: [this] });
    });
    const own = prototype.transfer;
    prototype.transfer = given; // Node 20 has none
    try {
      const read: Uint8Array[] = [];
      const fresh = (source: ByteSource): ByteSource => ({
        ...source,
        fresh: true,
        async read(start, end) {
          const bytes = (await source.read(start, end)).slice();
          read.push(bytes);
          return bytes;
        },
      });
      const checkpoint = await open(tensors('f16'), CONFIG, fresh);
      read.length = 0;
      const student = await load(checkpoint, { quantize: 'nf4' });
      expect(read.length).toBeGreaterThan(10);
      expect(read.filter((bytes) => bytes.byteLength > 0)).toEqual([]);
      for (const [name, weight] of linearOf(student))
        await expectNf4(name, weight, (await valuesOf(checkpoint)).get(name)!);
      student.destroy();

      const kept: Uint8Array[] = [];
      const sink: WeightSink = {
        dense: (_name, _info, _start, bytes) => Promise.resolve(void kept.push(bytes)),
        nf4: () => Promise.resolve(),
      };
      (await load(checkpoint, { quantize: 'nf4', sink })).destroy();
      expect(kept.every((bytes) => bytes.byteLength > 0)).toBe(true);

      given.mockClear();
      (await load(await open(tensors('f16')), { quantize: 'nf4' })).destroy();
      expect(given).not.toHaveBeenCalled();
    } finally {
      if (own === undefined) delete prototype.transfer;
      else prototype.transfer = own;
    }
  });

  it('a chunk is as long as asked for, or as the largest tensor needs', () => {
    expect(chunkCapacity(1)).toBe(16_384);
    expect(chunkCapacity(4097)).toBe(32_768);
    expect(chunkCapacity(10 ** 9)).toBe(4 * 2 ** 20);
    expect(chunkCapacity(10 ** 9, 50_000)).toBe(49_152);
    expect(chunkCapacity(10 ** 9, 1)).toBe(16_384);
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
    gpu = await freshGpu({ tier: 'f16' });
    return async () => {
      gpu.destroy();
      gpu = await testGpu();
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
