// zipRead.ts: the files in a zip, one at a time, out of a source with random access; for archives from anywhere. What an archive
// claims is checked before it is believed: names, sizes, overlaps, checksums. It goes by the directory at the archive's end,
// as unzip does, writes nothing, and does not read zip64, encrypted or multi-part archives.
//
// Source: APPNOTE.TXT 6.3.10 (PKWARE), 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).
import { Inflate } from 'fflate';
import { PupilError } from '../base/errors';
import { readExact, type ByteSource } from './byteSource';
import { crc32 } from './crc32';

export interface ZipLimits {
  /** Files and folders listed. */
  entries: number;
  /** Bytes of one file, unpacked. */
  fileBytes: number;
  /** Bytes of all files, unpacked. */
  totalBytes: number;
}

/** A file in the archive, as its directory tells it. */
export interface ZipEntry {
  /** With forward slashes, within the archive. */
  path: string;
  sizeBytes: number;
  /** Unpacks it, and verifies size and checksum. Throws `format`. */
  read(): Promise<Uint8Array>;
}

const END = { signature: 0x06054b50, bytes: 22, maxComment: 0xffff };
const DIRECTORY = { signature: 0x02014b50, bytes: 46 };
const LOCAL = { signature: 0x04034b50, bytes: 30 };
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** Deflate packs no better than 1032 to 1. */
const MOST_PACKED = 1032;
const CHUNK_BYTES = 2 ** 20;
const PATH_LENGTH = 512;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Lists the files of an archive; folders are left out. Nothing is unpacked yet.
 * @throws PupilError `format` for what is no whole zip, for names that lead out of it or come twice, for files that overlap, and
 *   for more than the limits allow, e.g. `run.zip: "../x": expected a path inside the archive`
 */
export async function openZip(source: ByteSource, limits: ZipLimits): Promise<ZipEntry[]> {
  const { directory, start, count } = await readDirectory(source, limits);
  const found = parseDirectory(source.name, directory, count);
  expectPaths(source.name, found);
  expectSizes(source.name, found, limits);
  // Each file ends before the next begins: bombs let many names share the same packed bytes.
  const begins = [...found.map(({ offset }) => offset), start].sort((a, b) => a - b);
  return found
    .filter(({ path }) => !path.endsWith('/'))
    .map((entry) => {
      const end = begins[begins.lastIndexOf(entry.offset) + 1] ?? start;
      return { path: entry.path, sizeBytes: entry.sizeBytes, read: () => unpack(source, entry, end) };
    });
}

function bad(name: string, what: string, hint: string): PupilError {
  return new PupilError('format', `${name}: ${what}`, hint);
}

const BROKEN = 'The file is damaged or was cut off on its way: fetch or export it again.';
const HOSTILE =
  'Pupil does not make such archives. Unpack it with a program you trust, look at it, and pick the folder.';

/** The directory's bytes, where it begins, and how many entries it should have. */
async function readDirectory(
  source: ByteSource,
  limits: ZipLimits,
): Promise<{ directory: Uint8Array; start: number; count: number }> {
  const tail = await readExact(source, Math.max(0, source.size - END.bytes - END.maxComment), source.size);
  const view = viewOf(tail);
  let at = tail.byteLength - END.bytes;
  // The end record, whose comment must reach exactly to the end of the file.
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === END.signature && view.getUint16(at + 20, true) === tail.byteLength - at - END.bytes)
  ) {
    at--;
  }
  if (at < 0) throw bad(source.name, 'expected a zip file, its end (the list of its files) is missing', BROKEN);
  const [disk, count, bytes, start] = [
    view.getUint16(at + 4, true),
    view.getUint16(at + 10, true),
    view.getUint32(at + 12, true),
    view.getUint32(at + 16, true),
  ];
  if (count === 0xffff || bytes === 0xffffffff || start === 0xffffffff) {
    throw bad(source.name, 'expected a plain zip file, got a zip64', 'Unpack it, and pick the folder.');
  }
  if (disk !== 0 || view.getUint16(at + 8, true) !== count) {
    throw bad(source.name, 'expected a whole zip file, got one part of several', 'Join the parts first.');
  }
  if (count > limits.entries) {
    throw bad(source.name, `expected at most ${limits.entries} files, it lists ${count}`, 'Is it the zip of one run?');
  }
  const endAt = source.size - tail.byteLength + at;
  if (start + bytes > endAt) {
    throw bad(source.name, 'expected the list of its files before its end, it lies elsewhere', BROKEN);
  }
  return { directory: await readExact(source, start, start + bytes), start, count };
}

interface Listed {
  path: string;
  flags: number;
  method: number;
  crc: number;
  packedBytes: number;
  sizeBytes: number;
  /** Of its local header. */
  offset: number;
}

