// safetensors.ts: reads and checks the safetensors format, and reads tensors of a file in bounded pieces. A header is
// believed only after every claim in it has been held against the file's real size. Writing is in safetensorsWrite.ts.
// Format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without gaps.
// Source: https://github.com/huggingface/safetensors (README "Format"; `Metadata::validate`, whose rules hold here too).
import { DTYPE_BYTES, elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { readExact, type ByteSource } from './byteSource';
import { decodeUtf8, isJsonObject, parseStrictJson, refuseImpostor, showValue } from './jsonText';
import { bytesOf, decodeF32Into, decodeNumbers, isFloatDtype } from './tensorBytes';

/** The format's own limit on the header, as in the reference implementation: a longer one is a lie or an attack. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Tensors are converted in pieces of at most this many bytes, so that f16 weights are never held twice in full. */
const PIECE_BYTES = 16 * 2 ** 20;

/** The format's names of element types → ours. Other names (F8_E4M3, F4, C64 …) are refused. */
export const SAFETENSORS_DTYPES: Readonly<Record<string, DType>> = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  I64: 'i64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U64: 'u64',
  U32: 'u32',
  U16: 'u16',
  U8: 'u8',
  BOOL: 'bool',
};

/** Where a tensor lies: `start` and `end` are byte offsets in the file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** A file whose header has been read and believed. */
export interface SafetensorsFile {
  readonly source: ByteSource;
  /** In the order of the file's bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What is known of a tensor before its bytes are read. */
export interface TensorInfo {
  dtype: DType;
  shape: readonly number[];
  sizeBytes: number;
  /** Name of the file that holds it, for messages. */
  file?: string;
  /** Whether its bytes come in memory of their own, see {@link ByteSource}. */
  fresh?: boolean;
}

/** What other formats need of a set of named tensors: one file, or a checkpoint of many. */
export interface TensorReader {
  /** For messages: the file or folder. */
  readonly name: string;
  readonly tensorNames: readonly string[];
  has(tensor: string): boolean;
  info(tensor: string): TensorInfo;
  /** Bytes [start, end) of the tensor, default all of them. May be a view: do not write into it. */
  readBytes(tensor: string, start?: number, end?: number): Promise<Uint8Array>;
  /** Elements of an F32, F16, BF16 or F64 tensor as float32. */
  readF32(tensor: string): Promise<Float32Array>;
  /** Elements of any dtype as numbers; 64-bit integers are checked to fit. */
  readNumbers(tensor: string): Promise<Float64Array>;
}

/**
 * Reads and checks the header of a safetensors file (two small reads; tensor bytes are not touched).
 * @throws PupilError `format`, naming file, tensor and what was expected, e.g.
 *   `model.safetensors: expected a header of at most 100000000 bytes inside a file of 24, the file claims 1152921504606846976`
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsFile> {
  const file = source.name;
  refuseImpostor(await readExact(source, 0, Math.min(source.size, 64)), file, 'safetensors');
  if (source.size < 8) {
    throw new PupilError('format', `${file}: expected at least 8 bytes, the file has ${source.size}`, CUT_OFF);
  }
  const lengthBytes = await readExact(source, 0, 8);
  const claimed = new DataView(lengthBytes.buffer, lengthBytes.byteOffset, 8).getBigUint64(0, true);
  if (claimed > BigInt(Math.min(MAX_HEADER_BYTES, source.size - 8))) {
    throw new PupilError(
      'format',
      `${file}: expected a header of at most ${MAX_HEADER_BYTES} bytes inside a file of ${source.size}, the file claims ${claimed}`,
      'The file is not safetensors, or it is cut off: fetch it again.',
    );
  }
  const headerLength = Number(claimed);
  const headerBytes = await readExact(source, 8, 8 + headerLength);
  if (headerBytes[0] !== 0x7b) {
    throw new PupilError(
      'format',
      `${file}: expected a header that begins with "{", got ${showByte(headerBytes[0])}`,
      DAMAGED,
    );
  }
  const header = parseStrictJson(decodeUtf8(headerBytes, `${file} (header)`), `${file} (header)`);
  if (!isJsonObject(header)) {
    throw new PupilError(
      'format',
      `${file}: expected the header to be a JSON object, got ${showValue(header)}`,
      DAMAGED,
    );
  }
  const dataStart = 8 + headerLength;
  const metadata: [string, string][] = [];
  const entries: TensorEntry[] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') metadata.push(...readMetadata(file, value));
    else entries.push(readEntry(file, key, value, dataStart));
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  expectGapless(file, entries, dataStart, source.size);
  return {
    source,
    tensors: new Map(entries.map((entry) => [entry.name, entry])),
    metadata: Object.fromEntries(metadata),
  };
}

const CUT_OFF = 'The file is cut off: fetch it again.';
const DAMAGED = 'The file is damaged or was written wrongly: fetch it again, or write it with the safetensors library.';

function showByte(byte: number | undefined): string {
  return byte === undefined ? 'an empty header' : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}

function readMetadata(file: string, value: unknown): [string, string][] {
  if (value === null) return [];
  if (!isJsonObject(value)) {
    throw new PupilError(
      'format',
      `${file}: __metadata__: expected an object of strings, got ${showValue(value)}`,
      DAMAGED,
    );
  }
  return Object.entries(value).map(([key, text]) => {
    if (typeof text !== 'string') {
      throw new PupilError(
        'format',
        `${file}: __metadata__.${key}: expected a string, got ${showValue(text)}`,
        DAMAGED,
      );
    }
    return [key, text];
  });
}

/** One header entry, checked by itself: known dtype, sane shape, offsets that span exactly shape · dtype. */
function readEntry(file: string, name: string, value: unknown, dataStart: number): TensorEntry {
  const fail = (what: string, expected: string, got: unknown, hint = DAMAGED): never => {
    throw new PupilError(
      'format',
      `${file}: tensor "${name}": ${what}: expected ${expected}, got ${showValue(got)}`,
      hint,
    );
  };
  if (!isJsonObject(value)) return fail('entry', 'an object {dtype, shape, data_offsets}', value);
  const { dtype: dtypeName, shape, data_offsets: offsets } = value;
  const known = typeof dtypeName === 'string' && Object.hasOwn(SAFETENSORS_DTYPES, dtypeName);
  const dtype = known ? SAFETENSORS_DTYPES[dtypeName] : undefined;
  if (dtype === undefined) {
    return fail(
      'dtype',
      `one of ${Object.keys(SAFETENSORS_DTYPES).join(' ')}`,
      dtypeName,
      'This engine does not read that element type: convert the file to F32, F16 or BF16.',
    );
  }
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    return fail('shape', 'a list of non-negative integers', shape);
  }
  let sizeBytes = DTYPE_BYTES[dtype];
  for (const size of shape as number[]) {
    sizeBytes *= size;
    if (!Number.isSafeInteger(sizeBytes)) return fail('shape', 'fewer than 2^53 bytes in all', shape);
  }
  const isPair = Array.isArray(offsets) && offsets.length === 2;
  if (!isPair || !offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0)) {
    return fail('data_offsets', 'two non-negative integers', offsets);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== sizeBytes) {
    return fail(
      'data_offsets',
      `a span of ${sizeBytes} bytes for ${dtypeName as string} ${JSON.stringify(shape)}`,
      offsets,
    );
  }
  return { name, dtype, shape: shape as number[], start: dataStart + begin, end: dataStart + end };
}

