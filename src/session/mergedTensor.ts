// mergedTensor.ts: one tensor of a merged student: the base's values, W + scale·B·A where the adapter has a part in it, and
// the bytes that are written, with an account of what rounding them costs. Sums are in float64. Which tensors there are and
// where they go is exportStudent.ts.
import { elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { isBnb4bitWeight, readBnb4bitDtype, readBnb4bitWeight } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { AdapterFile, AdapterModule } from '../formats/peft';
import { decodeF32Into, encodeFloats } from '../formats/tensorBytes';
import { readChecked } from '../model/studentWeights';
import { nf4Dequantize, nf4DequantizeAbsmax } from '../reference/nf4';

/** Dtypes that merged weights are written in. */
export type MergedDtype = 'f32' | 'f16' | 'bf16';

export interface MergeSettings {
  checkpoint: Checkpoint;
  adapter: AdapterFile;
  /** To NF4 and back, for the layers that the student holds so; undefined: the stored values. */
  quantize:
    ((name: string, shape: readonly [number, number], values: Float32Array) => Promise<Float32Array>) | undefined;
  /** `keep`: each tensor as it is stored. */
  dtype: MergedDtype | 'keep';
}

/** Sums of squares over all tensors, by which the cost of rounding is told. */
export interface RoundingAccount {
  /** ‖rounded − exact‖² */
  rounding: number;
  /** ‖scale·B·A‖² */
  update: number;
}

/** The dtype that a tensor is written in. A bnb-4bit weight was of that dtype before it was quantised. */
export async function mergedDtype({ checkpoint, dtype }: MergeSettings, name: string): Promise<MergedDtype> {
  if (dtype !== 'keep') return dtype;
  if (isBnb4bitWeight(checkpoint, name)) return readBnb4bitDtype(checkpoint, name);
  const stored = checkpoint.info(name).dtype;
  return stored === 'f16' || stored === 'bf16' ? stored : 'f32';
}

/**
 * The bytes of a tensor. One that neither adapter nor quantisation has a part in keeps its stored bytes, unless it is to
 * have another dtype.
 * @throws PupilError `checkpoint` for another shape than config.json says, values that are not finite, an adapter of another
 *   student, or a value that the dtype cannot hold
 */
export async function mergedTensor(
  settings: MergeSettings,
  account: RoundingAccount,
  { name, shape, dtype }: { name: string; shape: readonly number[]; dtype: MergedDtype },
): Promise<Uint8Array> {
  const { checkpoint, adapter } = settings;
  const module = adapter.tensors.get(name.replace(/\.weight$/, ''));
  const packed = isBnb4bitWeight(checkpoint, name);
  const quantize = !packed && name.startsWith('model.layers.') && shape.length === 2 ? settings.quantize : undefined;
  let values = packed ? await unpacked(checkpoint, name, shape) : await readChecked(checkpoint, name, shape);
  const stored: DType = packed ? 'u8' : checkpoint.info(name).dtype;
  if (module === undefined && quantize === undefined && stored === dtype) return checkpoint.readBytes(name);
  if (quantize !== undefined) values = await quantize(name, [shape[0]!, shape[1]!], values);
  if (module !== undefined) {
    const base = values;
    values = mergeLora(base.slice(), shape, module, adapter, name);
    for (let i = 0; i < values.length; i++) account.update += (values[i]! - base[i]!) ** 2;
  }
  return rounded(account, name, values, dtype);
}

/** NF4 values as float32. */
async function unpacked(checkpoint: Checkpoint, name: string, shape: readonly number[]): Promise<Float32Array> {
  const { packed, shape: size, absmax } = await readBnb4bitWeight(checkpoint, name);
  if (size[0] !== shape[0] || size[1] !== shape[1]) {
    throw new PupilError(
      'checkpoint',
      `${name}: expected shape [${shape.join(', ')}] from config.json, its quant_state says [${size.join(', ')}]`,
    );
  }
  const scales = absmax instanceof Float32Array ? absmax : nf4DequantizeAbsmax(absmax, absmax.nestedMap);
  return nf4Dequantize(packed, scales, elementCount(shape));
}

function rounded(account: RoundingAccount, name: string, values: Float32Array, dtype: MergedDtype): Uint8Array {
  const bytes = encodeFloats(values, dtype);
  if (dtype === 'f32') return bytes;
  const back = new Float32Array(values.length);
  decodeF32Into(back, 0, bytes, dtype);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(back[i])) {
      throw new PupilError(
        'checkpoint',
        `${name}: element ${i} is ${values[i]}, which ${dtype} cannot hold`,
        'Export with --dtype f32.',
      );
    }
    account.rounding += (back[i]! - values[i]!) ** 2;
  }
  return bytes;
}

/** W[o, c] += scale · Σ_r B[o, r] · A[r, c], summed in float64. Returns W. */
export function mergeLora(
  weight: Float32Array, // (O, C)
  shape: readonly number[],
  module: AdapterModule,
  adapter: Pick<AdapterFile, 'alpha' | 'rsLora'>,
  name: string,
): Float32Array {
  const [O, C] = [shape[0]!, shape[1]!];
  const { a, b } = module;
  const R = a.shape[0];
  if (a.shape[1] !== C || b.shape[0] !== O || b.shape[1] !== R) {
    throw new PupilError(
      'checkpoint',
      `${name}: expected lora_A [r, ${C}] and lora_B [${O}, r], got [${a.shape.join(', ')}] and [${b.shape.join(', ')}]`,
      'The adapter was made for another base model.',
    );
  }
  const alpha = module.alpha ?? adapter.alpha;
  const scale = adapter.rsLora ? alpha / Math.sqrt(R) : alpha / R;
  const row = new Float64Array(C);
  for (let o = 0; o < O; o++) {
    row.fill(0);
    for (let r = 0; r < R; r++) {
      const factor = scale * b.data[o * R + r]!;
      for (let c = 0; c < C; c++) row[c]! += factor * a.data[r * C + c]!;
    }
    for (let c = 0; c < C; c++) weight[o * C + c]! += row[c]!;
  }
  return weight;
}