function parseDirectory(name: string, directory: Uint8Array, count: number): Listed[] {
  const view = viewOf(directory);
  const found: Listed[] = [];
  let at = 0;
  while (found.length < count) {
    if (at + DIRECTORY.bytes > directory.byteLength || view.getUint32(at, true) !== DIRECTORY.signature) {
      throw bad(name, `expected ${count} files in its list, entry ${found.length + 1} is damaged`, BROKEN);
    }
    const nameEnd = at + DIRECTORY.bytes + view.getUint16(at + 28, true);
    const next = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > directory.byteLength) {
      throw bad(name, `expected ${count} files in its list, entry ${found.length + 1} is cut off`, BROKEN);
    }
    found.push({
      path: new TextDecoder().decode(directory.subarray(at + DIRECTORY.bytes, nameEnd)),
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packedBytes: view.getUint32(at + 20, true),
      sizeBytes: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at = next;
  }
  return found;
}

/** A path inside the archive, as it stands: no way out, no drive, nothing that a file system takes otherwise. */
export function isPlainPath(path: string): boolean {
  const parts = path.replace(/\/$/, '').split('/');
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return path.length <= PATH_LENGTH && !/[\\:\u0000-\u001f\u007f\ufffd]/.test(path) && !parts.some(isNoName);
}
const isNoName = (part: string): boolean => part === '' || part === '.' || part === '..';

function expectPaths(name: string, found: readonly Listed[]): void {
  const seen = new Set<string>();
  for (const { path } of found) {
    if (!isPlainPath(path)) {
      const shown = JSON.stringify(path.length > 80 ? `${path.slice(0, 80)}…` : path);
      throw bad(name, `${shown}: expected a path inside the archive`, HOSTILE);
    }
    const folded = path.toLowerCase();
    if (seen.has(folded)) throw bad(name, `${JSON.stringify(path)}: expected every file once, it comes twice`, HOSTILE);
    seen.add(folded);
  }
}

function expectSizes(name: string, found: readonly Listed[], limits: ZipLimits): void {
  let total = 0;
  for (const { path, sizeBytes, packedBytes } of found) {
    total += sizeBytes;
    if (sizeBytes > limits.fileBytes || sizeBytes > packedBytes * MOST_PACKED) {
      const limit = sizeBytes > limits.fileBytes ? `${limits.fileBytes}` : `${packedBytes * MOST_PACKED}`;
      throw bad(name, `${JSON.stringify(path)}: expected at most ${limit} bytes, it claims ${sizeBytes}`, HOSTILE);
    }
  }
  if (total > limits.totalBytes) {
    throw bad(name, `expected at most ${limits.totalBytes} bytes in all, it claims ${total}`, HOSTILE);
  }
}

/** @param end where the next file, or the directory, begins */
async function unpack(source: ByteSource, entry: Listed, end: number): Promise<Uint8Array> {
  const label = `${source.name}: ${JSON.stringify(entry.path)}`;
  if ((entry.flags & ENCRYPTED) !== 0) throw bad(label, 'expected an open file, it is encrypted', 'Unpack it first.');
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw bad(label, `expected it stored or deflated, it is packed by method ${entry.method}`, 'Unpack it first.');
  }
  const header = viewOf(await readExact(source, entry.offset, entry.offset + LOCAL.bytes));
  if (header.getUint32(0, true) !== LOCAL.signature) throw bad(label, 'expected a file where its list says', BROKEN);
  const start = entry.offset + LOCAL.bytes + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + entry.packedBytes > end) throw bad(label, 'expected files one behind the other, two overlap', HOSTILE);
  const out = new Uint8Array(entry.sizeBytes);
  let filled = 0;
  let crc = 0;
  const take = (piece: Uint8Array): void => {
    if (filled + piece.byteLength > out.byteLength) {
      throw bad(label, `expected ${entry.sizeBytes} bytes as its list says, there are more`, HOSTILE);
    }
    out.set(piece, filled);
    filled += piece.byteLength;
    crc = crc32(piece, crc);
  };
  const inflate = entry.method === DEFLATED ? new Inflate(take) : undefined;
  for (let at = start; at < start + entry.packedBytes; at += CHUNK_BYTES) {
    const chunkEnd = Math.min(at + CHUNK_BYTES, start + entry.packedBytes);
    const chunk = await readExact(source, at, chunkEnd);
    if (inflate === undefined) take(chunk);
    else pushed(label, inflate, chunk, chunkEnd === start + entry.packedBytes);
  }
  if (filled !== out.byteLength) throw bad(label, `expected ${out.byteLength} bytes, it has ${filled}`, BROKEN);
  if (crc !== entry.crc) throw bad(label, 'expected the checksum that its list says, its bytes give another', BROKEN);
  return out;
}

/** fflate throws errors of its own. */
function pushed(label: string, inflate: Inflate, chunk: Uint8Array, last: boolean): void {
  try {
    inflate.push(chunk, last);
  } catch (cause) {
    if (cause instanceof PupilError) throw cause;
    throw new PupilError(
      'format',
      `${label}: expected deflated bytes, they cannot be unpacked (${cause instanceof Error ? cause.message : String(cause)})`,
      BROKEN,
      { cause },
    );
  }
}
