// mergedTensor.ts: one tensor of a merged student, a block of rows after the other, so that no whole tensor is held: the
// base's values, W + scale·B·A where the adapter has a part in it, and the bytes that are written, with an account of what
// rounding them costs. Sums are in float64. Which tensors there are and where they go is exportStudent.ts and exportGguf.ts.
import { DTYPE_BYTES, elementCount } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { isBnb4bitWeight, readBnb4bitDtype, readBnb4bitWeight } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import { loraScale, type AdapterFile, type AdapterModule } from '../formats/peft';
import { decodeF32Into, encodeFloats } from '../formats/tensorBytes';
import { expectFinite, expectWeight } from '../model/studentWeights';
import { nf4Dequantize, nf4DequantizeAbsmax } from '../reference/nf4';

/** Dtypes that merged weights are written in. */
export type MergedDtype = 'f32' | 'f16' | 'bf16';

/** Float32 values of a tensor, in order, a few rows at a time. */
export type Blocks = AsyncIterable<Float32Array>;

export interface MergeSettings {
  checkpoint: Checkpoint;
  adapter: AdapterFile;
  /** To NF4 and back, for the layers that the student holds so; undefined: the stored values. */
  quantize: ((name: string, shape: readonly [number, number], values: Blocks) => Blocks) | undefined;
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

/** A tensor to be written. */
export interface MergedSpec {
  name: string;
  shape: readonly number[];
  dtype: MergedDtype;
}

/** What another format wants of the values, by blocks of whole groups of rows (the heads of an attention layer, say). */
export interface BlockChange {
  /** Rows of a group: a block holds whole groups. */
  groupRows: number;
  /** The changed values of a block of rows; may write into it. */
  apply(values: Float32Array, columns: number): Float32Array;
}

/** Elements of a block: 4 MiB as float32. A block has 64 rows at least, whatever their length. */
const BLOCK_ELEMENTS = 2 ** 20;

/** The dtype that a tensor is written in. A bnb-4bit weight was of that dtype before it was quantised. */
export async function mergedDtype({ checkpoint, dtype }: MergeSettings, name: string): Promise<MergedDtype> {
  if (dtype !== 'keep') return dtype;
  if (isBnb4bitWeight(checkpoint, name)) return readBnb4bitDtype(checkpoint, name);
  const stored = checkpoint.info(name).dtype;
  return stored === 'f16' || stored === 'bf16' ? stored : 'f32';
}

/**
 * The bytes of a tensor, in pieces. One that neither adapter nor quantisation nor `change` has a part in keeps its stored
 * bytes, unless it is to have another dtype.
 * @throws PupilError `checkpoint` while iterating: another shape than config.json says, values that are not finite, an
 *   adapter of another student, or a value that the dtype cannot hold
 */
export async function* mergedTensor(
  settings: MergeSettings,
  account: RoundingAccount,
  { name, shape, dtype }: MergedSpec,
  change?: BlockChange,
): AsyncGenerator<Uint8Array> {
  const { checkpoint, adapter } = settings;
  const module = adapter.tensors.get(name.replace(/\.weight$/, ''));
  const packed = isBnb4bitWeight(checkpoint, name);
  const isLinear = name.startsWith('model.layers.') && shape.length === 2;
  const quantize = !packed && isLinear ? settings.quantize : undefined;
  // A vector counts as rows of one.
  const [rows, columns] = [shape[0]!, elementCount(shape.slice(1))];
  const blockRows = rowsOfBlock(columns, change?.groupRows ?? 1);

  const unchanged = module === undefined && quantize === undefined && change === undefined && !packed;
  if (unchanged && checkpoint.info(name).dtype === dtype) {
    yield* storedBytes(checkpoint, name, shape, blockRows);
    return;
  }
  let blocks: Blocks = packed
    ? unpacked(checkpoint, name, [rows, columns], blockRows)
    : storedValues(checkpoint, name, shape, blockRows);
  if (quantize !== undefined) blocks = quantize(name, [rows, columns], blocks);
  let row = 0;
  for await (const base of blocks) {
    let values = base;
    if (module !== undefined) {
      values = mergeLora(base.slice(), shape, module, adapter, name, row);
      for (let i = 0; i < values.length; i++) account.update += (values[i]! - base[i]!) ** 2;
    }
    if (change !== undefined) values = change.apply(values, columns);
    yield rounded(account, name, values, dtype, row * columns);
    row += base.length / columns;
  }
}

/** Rows of a block: whole groups, and multiples of 64, so that blocks of NF4 (64 elements) are never cut. */
function rowsOfBlock(columns: number, groupRows: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  const unit = (64 * groupRows) / gcd(64, groupRows);
  return unit * Math.max(1, Math.floor(BLOCK_ELEMENTS / (unit * columns)));
}

/** The values of a linear weight: the stored ones, or what its stored 4 bits stand for. */
export function weightBlocks(checkpoint: Checkpoint, name: string, shape: readonly [number, number]): Blocks {
  const rows = rowsOfBlock(shape[1], 1);
  return isBnb4bitWeight(checkpoint, name)
    ? unpacked(checkpoint, name, shape, rows)
    : storedValues(checkpoint, name, shape, rows);
}

/** The stored bytes, held against shape and finiteness on their way. */
async function* storedBytes(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
  blockRows: number,
): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of stored(checkpoint, name, shape, blockRows)) yield bytes;
}

