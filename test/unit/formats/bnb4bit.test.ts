// Claims about formats/bnb4bit.ts: what bitsandbytes wrote reads as it is, dequantises (by plain loops here) to the golden
// weights, and is written back byte for byte; every companion tensor is checked.
import { describe, expect, it } from 'vitest';
import { NF4_CODES } from '../../../src/base/nf4';
import { memorySource } from '../../../src/formats/byteSource';
import {
  bnb4bitTensors,
  isBnb4bitWeight,
  readBnb4bitWeight,
  withBnb4bitConfig,
  type Bnb4bitWeight,
} from '../../../src/formats/bnb4bit';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../../../src/formats/safetensors';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../../src/formats/safetensorsWrite';
import { bytesAt, expectRefusal, fileAt, GOLDEN, jsonAt, openFolder, text } from './files';

const readerAt = async (path: string): Promise<TensorReader> =>
  tensorReader(await readSafetensorsHeader(fileAt(`${GOLDEN}/${path}`)));
const readerOf = async (tensors: TensorData[]): Promise<TensorReader> =>
  tensorReader(await readSafetensorsHeader(memorySource('w.safetensors', writeSafetensors(tensors))));

/** Element i = code · absmax of its block, in float32: the definition, independent of reference/. */
function dequantized({ packed, shape, absmax }: Bnb4bitWeight): Float32Array {
  const f = Math.fround;
  const scale = (block: number): number => {
    if (absmax instanceof Float32Array) return absmax[block]!;
    const { codes, nestedMap, nestedAbsmax, offset } = absmax;
    return f(f(nestedMap[codes[block]!]! * nestedAbsmax[Math.floor(block / 256)]!) + f(offset));
  };
  return Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const byte = packed[i >> 1]!;
    return NF4_CODES[i % 2 === 0 ? byte >> 4 : byte & 15]! * scale(Math.floor(i / 64));
  });
}

/** A small weight of our own, with one scale per block: (3, 65), odd and ragged. */
const single = (): Bnb4bitWeight => ({
  packed: Uint8Array.from({ length: 98 }, (_, i) => (i * 37) & 255),
  shape: [3, 65],
  absmax: Float32Array.of(1, 0.5, 2, 0.25),
  blockSize: 64,
  dtype: 'bf16',
});
const double = (): Bnb4bitWeight => ({
  ...single(),
  absmax: {
    codes: Uint8Array.of(0, 128, 255, 7),
    nestedAbsmax: Float32Array.of(1.5),
    nestedMap: Float32Array.from({ length: 256 }, (_, i) => i / 255),
    offset: 1e-5,
  },
});

describe('reading', () => {
  it('a real Linear4bit with double quantisation dequantises to the golden weight', async () => {
    const weight = await readBnb4bitWeight(await readerAt('nf4/linear4bit_double_state_dict.safetensors'), 'weight');
    expect(weight).toMatchObject({ shape: [172, 64], blockSize: 64, dtype: 'f32' });
    expect(weight.absmax).not.toBeInstanceOf(Float32Array);
    const golden = await (await readerAt('nf4/linear4bit_double_expected.safetensors')).readF32('dequantized');
    const ours = dequantized(weight);
    const worst = golden.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - ours[i]!) / (Math.abs(value) + 1e-30)),
      0,
    );
    expect(worst).toBeLessThanOrEqual(2 ** -22); // 2 ulp
  });

  it('all 14 linear weights of the bnb-4bit checkpoint dequantise to what transformers gives', async () => {
    const checkpoint = await openCheckpoint(openFolder(`${GOLDEN}/qlora-llama-tiny-double/hf_bnb4bit`));
    const golden = await readerAt('qlora-llama-tiny-double/dequantized_f32/model.safetensors');
    const quantised = golden.tensorNames.filter((name) => isBnb4bitWeight(checkpoint, name));
    expect(quantised).toHaveLength(14);
    for (const name of quantised) {
      const weight = await readBnb4bitWeight(checkpoint, name);
      expect(weight.shape).toEqual(golden.info(name).shape);
      const ours = dequantized(weight);
      const wanted = await golden.readF32(name);
      const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
      expect(worst).toBeLessThanOrEqual(1e-7);
    }
  });

  it('one scale per block', async () => {
    const weight = single();
    expect(await readBnb4bitWeight(await readerOf(bnb4bitTensors('a.weight', weight)), 'a.weight')).toEqual(weight);
  });
});