/** The tensors, in order of offset, must cover the bytes after the header exactly: no overlap, no hole, no rest. */
function expectGapless(file: string, entries: readonly TensorEntry[], dataStart: number, sizeBytes: number): void {
  const needed = entries.reduce((most, entry) => Math.max(most, entry.end), dataStart);
  if (needed > sizeBytes) {
    const last = entries.find((entry) => entry.end > sizeBytes)!;
    throw new PupilError(
      'format',
      `${file}: tensor "${last.name}": expected bytes ${last.start}..${last.end}, the file has ${sizeBytes} bytes (header and all need ${needed})`,
      CUT_OFF,
    );
  }
  let at = dataStart;
  let previous = 'the header';
  for (const entry of entries) {
    if (entry.start !== at) {
      const what = entry.start < at ? 'overlaps' : 'leaves a hole after';
      throw new PupilError(
        'format',
        `${file}: tensor "${entry.name}": expected it to begin at byte ${at}, it begins at ${entry.start} and ${what} ${previous}`,
        DAMAGED,
      );
    }
    at = entry.end;
    previous = `"${entry.name}"`;
  }
  if (at !== sizeBytes) {
    throw new PupilError(
      'format',
      `${file}: expected the file to end at byte ${at}, it has ${sizeBytes} bytes`,
      DAMAGED,
    );
  }
}

