// studentWriter.ts: writes one entry of the cache of students, piece by piece, never a whole file in memory. Nothing is an
// entry before its manifest is written, and that is the last write of all.
import { PupilError } from '../base/errors';
import { encodeManifest, type StoredPiece, type StudentManifest, type StudentOrigin } from '../formats/studentManifest';
import { sha256Of } from '../formats/trainingCheckpoint';
import type { CachePlace, PieceFile, Release } from './cachePlace';

/** Checksums are over at most so many bytes: what is read, held and checked at once. */
export const PIECE_BYTES = 8 * 2 ** 20;

export const MANIFEST = 'manifest.json';

interface OpenFileRecord {
  file: PieceFile;
  sizeBytes: number;
  pieces: StoredPiece[];
}

export class StudentWriter {
  private readonly files = new Map<string, OpenFileRecord>();
  private done = false;

  constructor(
    private readonly place: CachePlace,
    readonly key: string,
    private readonly origin: StudentOrigin,
    private readonly madeAt: string,
    private readonly release: Release,
  ) {}

  /** Begins a file of this size. */
  async create(path: string, sizeBytes: number): Promise<void> {
    this.expectOpen();
    const file = await this.place.create(this.key, path, sizeBytes);
    this.files.set(path, { file, sizeBytes, pieces: [] });
  }

  /**
   * Writes bytes of a file that was begun, in any order of places.
   * @param part what they are, for messages
   */
  async write(path: string, at: number, bytes: Uint8Array, part: string): Promise<void> {
    this.expectOpen();
    const { file, pieces } = this.files.get(path)!;
    for (let from = 0; from < bytes.byteLength; from += PIECE_BYTES) {
      const piece = bytes.subarray(from, from + PIECE_BYTES);
      const start = at + from;
      const [sha256] = await Promise.all([sha256Of(piece), file.write(start, piece)]);
      pieces.push({ start, end: start + piece.byteLength, sha256, part });
    }
  }

  /** A small file, whole. */
  async whole(path: string, bytes: Uint8Array): Promise<void> {
    await this.create(path, bytes.byteLength);
    await this.write(path, 0, bytes, path);
  }

  /**
   * Makes an entry of what was written.
   * @throws PupilError `storage` where a file has a hole or an overlap: then nothing is cached
   */
  async commit(): Promise<StudentManifest> {
    this.expectOpen();
    const files: StudentManifest['files'] = {};
    for (const [path, { sizeBytes, pieces, file }] of this.files) {
      pieces.sort((a, b) => a.start - b.start);
      let at = 0;
      for (const { start, end, part } of pieces) {
        if (start !== at) {
          throw new PupilError(
            'storage',
            `student cache: ${path}: expected ${part} at byte ${at}, it was written at ${start}`,
          );
        }
        at = end;
      }
      if (at !== sizeBytes) {
        throw new PupilError('storage', `student cache: ${path}: expected ${sizeBytes} bytes, ${at} were written`);
      }
      await file.close();
      files[path] = { sizeBytes, pieces };
    }
    const manifest: StudentManifest = { key: this.key, ...this.origin, madeAt: this.madeAt, files };
    await this.place.writeFile(this.key, MANIFEST, await encodeManifest(manifest));
    this.done = true;
    this.release();
    return manifest;
  }

  /** Gives up and takes away what was written; nothing happens after a commit. Never throws: a sweep finds what stays. */
  async abort(): Promise<void> {
    if (this.done) return;
    this.done = true;
    for (const { file } of this.files.values()) await file.close().catch(() => undefined);
    await this.place.remove(this.key).catch(() => undefined);
    this.release();
  }

  private expectOpen(): void {
    if (this.done) throw new PupilError('storage', 'student cache: expected a writer that is open, this one has ended');
  }
}
