// bnb4bit.ts: NF4 weights as bitsandbytes stores them in safetensors (`W.weight` and its companions), read and written.
// The bytes are checked and passed on as they are: quantising and dequantising are in reference/ and kernels/.
// Source: bitsandbytes 0.50, functional.py, class QuantState (as_dict, from_dict).
import { elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { NF4_BLOCK, NF4_CODES, NF4_NESTED_BLOCK } from '../base/nf4';
import { isJsonObject, parseJsonObject, showValue, type JsonObject } from './jsonText';
import { dumpPythonJson, PythonFloat, type PythonJson } from './pythonJson';
import type { TensorReader } from './safetensors';
import type { TensorData, TensorSpec } from './safetensorsWrite';

const STATE_SUFFIX = '.quant_state.bitsandbytes__nf4';
const FP4_SUFFIX = '.quant_state.bitsandbytes__fp4';

/** The dtype the weight had before, and has after dequantising. */
export type Bnb4bitDtype = 'f32' | 'f16' | 'bf16';
const TORCH_DTYPES: Readonly<Record<string, Bnb4bitDtype>> = { float32: 'f32', float16: 'f16', bfloat16: 'bf16' };

/** Double quantisation: absmax[i] = nestedMap[codes[i]] · nestedAbsmax[⌊i/256⌋] + offset. */
export interface NestedAbsmax {
  /** (blocks) */
  codes: Uint8Array;
  /** (⌈blocks/256⌉) */
  nestedAbsmax: Float32Array;
  /** (256) */
  nestedMap: Float32Array;
  offset: number;
}

/** All of an NF4 weight but its packed elements: what is small. */
export interface Bnb4bitScales {
  shape: readonly [O: number, C: number];
  /** One scale per block, or these quantised again. */
  absmax: Float32Array | NestedAbsmax;
  blockSize: 64;
  dtype: Bnb4bitDtype;
}

/** A weight W (O, C) in NF4: element i of the flat weight is NF4_CODES[nibble i] · absmax[⌊i/64⌋]. */
export interface Bnb4bitWeight extends Bnb4bitScales {
  /** (⌈O·C/2⌉) the even element in the high nibble */
  packed: Uint8Array;
}

/** Whether a weight is stored in a 4-bit form of bitsandbytes. */
export function isBnb4bitWeight(reader: TensorReader, weight: string): boolean {
  return reader.has(weight + STATE_SUFFIX) || reader.has(weight + FP4_SUFFIX);
}

/**
 * Reads the NF4 weight stored under `weight` (e.g. `model.layers.0.mlp.up_proj.weight`) and its companion tensors.
 * @throws PupilError `checkpoint`, naming the tensor, where a companion is missing or its dtype, length or content is not
 *   what bitsandbytes writes, e.g. `model.safetensors: "….weight.absmax": expected 172 blocks, got 171`
 */
export async function readBnb4bitWeight(reader: TensorReader, weight: string): Promise<Bnb4bitWeight> {
  const scales = await readBnb4bitScales(reader, weight);
  return { ...scales, packed: await reader.readBytes(weight) };
}

/**
 * The same without the packed elements, which are the ⌈O·C/2⌉ bytes of the tensor `weight`; that there are as many is checked.
 * @throws PupilError as {@link readBnb4bitWeight}
 */
export async function readBnb4bitScales(reader: TensorReader, weight: string): Promise<Bnb4bitScales> {
  const fail = (tensor: string, expected: string, got: string, hint = DAMAGED): never => {
    throw new PupilError('checkpoint', `${reader.name}: "${tensor}": expected ${expected}, got ${got}`, hint);
  };
  if (reader.has(weight + FP4_SUFFIX)) {
    return fail(weight, 'NF4', 'FP4', 'Of 4-bit types only NF4 is read: quantise the original model with nf4.');
  }
  const { shape, dtype, offset } = await readQuantState(reader, weight);
  const elements = elementCount(shape);
  const blocks = Math.ceil(elements / NF4_BLOCK);

  /** A companion's dtype and length, checked before its bytes are read. */
  const expect = (tensor: string, wanted: DType, count: number): void => {
    const info = reader.info(tensor);
    const found = elementCount(info.shape);
    if (info.dtype !== wanted || found !== count) {
      fail(tensor, `${count} elements of ${wanted.toUpperCase()}`, `${found} of ${info.dtype.toUpperCase()}`);
    }
  };
  const readScales = async (tensor: string, count: number): Promise<Float32Array> => {
    expect(tensor, 'f32', count);
    const values = await reader.readF32(tensor);
    const bad = values.findIndex((value) => !Number.isFinite(value));
    return bad < 0 ? values : fail(tensor, 'finite numbers', `${values[bad]} at element ${bad}`);
  };

  expect(weight, 'u8', Math.ceil(elements / 2));
  const codebook = await readScales(`${weight}.quant_map`, 16);
  const other = codebook.findIndex((code, i) => code !== NF4_CODES[i]);
  if (other >= 0) {
    fail(`${weight}.quant_map`, `the NF4 codebook (${NF4_CODES[other]} at index ${other})`, `${codebook[other]}`);
  }
  const nested = offset !== undefined;
  const absmaxName = `${weight}.absmax`;
  let absmax: Float32Array | NestedAbsmax;
  if (nested) {
    expect(absmaxName, 'u8', blocks);
    absmax = {
      codes: await reader.readBytes(absmaxName),
      nestedAbsmax: await readScales(`${weight}.nested_absmax`, Math.ceil(blocks / NF4_NESTED_BLOCK)),
      nestedMap: await readScales(`${weight}.nested_quant_map`, 256),
      offset,
    };
  } else {
    absmax = await readScales(absmaxName, blocks);
  }
  return { shape, absmax, blockSize: NF4_BLOCK, dtype };
}

/** The dtype that a weight had before it was quantised, from the JSON beside it. */
export async function readBnb4bitDtype(reader: TensorReader, weight: string): Promise<Bnb4bitDtype> {
  return (await readQuantState(reader, weight)).dtype;
}

const DAMAGED = 'The file is damaged or was written by another tool than bitsandbytes.';
const MAX_STATE_BYTES = 65_536;

/** The JSON beside a weight. `offset` is undefined without double quantisation. */
async function readQuantState(
  reader: TensorReader,
  weight: string,
): Promise<{ shape: [number, number]; dtype: Bnb4bitDtype; offset: number | undefined }> {
  const name = weight + STATE_SUFFIX;
  const label = `${reader.name}: "${name}"`;
  const info = reader.info(name);
  if (info.dtype !== 'u8' || info.sizeBytes > MAX_STATE_BYTES) {
    throw new PupilError(
      'checkpoint',
      `${label}: expected JSON text in at most ${MAX_STATE_BYTES} U8 elements, got ${info.sizeBytes} bytes of ${info.dtype.toUpperCase()}`,
      DAMAGED,
    );
  }
  const state = parseJsonObject(await reader.readBytes(name), label);
  const expect = (key: string, holds: (value: unknown) => boolean, expected: string): unknown => {
    if (holds(state[key])) return state[key];
    throw new PupilError('checkpoint', `${label}: ${key}: expected ${expected}, got ${showValue(state[key])}`, DAMAGED);
  };
  expect('quant_type', (value) => value === 'nf4', '"nf4"');
  expect('blocksize', (value) => value === NF4_BLOCK, `${NF4_BLOCK} (other block sizes are not read)`);
  const dtype = expect(
    'dtype',
    (value) => typeof value === 'string' && Object.hasOwn(TORCH_DTYPES, value),
    'float32, float16 or bfloat16',
  ) as string;
  const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1;
  const shape = expect(
    'shape',
    (value) => Array.isArray(value) && value.length === 2 && value.every(isSize) && isSize(value[0] * value[1]),
    'two sizes [outputs, inputs]',
  ) as [number, number];
  if (state['nested_blocksize'] === undefined && state['nested_offset'] === undefined) {
    return { shape, dtype: TORCH_DTYPES[dtype]!, offset: undefined };
  }
  expect('nested_blocksize', (value) => value === NF4_NESTED_BLOCK, `${NF4_NESTED_BLOCK}`);
  expect('nested_dtype', (value) => value === 'float32', '"float32"');
  const offset = expect('nested_offset', (value) => Number.isFinite(value), 'a finite number') as number;
  return { shape, dtype: TORCH_DTYPES[dtype]!, offset };
}

/** The JSON beside a weight; `nestedOffset` is undefined without double quantisation. */
function encodeQuantState(
  { shape, dtype }: Pick<Bnb4bitWeight, 'shape' | 'dtype'>,
  nestedOffset: number | undefined,
): Uint8Array {
  const torchDtype = Object.keys(TORCH_DTYPES).find((key) => TORCH_DTYPES[key] === dtype)!;
  const state: Record<string, PythonJson> = {
    quant_type: 'nf4',
    blocksize: NF4_BLOCK,
    dtype: torchDtype,
    shape: [...shape],
  };
  if (nestedOffset !== undefined) {
    state['nested_blocksize'] = NF4_NESTED_BLOCK;
    state['nested_dtype'] = 'float32';
    state['nested_offset'] = new PythonFloat(nestedOffset);
  }
  return new TextEncoder().encode(dumpPythonJson(state));
}

/** `-2.2250738585072014e-308`: no float64 is longer in Python. */
const LONGEST_FLOAT = 24;

/**
 * The tensors that a weight will be stored in, before it is quantised. Their header has to be written first, and the JSON's
 * length depends on a number that is known only afterwards, so room is left for the longest: see `padded` below.
 */
export function bnb4bitSpecs(
  name: string,
  weight: Pick<Bnb4bitWeight, 'shape' | 'dtype'>,
  doubleQuantized: boolean,
): TensorSpec[] {
  const elements = elementCount(weight.shape);
  const blocks = Math.ceil(elements / NF4_BLOCK);
  const spec = (suffix: string, dtype: DType, ...shape: number[]): TensorSpec => ({
    name: name + suffix,
    dtype,
    shape,
  });
  const shortest = encodeQuantState(weight, doubleQuantized ? 0 : undefined).byteLength;
  return [
    spec('', 'u8', Math.ceil(elements / 2), 1),
    spec('.quant_map', 'f32', NF4_CODES.length),
    ...(doubleQuantized
      ? [
          spec('.absmax', 'u8', blocks),
          spec('.nested_absmax', 'f32', Math.ceil(blocks / NF4_NESTED_BLOCK)),
          spec('.nested_quant_map', 'f32', 256),
        ]
      : [spec('.absmax', 'f32', blocks)]),
    spec(STATE_SUFFIX, 'u8', doubleQuantized ? shortest - '0.0'.length + LONGEST_FLOAT : shortest),
  ];
}

/**
 * A weight and its companions as bitsandbytes stores them, for writeSafetensors.
 * @param padded with the JSON in the room that {@link bnb4bitSpecs} leaves for it: spaces follow, which JSON allows
 */
export function bnb4bitTensors(name: string, weight: Bnb4bitWeight, padded = false): TensorData[] {
  const { packed, absmax } = weight;
  const nested = absmax instanceof Float32Array ? undefined : absmax;
  const state = encodeQuantState(weight, nested?.offset);
  const data: Record<string, ArrayBufferView | undefined> = {
    '': packed,
    '.quant_map': NF4_CODES,
    '.absmax': nested === undefined ? (absmax as Float32Array) : nested.codes,
    '.nested_absmax': nested?.nestedAbsmax,
    '.nested_quant_map': nested?.nestedMap,
    [STATE_SUFFIX]: state,
  };
  return bnb4bitSpecs(name, weight, nested !== undefined).map((spec) => {
    const suffix = spec.name.slice(name.length);
    if (suffix !== STATE_SUFFIX) return { ...spec, data: data[suffix]! };
    if (!padded) return { ...spec, shape: [state.byteLength], data: state };
    const room = new Uint8Array(elementCount(spec.shape)).fill(0x20);
    room.set(state);
    return { ...spec, data: room };
  });
}

/** `config.json` of a model whose linear weights are stored by {@link bnb4bitTensors}. */
export function withBnb4bitConfig(config: JsonObject, doubleQuantized: boolean, computeDtype = 'float32'): JsonObject {
  if (isJsonObject(config['quantization_config'])) {
    throw new PupilError(
      'checkpoint',
      'withBnb4bitConfig: expected an unquantised config, it has a quantization_config',
    );
  }
  return {
    ...config,
    quantization_config: {
      _load_in_4bit: true,
      _load_in_8bit: false,
      bnb_4bit_compute_dtype: computeDtype,
      bnb_4bit_quant_storage: 'uint8',
      bnb_4bit_quant_type: 'nf4',
      bnb_4bit_use_double_quant: doubleQuantized,
      llm_int8_enable_fp32_cpu_offload: false,
      llm_int8_has_fp16_weight: false,
      llm_int8_skip_modules: null,
      llm_int8_threshold: 6.0,
      load_in_4bit: true,
      load_in_8bit: false,
      quant_method: 'bitsandbytes',
    },
  };
}
