// parquetPages.ts: whether the pages of a column chunk are what their headers and the footer say, before the library decodes
// them. It decodes no values. The library writes as many levels and indices as a run claims, so that one flipped byte can fill
// the memory and end the process (V8: "invalid size"), and gives indices for values where a dictionary is missing. Encodings
// that Pupil does not take are refused here.
// Source: github.com/apache/parquet-format, README.md and Encodings.md.
import type { ColumnMetaData, Compressors, PageHeader, SchemaTree } from 'hyparquet/src/types.js';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from 'hyparquet/src/schema.js';
import { thriftStructEnd } from './parquetThrift';

/** Of one column in one row group. A data set of texts has some 10⁵ rows. */
export const MAX_CHUNK_VALUES = 2 ** 24;
/** Unpacked. Writers make pages of about 1 MiB. */
const MAX_PAGE_BYTES = 2 ** 28;

/** How much a byte can stand for at most, rounded up. Zstandard's frames say their size (parquetRead.ts); Brotli has no bound. */
const MAX_RATIOS: Readonly<Record<string, number>> = { SNAPPY: 32, LZ4: 256, LZ4_RAW: 256, GZIP: 1040 };

const DICTIONARY_ENCODINGS: readonly string[] = ['PLAIN_DICTIONARY', 'RLE_DICTIONARY'];
/** Left out: what can claim values longer than the file (DELTA_BYTE_ARRAY), or is for numbers that no task has. */
const ENCODINGS: readonly string[] = [
  'PLAIN',
  'RLE', // of booleans
  'DELTA_BINARY_PACKED',
  'DELTA_LENGTH_BYTE_ARRAY',
  ...DICTIONARY_ENCODINGS,
];

interface Levels {
  repetition: number;
  definition: number;
}

/** Bits that hold 0 to `max`. */
const bitWidth = (max: number): number => 32 - Math.clz32(max);

/**
 * Walks the runs of parquet's hybrid of run-length encoding and bit-packing.
 * @param width bits a value
 * @param count values that there must be
 * @param wanted of which value to count the occurrences
 * @returns how many values equal `wanted`
 * @throws Error where the runs end early, or a run claims more values than there are.
 */
export function countInRuns(
  bytes: Uint8Array,
  start: number,
  width: number,
  count: number,
  wanted: number | undefined,
): number {
  if (width > 32) throw new Error(`values of ${width} bits`);
  let at = start;
  let seen = 0;
  let equal = 0;
  const byte = (): number => {
    if (at >= bytes.length) throw new Error(`${seen} values where ${count} were announced`);
    return bytes[at++]!;
  };
  while (seen < count) {
    let head = 0;
    for (let shift = 0; ; shift += 7) {
      const next = byte();
      head += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) break;
      if (shift === 28) throw new Error('a run with an impossible length');
    }
    const left = count - seen;
    if (head % 2 === 0) {
      const length = head / 2;
      if (length > left) throw new Error(`a run of ${length} values where ${left} are left`);
      let value = 0;
      for (let i = 0; i < width; i += 8) value += byte() * 2 ** i;
      if (value === wanted) equal += length;
      seen += length;
      continue;
    }
    const groups = (head - 1) / 2; // of eight values each; the last may be filled up
    if (width === 0 ? groups * 8 > left + 7 : groups * width > bytes.length - at) {
      throw new Error(`${groups * 8} packed values where ${left} are left in ${bytes.length - at} bytes`);
    }
    if (wanted !== undefined) {
      for (let i = 0; i < Math.min(groups * 8, left); i++) {
        const bit = i * width;
        const from = at + (bit >> 3);
        const window = (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8); // enough for the few bits of a level
        if (((window >> (bit & 7)) & (2 ** width - 1)) === wanted) equal++;
      }
    }
    at += groups * width;
    seen += groups * 8;
  }
  return equal;
}

function checkValues(
  page: Uint8Array,
  at: number,
  count: number,
  encoding: string,
  type: string,
  version: 1 | 2,
): void {
  if (DICTIONARY_ENCODINGS.includes(encoding)) {
    // Indices: a byte with their width, then runs. In the first version width 0 means that all are the first entry.
    const width = page[at];
    if (width === undefined && count > 0) throw new Error('a page without its values');
    if (width !== undefined && (width > 0 || version === 2)) countInRuns(page, at + 1, width, count, undefined);
  } else if (encoding === 'RLE') {
    if (type !== 'BOOLEAN') throw new Error(`${type} values in encoding RLE`);
    countInRuns(page, at + 4, 1, count, undefined); // behind their length
  }
}

/** A data page of the first version: levels with their lengths before them, then values, all in one compressed piece. */
function checkPageV1(page: Uint8Array, header: NonNullable<PageHeader['data_page_header']>, max: Levels, type: string) {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let at = 0;
  let values = header.num_values;
  const levels = (most: number, encoding: string): number => {
    if (encoding !== 'RLE') throw new Error(`levels in encoding ${encoding}, which is not supported`);
    const length = view.getUint32(at, true);
    const runs = page.subarray(0, at + 4 + length);
    const full = countInRuns(runs, at + 4, bitWidth(most), header.num_values, most);
    at += 4 + length;
    return full;
  };
  if (max.repetition > 0) levels(max.repetition, header.repetition_level_encoding);
  if (max.definition > 0) values = levels(max.definition, header.definition_level_encoding);
  checkValues(page, at, values, header.encoding, type, 1);
}

