// parquetRead.ts: a parquet file in memory → its rows as plain objects, through hyparquet. Loaded by parquet.ts when a file
// needs it, so that the library is no part of the page's first bundle. It takes no part of a file and writes none; encrypted
// files are refused. Page checksums are not compared: the Hub's files have none.
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import { getPhysicalColumns, getTreePath, isMapLike } from 'hyparquet/src/schema.js';
import type { Compressors, FileMetaData, RowGroup, SchemaTree } from 'hyparquet/src/types.js';
import {
  decompressBrotli,
  decompressGzip,
  decompressLz4,
  decompressLz4Raw,
  decompressZstd,
} from 'hyparquet-compressors';
import { PupilError } from '../base/errors';
import { refuseImpostor } from './jsonText';
import { PARQUET_MAGIC, wordAt } from './parquetMagic';
import { checkPages } from './parquetPages';
import { thriftStructEnd } from './parquetThrift';

export type ParquetRow = Record<string, unknown>;

/** A file is read whole, as all task files are. The Hub's shards have at most 500 MB. */
const MAX_FILE_BYTES = 2 ** 29;
/** Beyond these a file is no data set of questions, and its numbers are not believed. */
const MAX_ROWS = 2 ** 22;
const MAX_UNPACKED_BYTES = 2 ** 30;
const MAX_FOOTER_BYTES = 2 ** 24;
/** Row groups × columns. */
const MAX_CHUNKS = 2 ** 18;

/** Bytes that stand around the footer: its length and the magic behind it, the magic at the file's beginning. */
const TAIL_BYTES = 8;
const HEAD_BYTES = 4;

/** The library stumbles over an empty LZ4 block, the dictionary of a column of nulls. */
const unlessEmpty =
  (decompress: typeof decompressLz4): typeof decompressLz4 =>
  (packed, size) =>
    size === 0 ? new Uint8Array(0) : decompress(packed, size);

/**
 * The size that a Zstandard frame says its content has; undefined where it says none. RFC 8878, §3.1.1.1: a byte of flags
 * behind the magic number, then window, dictionary and content size, each of as many bytes as the flags say.
 */
function zstdContentBytes(frame: Uint8Array): number | undefined {
  const flags = frame[4] ?? 0;
  const singleSegment = (flags & 0x20) !== 0;
  const width = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6]!;
  if (width === 0) return undefined;
  const start = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][flags & 3]!;
  const value = frame.subarray(start, start + width).reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
  return width === 2 ? value + 256 : value;
}

/**
 * Into room of the size that the page's header says: the library would make as much as the frame says. It writes past the end
 * of that room to no effect, so that a damaged block, which may copy 2^16 times 2^17 bytes, costs seconds.
 */
function unpackZstd(packed: Uint8Array, size: number): Uint8Array {
  const said = zstdContentBytes(packed);
  if (said !== undefined && said !== size) throw new Error(`${said} bytes in a page of ${size}`);
  return decompressZstd(packed, new Uint8Array(size));
}

/** Snappy is the library's own. */
const COMPRESSORS: Compressors = {
  GZIP: decompressGzip,
  BROTLI: decompressBrotli,
  ZSTD: unpackZstd,
  LZ4: unlessEmpty(decompressLz4),
  LZ4_RAW: unlessEmpty(decompressLz4Raw),
};
const CODECS = ['UNCOMPRESSED', 'SNAPPY', ...Object.keys(COMPRESSORS)];

const DAMAGED = 'The file is damaged or cut off: fetch it again.';
const SAVE_AGAIN =
  'Write it again with the usual settings (pyarrow.parquet.write_table, DataFrame.to_parquet), or save it as JSON lines.';

/**
 * All rows of a file, in its order. Lists and structs are kept as arrays and objects; nulls are null. Whole numbers are
 * numbers where those are exact, else texts of their digits; dates are texts as ISO 8601 has them; bytes that are no text are
 * null.
 * @param name for messages
 * @throws PupilError `format`, e.g. `x.parquet: expected a parquet file, got bytes that do not begin with PAR1`, for another
 *   file, one that is cut off or damaged, a compression or encoding that is not supported, and sizes beyond all measure.
 */
