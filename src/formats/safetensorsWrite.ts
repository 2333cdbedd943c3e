// safetensorsWrite.ts: writes safetensors, whole in memory or part by part (a merged model need never be in memory at
// once). Bytes depend only on what is given: the same tensors in the same order give the same file. Reading: safetensors.ts.
import { DTYPE_BYTES, elementCount, type DType } from '../base/dtypes';
import { PupilError } from '../base/errors';
import { SAFETENSORS_DTYPES } from './safetensors';

/** A tensor's name, type and shape, before its bytes are known. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A tensor to be written: `data` holds exactly its bytes, little-endian, row-major. */
export interface TensorData extends TensorSpec {
  readonly data: ArrayBufferView;
}

/** Where the tensors of a file will lie, known before a byte of them is. */
export interface SafetensorsLayout {
  /** Length field and JSON header. */
  readonly header: Uint8Array;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
  /** By name; `start` and `end` are byte offsets in the file. */
  readonly tensors: ReadonlyMap<string, TensorSpec & { readonly start: number; readonly end: number }>;
}

/** A file to be written piece by piece. */
export interface SafetensorsParts {
  /** Length field and JSON header. */
  readonly header: Uint8Array;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
  /** The header, then the tensors' bytes in order; each call starts anew. */
  parts(): AsyncIterable<Uint8Array>;
}

const NAME_OF_DTYPE = new Map(Object.entries(SAFETENSORS_DTYPES).map(([name, dtype]) => [dtype, name]));

/** The reference implementation's order of dtypes, which keeps wide elements aligned: it writes them backwards. */
const DTYPE_RANK: readonly DType[] = [
  'bool', 'u8', 'i8', 'i16', 'u16', 'f16', 'bf16', 'i32', 'u32', 'f32', 'f64', 'i64', 'u64',
]; // prettier-ignore

/**
 * The tensors in the order in which the safetensors library writes them (wide dtypes first, then by name), so that equal
 * content gives equal bytes. Where order does not matter, use it: it also keeps every tensor aligned.
 */
export function inLibraryOrder<T extends TensorSpec>(tensors: readonly T[]): T[] {
  return tensors.slice().sort((a, b) => {
    const byDtype = DTYPE_RANK.indexOf(b.dtype) - DTYPE_RANK.indexOf(a.dtype);
    return byDtype !== 0 ? byDtype : compareNames(a.name, b.name);
  });
}

/** By code unit: no locale, so the order is the same on every machine. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sizeBytes(spec: TensorSpec): number {
  return elementCount(spec.shape) * DTYPE_BYTES[spec.dtype];
}

/**
 * Length field and JSON header for these tensors in this order, padded with spaces to a multiple of 8 bytes. Behind it come
 * the tensors' bytes, without gaps: whoever writes them may do so piece by piece.
 * @throws PupilError `shape` for a repeated name or a size that is none
 */
export function safetensorsHeader(
  specs: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  const fields: string[] = [];
  if (metadata !== undefined) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const seen = new Set(['__metadata__']);
  let at = 0;
  for (const spec of specs) {
    if (seen.has(spec.name)) {
      throw new PupilError('shape', `writeSafetensors: expected distinct tensor names, "${spec.name}" is taken`);
    }
    seen.add(spec.name);
    if (!spec.shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      throw new PupilError(
        'shape',
        `writeSafetensors: "${spec.name}": expected sizes ≥ 0, got [${spec.shape.join(', ')}]`,
      );
    }
    const end = at + sizeBytes(spec);
    const entry = { dtype: NAME_OF_DTYPE.get(spec.dtype), shape: spec.shape, data_offsets: [at, end] };
    fields.push(`${JSON.stringify(spec.name)}:${JSON.stringify(entry)}`);
    at = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const out = new Uint8Array(8 + padded).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(json, 8);
  return out;
}

/**
 * The header of a file and the place of each tensor in it, for tensors that come in any order and in pieces. Order: as given
 * (see {@link inLibraryOrder}).
 * @throws PupilError `shape` for a repeated name or a size below 0
 */
export function layoutSafetensors(
  specs: readonly TensorSpec[],
  metadata?: Readonly<Record<string, string>>,
): SafetensorsLayout {
  const header = safetensorsHeader(specs, metadata);
  let at = header.byteLength;
  const tensors = specs.map((spec) => {
    const start = at;
    at += sizeBytes(spec);
    return [spec.name, { ...spec, start, end: at }] as const;
  });
  return { header, totalBytes: at, tensors: new Map(tensors) };
}

function expectSize(spec: TensorSpec, got: number): void {
  if (got !== sizeBytes(spec)) {
    throw new PupilError(
      'shape',
      `writeSafetensors: "${spec.name}": expected ${sizeBytes(spec)} bytes for ${spec.dtype} [${spec.shape.join(', ')}], got ${got}`,
    );
  }
}

/**
 * A safetensors file, in memory, with the tensors in the order given (see {@link inLibraryOrder}).
 * @param metadata string pairs; files for Hugging Face carry `{format: 'pt'}`
 * @throws PupilError `shape` for a repeated name or bytes that do not fit dtype and shape
 */
export function writeSafetensors(
  tensors: readonly TensorData[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  for (const tensor of tensors) expectSize(tensor, tensor.data.byteLength);
  const header = safetensorsHeader(tensors, metadata);
  const out = new Uint8Array(tensors.reduce((sum, tensor) => sum + tensor.data.byteLength, header.byteLength));
  out.set(header);
  let at = header.byteLength;
  for (const { data } of tensors) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

/**
 * A safetensors file whose tensors are made one after the other while it is written.
 * @param produce the bytes of a tensor, when its turn comes: whole, or in pieces
 * @throws PupilError `shape` while iterating where the bytes produced do not fit dtype and shape
 */
export function writeSafetensorsParts(
  specs: readonly TensorSpec[],
  produce: (spec: TensorSpec) => Promise<Uint8Array | AsyncIterable<Uint8Array>>,
  metadata?: Readonly<Record<string, string>>,
): SafetensorsParts {
  const { header, totalBytes } = layoutSafetensors(specs, metadata);
  return {
    header,
    totalBytes,
    async *parts() {
      yield header;
      for (const spec of specs) {
        const made = await produce(spec);
        let written = 0;
        for await (const piece of made instanceof Uint8Array ? [made] : made) {
          written += piece.byteLength;
          if (written > sizeBytes(spec)) expectSize(spec, written);
          yield piece;
        }
        expectSize(spec, written);
      }
    },
  };
}
