// cacheMemory.ts: a cache's files in this process only: for tests.
import { PupilError } from '../base/errors';
import { LocalLocks, type CachePlace, type OpenedFile, type PieceFile, type Release } from './cachePlace';

export class MemoryCachePlace implements CachePlace {
  readonly description = 'memory';
  /** By entry, then by path. */
  readonly entries = new Map<string, Map<string, Uint8Array>>();
  private readonly locks = new LocalLocks();

  /** @param capacityBytes more does not fit. */
  constructor(private readonly capacityBytes = Infinity) {}

  list(): Promise<string[]> {
    return Promise.resolve([...this.entries.keys()]);
  }

  sizeBytes(entry: string): Promise<number> {
    let sum = 0;
    for (const bytes of this.entries.get(entry)?.values() ?? []) sum += bytes.byteLength;
    return Promise.resolve(sum);
  }

  readFile(entry: string, path: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.entries.get(entry)?.get(path)?.slice());
  }

  async writeFile(entry: string, path: string, bytes: Uint8Array): Promise<void> {
    await this.removeFile(entry, path);
    this.put(entry, path, bytes.slice());
  }

  create(entry: string, path: string, sizeBytes: number): Promise<PieceFile> {
    const bytes = new Uint8Array(sizeBytes);
    return Promise.resolve().then(() => {
      this.put(entry, path, bytes);
      return {
        write: (at, piece) => {
          bytes.set(piece, at);
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      };
    });
  }

  open(entry: string, path: string): Promise<OpenedFile | undefined> {
    const bytes = this.entries.get(entry)?.get(path);
    if (bytes === undefined) return Promise.resolve(undefined);
    return Promise.resolve({
      size: bytes.byteLength,
      read: (start, end) => Promise.resolve(bytes.slice(start, end)),
      close: () => Promise.resolve(),
    });
  }

  removeFile(entry: string, path: string): Promise<void> {
    this.entries.get(entry)?.delete(path);
    return Promise.resolve();
  }

  remove(entry: string): Promise<void> {
    this.entries.delete(entry);
    return Promise.resolve();
  }

  roomBytes(): Promise<number | undefined> {
    return Promise.resolve(this.capacityBytes === Infinity ? undefined : this.capacityBytes - this.used());
  }

  persist(): Promise<void> {
    return Promise.resolve();
  }

  lock(entry: string, mode: 'shared' | 'exclusive'): Promise<Release | undefined> {
    return Promise.resolve(this.locks.take(entry, mode));
  }

  private used(): number {
    let sum = 0;
    for (const files of this.entries.values()) for (const bytes of files.values()) sum += bytes.byteLength;
    return sum;
  }

  private put(entry: string, path: string, bytes: Uint8Array): void {
    if (this.used() + bytes.byteLength > this.capacityBytes) {
      throw new PupilError('storage-full', `memory: no room for ${bytes.byteLength} bytes more`);
    }
    const files = this.entries.get(entry) ?? new Map<string, Uint8Array>();
    files.set(path, bytes);
    this.entries.set(entry, files);
  }
}
