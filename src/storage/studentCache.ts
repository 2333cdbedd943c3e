// studentCache.ts: students as they were packed when they were first loaded, kept for the next time: a folder each, which
// is a checkpoint as others read it, and a manifest with a checksum for every piece. What is in the files is not looked at
// here (formats/ and session/ do); where they lie is a CachePlace.
import { PupilError } from '../base/errors';
import type { ByteSource, OpenFile } from '../formats/byteSource';
import {
  decodeManifest,
  manifestBytes,
  type StudentManifest,
  type StudentOrigin,
  type StudentSettings,
} from '../formats/studentManifest';
import type { CachePlace, OpenedFile } from './cachePlace';
import { MANIFEST, StudentWriter } from './studentWriter';
import { pieceProblem, verifiedSource } from './verifiedFile';

/** When an entry was read last: not worth a checksum. */
const LAST_USED = 'last-used.txt';

const KEY = /^[0-9a-f]{32}$/;

/** An entry as a list shows it. */
export interface CachedStudent {
  key: string;
  /** Where it was loaded from. */
  source: string;
  settings?: StudentSettings;
  sizeBytes: number;
  /** ISO time. */
  madeAt?: string;
  /** ISO time; absent where it was never read. */
  usedAt?: string;
  /** Why it cannot be used. */
  problem?: string;
}

export interface VerifiedStudent {
  key: string;
  source: string;
  /** Pieces whose checksums were computed. */
  pieces: number;
  sizeBytes: number;
  /** File, tensor and bytes of all that differs; empty where the student is whole. */
  problems: string[];
}

/** An entry being read. */
export interface OpenedEntry {
  manifest: StudentManifest;
  /** The files of the folder, every piece checked when it is read. */
  open: OpenFile;
  /** What was found wrong while reading. */
  readonly damage: readonly string[];
}

export class StudentCache {
  private swept: Promise<string[]> | undefined;