/** The entry of a tensor. @throws PupilError `checkpoint` where the file has no such tensor. */
export function tensorEntry(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.tensors.get(name);
  if (entry === undefined) {
    const some = Array.from(file.tensors.keys()).slice(0, 5).join(', ');
    throw new PupilError(
      'checkpoint',
      `${file.source.name}: expected a tensor "${name}", the file has ${file.tensors.size} others (${some} …)`,
      'The file belongs to another model, or is incomplete.',
    );
  }
  return entry;
}

/** Raw bytes of a tensor, or bytes [start, end) counted from the tensor's own beginning. May be a view. */
export async function readTensorBytes(
  file: SafetensorsFile,
  name: string,
  range?: { start: number; end: number },
): Promise<Uint8Array> {
  const entry = tensorEntry(file, name);
  const size = entry.end - entry.start;
  const { start, end } = range ?? { start: 0, end: size };
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= size)) {
    throw new PupilError(
      'shape',
      `readTensorBytes: expected a range within the ${size} bytes of "${name}", got ${start}..${end}`,
    );
  }
  return readExact(file.source, entry.start + start, entry.start + end);
}

/** @throws PupilError `checkpoint`, naming file and tensor, unless the dtype is one of floating-point numbers */
export function expectFloats(file: string, name: string, dtype: DType): void {
  if (isFloatDtype(dtype)) return;
  throw new PupilError(
    'checkpoint',
    `${file}: tensor "${name}": expected F32, F16, BF16 or F64, got ${dtype.toUpperCase()}`,
    'A quantised or integer tensor stands where floating-point weights should.',
  );
}

/**
 * A tensor's elements as float32, from F32, F16, BF16 (exact) or F64 (rounded), read in pieces.
 * @throws PupilError `checkpoint` for a missing tensor or an integer dtype, `format` for a file cut off meanwhile
 */
export async function readTensorF32(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const { dtype, shape, start, end } = tensorEntry(file, name);
  expectFloats(file.source.name, name, dtype);
  const out = new Float32Array(elementCount(shape)); // the header was held against the file's size: no lie can get here
  const width = DTYPE_BYTES[dtype];
  for (let at = start; at < end; at += PIECE_BYTES) {
    const piece = await readExact(file.source, at, Math.min(at + PIECE_BYTES, end));
    decodeF32Into(out, (at - start) / width, piece, dtype);
  }
  return out;
}

/**
 * A tensor's elements, of any dtype, as numbers.
 * @throws PupilError `format` naming the element where a 64-bit integer does not fit a number
 */
export async function readTensorNumbers(file: SafetensorsFile, name: string): Promise<Float64Array> {
  const { dtype } = tensorEntry(file, name);
  return decodeNumbers(await readTensorBytes(file, name), dtype, `${file.source.name}: tensor "${name}"`);
}

/** One file as a {@link TensorReader}. */
export function tensorReader(file: SafetensorsFile): TensorReader {
  return {
    name: file.source.name,
    tensorNames: Array.from(file.tensors.keys()),
    has: (tensor) => file.tensors.has(tensor),
    info: (tensor) => {
      const { dtype, shape } = tensorEntry(file, tensor);
      const { name, fresh } = file.source;
      return {
        dtype,
        shape,
        sizeBytes: bytesOf(dtype, elementCount(shape)),
        file: name,
        ...(fresh === undefined ? {} : { fresh }),
      };
    },
    readBytes: (tensor, start, end) => {
      const size = tensorEntry(file, tensor);
      return readTensorBytes(file, tensor, { start: start ?? 0, end: end ?? size.end - size.start });
    },
    readF32: (tensor) => readTensorF32(file, tensor),
    readNumbers: (tensor) => readTensorNumbers(file, tensor),
  };
}