/** A data page of the second version: levels uncompressed, their lengths in the header, then the values. */
function checkPageV2(
  packed: Uint8Array,
  header: PageHeader,
  max: Levels,
  { type, codec }: Pick<ColumnMetaData, 'type' | 'codec'>,
  compressors: Compressors,
): void {
  const v2 = header.data_page_header_v2!;
  const { repetition_levels_byte_length: repetition, definition_levels_byte_length: definition } = v2;
  const size = header.uncompressed_page_size - repetition - definition;
  if (!(repetition >= 0 && definition >= 0 && repetition + definition <= packed.length && size >= 0)) {
    throw new Error('levels longer than their page');
  }
  if (max.repetition > 0) {
    countInRuns(packed.subarray(0, repetition), 0, bitWidth(max.repetition), v2.num_values, undefined);
  }
  let values = v2.num_values;
  if (max.definition > 0) {
    const runs = packed.subarray(0, repetition + definition);
    values = countInRuns(runs, repetition, bitWidth(max.definition), v2.num_values, max.definition);
  }
  if (values !== v2.num_values - v2.num_nulls) {
    throw new Error(`${values} values where ${v2.num_values - v2.num_nulls} were announced`);
  }
  let page = packed.subarray(repetition + definition);
  if (v2.is_compressed !== false && size > 0) page = decompressPage(page, size, codec, compressors);
  checkValues(page, 0, values, v2.encoding, type, 2);
}

/**
 * Checks every page of a chunk that the library would read.
 * @param chunk the chunk's bytes
 * @param path the column from the schema's root to its leaf
 * @returns how many bytes the pages have unpacked
 * @throws Error for headers that break off, sizes beyond the chunk, runs beyond their page, another number of values than the
 *   footer says, indices without a dictionary, and encodings that are not supported.
 */
export function checkPages(
  chunk: Uint8Array,
  column: ColumnMetaData,
  path: SchemaTree[],
  compressors: Compressors,
): number {
  const announced = Number(column.num_values);
  if (!(announced >= 0 && announced <= MAX_CHUNK_VALUES)) {
    throw new Error(`${announced} values in one row group, more than ${MAX_CHUNK_VALUES}`);
  }
  const max = { repetition: getMaxRepetitionLevel(path), definition: getMaxDefinitionLevel(path) };
  const flat = isFlatColumn(path);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let at = 0;
  let values = 0;
  let unpacked = 0;
  let hasDictionary = false;
  // The library stops a flat column at the last row, a nested one at the last byte but one.
  while (at < chunk.length - 1 && (!flat || values < announced)) {
    const start = thriftStructEnd(chunk, at, chunk.length);
    const header = parquetHeader({ view, offset: at });
    const { compressed_page_size: size, uncompressed_page_size: unpackedSize, type } = header;
    if (!(size >= 0 && size <= chunk.length - start)) {
      throw new Error(`a page of ${size} bytes where ${chunk.length - start} are left`);
    }
    if (!(unpackedSize >= 0 && unpackedSize <= MAX_PAGE_BYTES)) {
      throw new Error(`a page of ${unpackedSize} bytes unpacked, more than ${MAX_PAGE_BYTES}`);
    }
    if (unpackedSize > size * (MAX_RATIOS[column.codec] ?? Infinity)) {
      throw new Error(`a page of ${unpackedSize} bytes unpacked from ${size}`);
    }
    unpacked += unpackedSize;
    const packed = chunk.subarray(start, start + size);
    const data = header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header;
    const count = data?.num_values ?? -1;
    if (!(count >= 0 && count <= MAX_CHUNK_VALUES)) throw new Error(`a page of ${count} values`);
    if (type === 'DICTIONARY_PAGE' && header.dictionary_page_header !== undefined) {
      decompressPage(packed, unpackedSize, column.codec, compressors);
      hasDictionary = true;
    } else {
      const encoding = data!.encoding;
      if (!ENCODINGS.includes(encoding)) throw new Error(`encoding ${encoding}, which is not supported`);
      if (DICTIONARY_ENCODINGS.includes(encoding) && (!hasDictionary || column.type === 'BOOLEAN')) {
        throw new Error('indices without their dictionary');
      }
      values += count;
      if (type === 'DATA_PAGE' && header.data_page_header !== undefined) {
        const page = decompressPage(packed, unpackedSize, column.codec, compressors);
        checkPageV1(page, header.data_page_header, max, column.type);
      } else if (type === 'DATA_PAGE_V2' && header.data_page_header_v2 !== undefined) {
        checkPageV2(packed, header, max, column, compressors);
      } else throw new Error(`a page of type ${type}, which is not supported`);
    }
    at = start + size;
  }
  if (values !== announced) throw new Error(`${values} values where the footer says ${announced}`);
  return unpacked;
}