  constructor(
    private readonly place: CachePlace,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** In words, for messages. */
  get description(): string {
    return this.place.description;
  }

  /**
   * Takes away what a closed tab, a crash or full storage left half written; once, later calls give the same answer.
   * @returns the names of what was taken away.
   */
  sweep(): Promise<string[]> {
    this.swept ??= this.sweepNow().catch((error: unknown) => {
      this.swept = undefined; // a failure is not remembered
      throw error;
    });
    return this.swept;
  }

  /** Newest use first. */
  async list(): Promise<CachedStudent[]> {
    await this.sweep();
    const found: CachedStudent[] = [];
    for (const key of await this.keys()) {
      const entry = await this.describe(key);
      if (entry !== undefined) found.push(entry);
    }
    const time = ({ usedAt, madeAt }: CachedStudent): string => usedAt ?? madeAt ?? '';
    return found.sort((a, b) => (time(a) < time(b) ? 1 : -1));
  }

  /** The manifest of an entry; undefined where there is none that can be read. */
  async find(key: string): Promise<StudentManifest | undefined> {
    const bytes = await this.place.readFile(expectKey(key), MANIFEST);
    if (bytes === undefined) return undefined;
    const manifest = await decodeManifest(bytes, `student cache: ${key}`).catch(() => undefined);
    return manifest?.key === key ? manifest : undefined;
  }

  /** The newest entry that was loaded from this address with these settings. */
  async findAddress(address: string, settings: StudentSettings): Promise<StudentManifest | undefined> {
    const wanted = JSON.stringify(settings);
    let newest: StudentManifest | undefined;
    for (const key of await this.keys()) {
      const manifest = await this.find(key);
      if (manifest?.address !== address || JSON.stringify(manifest.settings) !== wanted) continue;
      if (newest === undefined || manifest.madeAt > newest.madeAt) newest = manifest;
    }
    return newest;
  }

  /**
   * Reads an entry; while `work` lasts nobody can delete it.
   * @throws PupilError `storage` where there is none, or it is being written or deleted; whatever `work` throws
   */
  async read<T>(key: string, work: (entry: OpenedEntry) => Promise<T>): Promise<T> {
    const release = await this.place.lock(expectKey(key), 'shared');
    if (release === undefined) throw new PupilError('storage', `student cache: ${key} is being written or deleted`);
    const opened = new Map<string, OpenedFile>();
    try {
      const manifest = await this.find(key);
      if (manifest === undefined) throw noEntry(key);
      const damage: string[] = [];
      const sources = new Map<string, ByteSource>();
      const open: OpenFile = async (path) => {
        const known = sources.get(path);
        if (known !== undefined) return known;
        const record = manifest.files[path];
        if (record === undefined) return undefined;
        const name = `${manifest.source} (cached): ${path}`;
        const file = await this.place.open(key, path);
        if (file === undefined || file.size !== record.sizeBytes) {
          const problem = `expected a file of ${record.sizeBytes} bytes, ${file === undefined ? 'there is none' : `it has ${file.size}`}`;
          damage.push(`${path}: ${problem}`);
          await file?.close();
          throw new PupilError('storage', `${name}: ${problem}`, 'The cached student is damaged: delete it.');
        }
        opened.set(path, file);
        const source = verifiedSource(name, file, record, (problem) => damage.push(`${path}: ${problem}`));
        sources.set(path, source);
        return source;
      };
      return await work({ manifest, open, damage });
    } finally {
      for (const file of opened.values()) await file.close().catch(() => undefined);
      release();
    }
  }

  /** Notes that an entry was of use. Losing that costs nothing. */
  async touch(key: string): Promise<void> {
    const bytes = new TextEncoder().encode(this.now().toISOString());
    await this.place.writeFile(key, LAST_USED, bytes).catch(() => undefined);
  }

  /**
   * Begins an entry; one of the same key is replaced.
   * @returns the writer, to be committed or aborted; undefined where another tab or process has the entry in hand.
   * @throws PupilError `storage-full` where fewer than `expectedBytes` are left, saying what could be deleted
   */
  async begin(key: string, origin: StudentOrigin, expectedBytes: number): Promise<StudentWriter | undefined> {
    await this.sweep();
    const release = await this.place.lock(expectKey(key), 'exclusive');
    if (release === undefined) return undefined;
    try {
      await this.removeEntry(key);
      await this.place.persist().catch(() => undefined);
      await this.expectRoom(expectedBytes);
      return new StudentWriter(this.place, key, origin, this.now().toISOString(), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Computes every checksum of an entry anew. @throws PupilError `storage` where there is none */
  async verify(key: string, onProgress?: (doneBytes: number, totalBytes: number) => void): Promise<VerifiedStudent> {
    const release = await this.place.lock(expectKey(key), 'shared');
    if (release === undefined) throw new PupilError('storage', `student cache: ${key} is being written or deleted`);
    try {
      const manifest = await this.find(key);
      if (manifest === undefined) throw noEntry(key);
      const totalBytes = manifestBytes(manifest);
      const problems: string[] = [];
      let [done, pieces] = [0, 0];
      for (const [path, record] of Object.entries(manifest.files)) {
        const file = await this.place.open(key, path);
        if (file === undefined) {
          problems.push(`${path}: expected a file of ${record.sizeBytes} bytes, there is none`);
          continue;
        }
        try {
          if (file.size !== record.sizeBytes) {
            problems.push(`${path}: expected ${record.sizeBytes} bytes, the file has ${file.size}`);
          }
          for (const piece of record.pieces) {
            const [start, end] = [piece.start, piece.end].map((at) => Math.min(at, file.size)) as [number, number];
            const problem = await pieceProblem(piece, await file.read(start, end));
            if (problem !== undefined) problems.push(`${path}: ${problem}`);
            pieces++;
            done += piece.end - piece.start;
            onProgress?.(done, totalBytes);
          }
        } finally {
          await file.close();
        }
      }
      return { key, source: manifest.source, pieces, sizeBytes: totalBytes, problems };
    } finally {
      release();
    }
  }

  /** @throws PupilError `usage` where it is in use; `storage` where there is no such entry */
  async delete(key: string): Promise<void> {
    if (!(await this.keys()).includes(expectKey(key))) throw noEntry(key);
    const release = await this.place.lock(key, 'exclusive');
    if (release === undefined) {
      throw new PupilError(
        'usage',
        `student cache: ${key}: expected a student that nobody reads or writes, it is in use`,
        'Wait until it is loaded, or close the tab that loads it.',
      );
    }
    try {
      await this.removeEntry(key);
    } finally {
      release();
    }
  }

  /** Those of the same address and settings that a newer one stands for; what cannot be taken away now stays. */
  async deleteOlder({ key, address, settings }: StudentManifest): Promise<void> {
    if (address === undefined) return;
    for (const other of await this.keys()) {
      if (other === key) continue;
      const manifest = await this.find(other);
      const same = manifest?.address === address && JSON.stringify(manifest.settings) === JSON.stringify(settings);
      if (same) await this.delete(other).catch(() => undefined);
    }
  }

  /** What a person can do where room is short: which entries there are, and what each would free. */
  async whenFull(): Promise<string> {
    const others = (await this.list().catch(() => [])).map(
      ({ source, sizeBytes }) => `${source} (${showBytes(sizeBytes)})`,
    );
    if (others.length === 0) return 'Free some disk space.';
    return `Delete cached students that are no longer needed: ${others.join(', ')}.`;
  }

  /** Of the folders there: what has another kind of name is not ours, and is never touched. */
  private async keys(): Promise<string[]> {
    return (await this.place.list()).filter((name) => KEY.test(name));
  }

  private async sweepNow(): Promise<string[]> {
    const gone: string[] = [];
    for (const key of await this.keys()) {
      const bytes = await this.place.readFile(key, MANIFEST);
      // One of another version is somebody's: it is listed, and deleted by a person only.
      const whole =
        bytes !== undefined &&
        (await decodeManifest(bytes, key).then(
          (manifest) => manifest !== undefined,
          () => true,
        ));
      if (whole) continue;
      const release = await this.place.lock(key, 'exclusive');
      if (release === undefined) continue; // being written
      try {
        // Committed since it was looked at?
        const again = await this.place.readFile(key, MANIFEST);
        if (again !== undefined && bytes === undefined) continue;
        await this.place.remove(key);
        gone.push(key);
      } finally {
        release();
      }
    }
    return gone;
  }

  /** The manifest goes first: half deleted is as good as half written. */
  private async removeEntry(key: string): Promise<void> {
    await this.place.removeFile(key, MANIFEST);
    await this.place.remove(key);
  }

  private async describe(key: string): Promise<CachedStudent | undefined> {
    const bytes = await this.place.readFile(key, MANIFEST);
    if (bytes === undefined) return undefined;
    const used = await this.place.readFile(key, LAST_USED).catch(() => undefined);
    const usedAt = used === undefined ? undefined : new TextDecoder().decode(used);
    try {
      const manifest = await decodeManifest(bytes, `student cache: ${key}`);
      if (manifest === undefined) return undefined;
      const { source, settings, madeAt } = manifest;
      return {
        key,
        source,
        settings,
        sizeBytes: manifestBytes(manifest),
        madeAt,
        ...(usedAt === undefined ? {} : { usedAt }),
      };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { key, source: 'unknown', sizeBytes: await this.place.sizeBytes(key), problem };
    }
  }

  private async expectRoom(expectedBytes: number): Promise<void> {
    const room = await this.place.roomBytes();
    if (room === undefined || room >= expectedBytes) return;
    throw new PupilError(
      'storage-full',
      `student cache: expected room for ${showBytes(expectedBytes)} in ${this.description}, ${showBytes(room)} are left: ${showBytes(expectedBytes - room)} are missing`,
      await this.whenFull(),
    );
  }
}

/** Keys are names of folders: nothing else gets near a path. */
function expectKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new PupilError('usage', `student cache: expected a key of 32 hex digits, got ${JSON.stringify(key)}`);
}

function noEntry(key: string): PupilError {
  return new PupilError(
    'storage',
    `student cache: ${key}: expected a cached student, there is none of that key`,
    'Keys are in the list of cached students.',
  );
}

/** 3642368 → `3.5 MiB`. */
export function showBytes(size: number): string {
  if (size >= 2 ** 30) return `${(size / 2 ** 30).toFixed(1)} GiB`;
  return size >= 2 ** 20 ? `${(size / 2 ** 20).toFixed(1)} MiB` : `${Math.ceil(size / 2 ** 10)} KiB`;
}