export async function readParquet(bytes: Uint8Array, name: string): Promise<ParquetRow[]> {
  try {
    const metadata = readFooter(bytes, name);
    checkSizes(metadata, name);
    const schema = parquetSchema(metadata);
    checkChunks(bytes, metadata, schema, name);
    const rows = await parquetReadObjects({
      file: { byteLength: bytes.byteLength, slice: (start, end) => copy(bytes, start, end ?? bytes.byteLength) },
      metadata,
      compressors: COMPRESSORS,
      geoparquet: false,
      utf8: false, // only columns that say so are text
      parsers: { stringFromBytes: strictText },
    });
    const columns = columnsOf(schema);
    return rows.map((row, i) => plainRow(row, columns, i, name));
  } catch (cause) {
    if (cause instanceof PupilError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw refused(name, `a parquet file that can be read, got: ${message}`, DAMAGED, cause);
  }
}

function refused(name: string, reason: string, hint: string, cause?: unknown): PupilError {
  return new PupilError('format', `${name}: expected ${reason}`, hint, cause === undefined ? undefined : { cause });
}

function readFooter(bytes: Uint8Array, name: string): FileMetaData {
  refuseImpostor(bytes.subarray(0, 64), name, 'a parquet file');
  const size = bytes.byteLength;
  if (size > MAX_FILE_BYTES) {
    throw refused(
      name,
      `at most ${MAX_FILE_BYTES} bytes, the file has ${size}`,
      'Take one of its shards, or fewer rows.',
    );
  }
  if (wordAt(bytes, 0) === 'PARE')
    throw refused(name, 'a parquet file, got an encrypted one', 'Save it without encryption.');
  if (wordAt(bytes, 0) !== PARQUET_MAGIC) {
    throw refused(
      name,
      `a parquet file, got bytes that do not begin with ${PARQUET_MAGIC}`,
      'Check what the file is: its name says parquet.',
    );
  }
  if (size < HEAD_BYTES + TAIL_BYTES || wordAt(bytes, size - 4) !== PARQUET_MAGIC) {
    throw refused(name, `a parquet file that ends with ${PARQUET_MAGIC}, it does not`, DAMAGED);
  }
  const end = size - TAIL_BYTES;
  const length = new DataView(bytes.buffer, bytes.byteOffset, size).getUint32(end, true);
  if (length === 0 || length > Math.min(end - HEAD_BYTES, MAX_FOOTER_BYTES)) {
    throw refused(name, `a footer within the file’s ${size} bytes, got one of ${length}`, DAMAGED);
  }
  thriftStructEnd(bytes, end - length, end);
  return parquetMetadata(bytes.subarray(end - length), { geoparquet: false });
}

function checkSizes({ num_rows, row_groups: groups, schema }: FileMetaData, name: string): void {
  const rows = Number(num_rows);
  if (!(rows >= 0 && rows <= MAX_ROWS)) {
    throw refused(name, `at most ${MAX_ROWS} rows, the footer says ${rows}`, 'Take one of its shards, or fewer rows.');
  }
  if (groups.length * schema.length > MAX_CHUNKS) {
    throw refused(
      name,
      `at most ${MAX_CHUNKS} pieces of columns, the footer names ${groups.length} row groups of ${schema.length}`,
      SAVE_AGAIN,
    );
  }
  const counted = groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  if (counted !== rows || groups.some((group) => group.num_rows < 0n)) {
    throw refused(name, `${rows} rows as the footer says, its row groups have ${counted}`, DAMAGED);
  }
}

/** Every column of every row group: that it is there, where it says, and in a form that is supported. */
function checkChunks(bytes: Uint8Array, { row_groups }: FileMetaData, schema: SchemaTree, name: string): void {
  const leaves = getPhysicalColumns(schema);
  let unpacked = 0;
  for (const group of row_groups) {
    if (group.num_rows === 0n) continue; // has no pages
    const found = group.columns.map((column) => column.meta_data?.path_in_schema.join('.') ?? 'none');
    if (found.join('\n') !== leaves.join('\n')) {
      throw refused(name, `columns ${leaves.join(', ')} in each row group, got ${found.join(', ')}`, DAMAGED);
    }
    for (const column of group.columns) {
      unpacked += checkChunk(bytes, column, group, schema, name);
      if (unpacked > MAX_UNPACKED_BYTES) {
        throw refused(name, `at most ${MAX_UNPACKED_BYTES} bytes unpacked, got more`, 'Take fewer rows.');
      }
    }
  }
}

function checkChunk(
  bytes: Uint8Array,
  { meta_data: column, crypto_metadata, file_path }: RowGroup['columns'][number],
  { num_rows }: RowGroup,
  schema: SchemaTree,
  name: string,
): number {
  const label = `${name}: column ${column!.path_in_schema.join('.')}`;
  if (crypto_metadata !== undefined) throw refused(label, 'no encryption', 'Save it without encryption.');
  if (file_path !== undefined) throw refused(label, `its values in the file, they are in ${file_path}`, SAVE_AGAIN);
  if (!CODECS.includes(column!.codec)) {
    throw refused(label, `compression ${CODECS.join(', ')}, got ${column!.codec ?? 'an unknown one'}`, SAVE_AGAIN);
  }
  // As the library finds them: the dictionary stands before the data.
  const start = Number(column!.dictionary_page_offset || column!.data_page_offset);
  const end = start + Number(column!.total_compressed_size);
  if (!(start >= HEAD_BYTES && end >= start && end <= bytes.byteLength - TAIL_BYTES)) {
    throw refused(label, `its values within the file’s ${bytes.byteLength} bytes, got ${start}..${end}`, DAMAGED);
  }
  const path = getTreePath(schema, column!.path_in_schema);
  if (column!.num_values < num_rows) {
    throw refused(label, `a value for each of ${num_rows} rows, got ${column!.num_values}`, DAMAGED);
  }
  try {
    return checkPages(bytes.subarray(start, end), column!, path, COMPRESSORS);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const unsupported = message.endsWith('not supported');
    throw refused(label, `pages that can be read, got ${message}`, unsupported ? SAVE_AGAIN : DAMAGED, cause);
  }
}

/** Bytes [start, end) as a buffer of their own, as the library wants it. */
function copy(bytes: Uint8Array, start: number, end: number): ArrayBuffer {
  if (!(start >= 0 && start <= end && end <= bytes.byteLength)) throw new Error(`bytes ${start}..${end} of the file`);
  return new Uint8Array(bytes.subarray(start, end)).buffer;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The library hands over undefined for null. */
function strictText(bytes: Uint8Array | undefined): string | undefined {
  try {
    return bytes && decoder.decode(bytes);
  } catch (cause) {
    throw new Error('a text that is not UTF-8', { cause });
  }
}

/** Columns by name, and whether a value may be absent: the library gives undefined for a map that is null. */
function columnsOf(schema: SchemaTree): Map<string, boolean> {
  const holdsMap = (node: SchemaTree): boolean => isMapLike(node) || node.children.some(holdsMap);
  return new Map(schema.children.map((node) => [node.element.name, holdsMap(node)]));
}

function plainRow(row: ParquetRow, columns: Map<string, boolean>, index: number, name: string): ParquetRow {
  const entries = Object.entries(row).map(([column, value]): [string, unknown] => {
    try {
      return [column, plain(value, columns.get(column) === true)];
    } catch (cause) {
      const message = (cause as Error).message;
      throw refused(`${name}: row ${index + 1}, column ${column}`, `a value, got ${message}`, DAMAGED, cause);
    }
  });
  return Object.fromEntries(entries);
}

function plain(value: unknown, mayLack: boolean): unknown {
  if (value === undefined) {
    if (mayLack) return null;
    throw new Error('none: the column ends before its row, or names an entry that its dictionary lacks');
  }
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) {
    try {
      return decoder.decode(value);
    } catch {
      return null;
    }
  }
  if (Array.isArray(value)) return value.map((one) => plain(one, mayLack));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one, mayLack)]));
}