async function* storedValues(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
  blockRows: number,
): AsyncGenerator<Float32Array> {
  for await (const { values } of stored(checkpoint, name, shape, blockRows)) yield values;
}

async function* stored(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
  blockRows: number,
): AsyncGenerator<{ bytes: Uint8Array; values: Float32Array }> {
  expectWeight(checkpoint, name, shape);
  const info = checkpoint.info(name);
  const width = DTYPE_BYTES[info.dtype];
  const step = blockRows * elementCount(shape.slice(1)) * width;
  for (let at = 0; at < info.sizeBytes; at += step) {
    const bytes = await checkpoint.readBytes(name, at, Math.min(at + step, info.sizeBytes));
    const values = new Float32Array(bytes.byteLength / width);
    decodeF32Into(values, 0, bytes, info.dtype);
    expectFinite(checkpoint, name, values, at / width);
    yield { bytes, values };
  }
}

/** NF4 values as float32. */
async function* unpacked(
  checkpoint: Checkpoint,
  name: string,
  [rows, columns]: readonly [number, number],
  blockRows: number,
): AsyncGenerator<Float32Array> {
  const { packed, shape: size, absmax } = await readBnb4bitWeight(checkpoint, name);
  if (size[0] !== rows || size[1] !== columns) {
    throw new PupilError(
      'checkpoint',
      `${name}: expected shape [${rows}, ${columns}] from config.json, its quant_state says [${size.join(', ')}]`,
    );
  }
  const scales = absmax instanceof Float32Array ? absmax : nf4DequantizeAbsmax(absmax, absmax.nestedMap);
  for (let row = 0; row < rows; row += blockRows) {
    const start = row * columns;
    const count = Math.min(blockRows * columns, rows * columns - start);
    yield nf4Dequantize(packed.subarray(start / 2), scales.subarray(start / 64), count);
  }
}

/** @param first index of the block's first element in its tensor, for messages */
function rounded(
  account: RoundingAccount,
  name: string,
  values: Float32Array,
  dtype: MergedDtype,
  first: number,
): Uint8Array {
  const bytes = encodeFloats(values, dtype);
  if (dtype === 'f32') return bytes;
  const back = new Float32Array(values.length);
  decodeF32Into(back, 0, bytes, dtype);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(back[i])) {
      throw new PupilError(
        'checkpoint',
        `${name}: element ${first + i} is ${values[i]}, which ${dtype} cannot hold`,
        'Export with --dtype f32.',
      );
    }
    account.rounding += (back[i]! - values[i]!) ** 2;
  }
  return bytes;
}

/** W[o, c] += scale · Σ_r B[o, r] · A[r, c], summed in float64, for the rows from `firstRow` that `weight` holds. Returns it. */
export function mergeLora(
  weight: Float32Array, // (rows, C)
  shape: readonly number[], // (O, C)
  module: AdapterModule,
  adapter: Pick<AdapterFile, 'alpha' | 'rsLora'>,
  name: string,
  firstRow = 0,
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
  const scale = loraScale(module, adapter);
  const row = new Float64Array(C);
  for (let i = 0; i < weight.length / C; i++) {
    row.fill(0);
    for (let r = 0; r < R; r++) {
      const factor = scale * b.data[(firstRow + i) * R + r]!;
      for (let c = 0; c < C; c++) row[c]! += factor * a.data[r * C + c]!;
    }
    for (let c = 0; c < C; c++) weight[i * C + c]! += row[c]!;
  }
  return weight;
}