describe('writing', () => {
  it('the bnb-4bit checkpoint is written back byte for byte', async () => {
    const path = 'qlora-llama-tiny-double/hf_bnb4bit';
    const checkpoint = await openCheckpoint(openFolder(`${GOLDEN}/${path}`));
    const tensors: TensorData[] = [];
    for (const name of checkpoint.tensorNames) {
      if (isBnb4bitWeight(checkpoint, name)) {
        tensors.push(...bnb4bitTensors(name, await readBnb4bitWeight(checkpoint, name)));
      } else if (!/\.weight\..+/.test(name)) {
        const { dtype, shape } = checkpoint.info(name);
        tensors.push({ name, dtype, shape, data: await checkpoint.readBytes(name) });
      }
    }
    const written = writeSafetensors(inLibraryOrder(tensors), { format: 'pt' });
    expect(Buffer.from(written).equals(bytesAt(`${GOLDEN}/${path}/model.safetensors`))).toBe(true);
  });

  it('double quantisation survives a round trip, a tiny offset included', async () => {
    const tensors = bnb4bitTensors('a.weight', double());
    expect(await readBnb4bitWeight(await readerOf(tensors), 'a.weight')).toEqual(double());
    const state = tensors.find(({ name }) => name.endsWith('bitsandbytes__nf4'))!;
    expect(new TextDecoder().decode(state.data)).toBe(
      '{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [3, 65], "nested_blocksize": 256, ' +
        '"nested_dtype": "float32", "nested_offset": 1e-05}',
    );
  });

  it('the config gains the golden quantization_config', () => {
    const plain = jsonAt(`${GOLDEN}/llama-tiny/config.json`);
    const golden = jsonAt(`${GOLDEN}/qlora-llama-tiny-double/hf_bnb4bit/config.json`);
    const written = withBnb4bitConfig(plain, true);
    expect(written['quantization_config']).toEqual(golden['quantization_config']);
    expect(parseModelConfig(written).quantization?.doubleQuantized).toBe(true);
    expect(() => withBnb4bitConfig(written, true)).toThrow('unquantised');
  });
});

describe('damaged companions are refused by name', () => {
  const W = 'a.weight';
  const STATE = `${W}.quant_state.bitsandbytes__nf4`;
  const state = (change: object): Uint8Array =>
    text(
      JSON.stringify({
        ...{ quant_type: 'nf4', blocksize: 64, dtype: 'bfloat16', shape: [3, 65] },
        ...{ nested_blocksize: 256, nested_dtype: 'float32', nested_offset: 0.5 },
        ...change,
      }),
    );
  const withState = (bytes: Uint8Array): Partial<TensorData> => ({ dtype: 'u8', shape: [bytes.length], data: bytes });
  const f32 = (...values: number[]): Partial<TensorData> => {
    return { dtype: 'f32', shape: [values.length], data: Float32Array.from(values) };
  };
  const u8 = (length: number): Partial<TensorData> => ({ dtype: 'u8', shape: [length], data: new Uint8Array(length) });
  const cases: [claim: string, tensor: string, change: Partial<TensorData> | undefined, words: string[]][] = [
    ['absmax missing', `${W}.absmax`, undefined, [`${W}.absmax`]],
    ['quant_map missing', `${W}.quant_map`, undefined, [`${W}.quant_map`]],
    ['nested map missing', `${W}.nested_quant_map`, undefined, [`${W}.nested_quant_map`]],
    ['packed too short', W, u8(97), [`"${W}"`, '98 elements of U8', '97']],
    ['weights not packed', W, f32(1, 2), [`"${W}"`, 'U8', 'F32']],
    ['absmax too short', `${W}.absmax`, u8(3), [`${W}.absmax`, '4 elements', '3']],
    ['absmax of floats beside a nested state', `${W}.absmax`, f32(1, 1, 1, 1), [`${W}.absmax`, 'U8', 'F32']],
    ['absmax nested is NaN', `${W}.nested_absmax`, f32(NaN), [`${W}.nested_absmax`, 'NaN', 'element 0']],
    ['nested absmax of two', `${W}.nested_absmax`, f32(1, 1), [`${W}.nested_absmax`, '1 elements', '2']],
    ['another codebook', `${W}.quant_map`, f32(...NF4_CODES.with(3, -0.39)), ['quant_map', 'NF4 codebook', 'index 3']],
    ['state that is no JSON', STATE, withState(text('{')), [STATE, 'JSON']],
    ['FP4', STATE, withState(state({ quant_type: 'fp4' })), [STATE, 'quant_type', '"fp4"']],
    ['blocks of 128', STATE, withState(state({ blocksize: 128 })), [STATE, 'blocksize', '64', '128']],
    ['dtype float8', STATE, withState(state({ dtype: 'float8' })), [STATE, 'dtype', 'float8']],
    ['shape of three', STATE, withState(state({ shape: [3, 5, 13] })), [STATE, 'shape', '[3,5,13]']],
    ['shape that overflows', STATE, withState(state({ shape: [2 ** 40, 2 ** 40] })), [STATE, 'shape']],
    ['shape of another weight', STATE, withState(state({ shape: [4, 65] })), [`"${W}"`, '130 elements', '98']],
    ['nested blocks of 64', STATE, withState(state({ nested_blocksize: 64 })), ['nested_blocksize', '256', '64']],
    ['offset missing', STATE, withState(state({ nested_offset: undefined })), ['nested_offset', 'finite number']],
  ];
  it.each(cases)('%s', async (_claim, tensor, change, words) => {
    const tensors = bnb4bitTensors(W, double()).flatMap((t) => {
      if (t.name !== tensor) return [t];
      return change === undefined ? [] : [{ ...t, ...change }];
    });
    const reader = await readerOf(tensors);
    const code = words.includes('JSON') ? 'format' : 'checkpoint';
    await expectRefusal(() => readBnb4bitWeight(reader, W), code, 'w.safetensors', ...words);
  });

  it('an FP4 weight is recognised and refused', async () => {
    const tensors = bnb4bitTensors(W, double()).map((t) =>
      t.name === STATE ? { ...t, name: `${W}.quant_state.bitsandbytes__fp4` } : t,
    );
    const reader = await readerOf(tensors);
    expect(isBnb4bitWeight(reader, W)).toBe(true);
    await expectRefusal(() => readBnb4bitWeight(reader, W), 'checkpoint', 'FP4', 'NF4');
  });
});
