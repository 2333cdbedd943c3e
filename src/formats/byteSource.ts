// byteSource.ts: random access to the bytes of one file, wherever it lives (Hub, disk, OPFS, memory). It fetches nothing
// itself: sources/ makes ByteSources, formats/ reads them, and every range that is read is checked here.
import { PupilError } from '../base/errors';

/** Random access to the bytes of one file, wherever it lives. */
export interface ByteSource {
  /** The file's name or path, for messages. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Tells this version of the file from others, where its place knows that: an ETag, a time of change. */
  readonly version?: string;
  /**
   * Set where every read gives memory of its own, which the reader may give up as soon as it has used it: a browser
   * collects large arrays late.
   */
  readonly fresh?: boolean;
  /** Bytes [start, end). The array may be a view of memory that others hold: do not write into it. */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** Finds a file of a folder by its path relative to that folder; undefined where there is none. */
export type OpenFile = (path: string) => Promise<ByteSource | undefined>;

/** A ByteSource over bytes in memory. Reads are views, not copies. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: (start, end) => Promise.resolve(bytes.subarray(start, end)),
  };
}

/**
 * Bytes [start, end) of a source, exactly.
 * @throws PupilError `format` where the file is shorter, e.g. `model.safetensors: expected bytes 0..8 of 8, file has 3`.
 */
export async function readExact(source: ByteSource, start: number, end: number): Promise<Uint8Array> {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= source.size)) {
    throw new PupilError(
      'format',
      `${source.name}: expected bytes ${start}..${end} to lie in the file, which has ${source.size} bytes`,
      'The file is probably cut off: fetch it again.',
    );
  }
  if (start === end) return new Uint8Array(0);
  const bytes = await source.read(start, end);
  if (bytes.byteLength !== end - start) {
    throw new PupilError(
      'format',
      `${source.name}: asked for bytes ${start}..${end}, got ${bytes.byteLength} bytes instead of ${end - start}`,
      'The file changed while it was read, or the server ignores byte ranges: fetch it again.',
    );
  }
  return bytes;
}

/** The whole of a small file (a config, an index). `maxBytes` guards against a wrong file being pulled into memory. */
export async function readWhole(source: ByteSource, maxBytes: number): Promise<Uint8Array> {
  if (source.size > maxBytes) {
    throw new PupilError(
      'format',
      `${source.name}: expected at most ${maxBytes} bytes, the file has ${source.size}`,
      'This is not the file it should be: check the folder.',
    );
  }
  return readExact(source, 0, source.size);
}
