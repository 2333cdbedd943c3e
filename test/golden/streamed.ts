// streamed.ts: a small student of odd sizes in every stored form, loaded in small chunks, and what its bits must be. For the
// tests of streamed loading.
import { expect } from 'vitest';
import { numberToBf16, numberToF16 } from '../../src/base/dtypes';
import { RandomStream } from '../../src/base/random';
import { memorySource, type ByteSource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import type { JsonObject } from '../../src/formats/jsonText';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import type { Gpu } from '../../src/gpu/device';
import type { Tensor } from '../../src/gpu/tensor';
import type { LinearWeight } from '../../src/kernels/weights';
import { LINEAR_NAMES } from '../../src/base/linearNames';
import { parameterShapes } from '../../src/model/parameterShapes';
import { Student } from '../../src/model/student';
import type { LoadOptions } from '../../src/model/studentLoading';
import { nf4Quantize, nf4QuantizeAbsmax } from '../../src/reference/nf4';
import { testGpu } from '../kernels/device';

/** Odd sizes: gate has 131 · 90 = 11,790 elements, the embedding 301 · 90 = 27,090; a chunk has 4,096 of f32, or 8,192. */
export const CONFIG: JsonObject = {
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
export const CHUNK_BYTES = 16_384;
export const EMBEDDING = 'model.embed_tokens.weight';
export const GATE = 'model.layers.0.mlp.gate_proj.weight';
export const ELEMENTS: Readonly<Record<string, number>> = { [EMBEDDING]: 301 * 90, [GATE]: 131 * 90 };

export type Form = 'f32' | 'f16' | 'bf16' | 'f64';
export type Values = ReadonlyMap<string, Float32Array>;

export function tensorOf(name: string, shape: readonly number[], values: Float32Array, form: Form): TensorData {
  if (form === 'f32') return { name, dtype: form, shape, data: values };
  if (form === 'f64') return { name, dtype: form, shape, data: Float64Array.from(values) };
  return { name, dtype: form, shape, data: Uint16Array.from(values, form === 'f16' ? numberToF16 : numberToBf16) };
}

const { matrices, vectors } = parameterShapes(parseModelConfig(CONFIG));
export const SHAPES = new Map([...matrices, ...vectors].map(({ name, shape }) => [name, shape]));

/** Seeded values, changed where `change` says; and the checkpoint that stores them. */
export function tensors(
  form: Form,
  change: (name: string, values: Float32Array) => void = () => undefined,
): TensorData[] {
  return Array.from(SHAPES, ([name, shape]) => {
    const random = new RandomStream(3, name);
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => random.nextNormal() ** 3);
    change(name, values);
    return tensorOf(name, shape, values, form);
  });
}

export function open(parts: readonly TensorData[], config = CONFIG, wrap = (source: ByteSource) => source) {
  const files: Record<string, ByteSource> = {
    'config.json': memorySource('config.json', new TextEncoder().encode(JSON.stringify(config))),
    'model.safetensors': wrap(memorySource('model.safetensors', writeSafetensors(parts))),
  };
  return openCheckpoint((path) => Promise.resolve(files[path]), 'pupil');
}

/** The values that a checkpoint stores, read by the CPU's own path. */
export async function valuesOf(checkpoint: Checkpoint): Promise<Values> {
  const entries = [...SHAPES.keys()].map(async (name) => [name, await checkpoint.readF32(name)] as const);
  return new Map(await Promise.all(entries));
}

/** The device of `load` and of what reads back: the tests' own, unless another is used. */
export let gpu: Gpu = await testGpu();
export function useGpu(other: Gpu): void {
  gpu = other;
}
export const load = (checkpoint: Checkpoint, options: Partial<LoadOptions> = {}): Promise<Student> =>
  Student.load(gpu, checkpoint, { quantize: 'none', chunkBytes: CHUNK_BYTES, ...options });

export const bytesOf = async (tensor: Tensor, count: number): Promise<Uint8Array> =>
  new Uint8Array(await gpu.read(tensor)).subarray(0, count);
export const bits = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
export const bytesIn = ({ data }: TensorData): Uint8Array => bits(data);

/** Equal bytes; a comparison that tells the first difference instead of printing both. */
export function expectBytes(got: Uint8Array, wanted: Uint8Array, what?: string): void {
  expect(got.byteLength, what).toBe(wanted.byteLength);
  if (Buffer.compare(got, wanted) === 0) return;
  expect(`differs at byte ${got.findIndex((byte, i) => byte !== wanted[i])}`, what).toBe('equal');
}

export function linearOf(student: Student): [name: string, weight: LinearWeight][] {
  return LINEAR_NAMES.map((name) => {
    const group =
      name.endsWith('proj') && ['gate', 'up', 'down'].some((part) => name.startsWith(part)) ? 'mlp' : 'self_attn';
    return [`model.layers.0.${group}.${name}.weight`, student.layers[0]!.linear[name]];
  });
}

export async function expectNf4(name: string, weight: LinearWeight, values: Float32Array): Promise<void> {
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
