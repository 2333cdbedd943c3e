// cacheDisk.ts: a cache's files in a folder of this machine, an entry a folder: for the Node host. Never loaded by a browser.
// Who writes or deletes an entry holds `<entry>.lock` beside it; reading needs none between processes, since a file that is
// open outlives its name.
import { mkdirSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { takeProcessLock } from '../base/processLock';
import { LocalLocks, type CachePlace, type OpenedFile, type PieceFile, type Release } from './cachePlace';
import { diskError, readIfThere, writeDurably } from './diskFiles';

/** Of all places of this process: several may be of one folder. */
const LOCKS = new LocalLocks();

export class DiskCachePlace implements CachePlace {
  constructor(private readonly directory: string) {}

  get description(): string {
    return this.directory;
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.directory, { withFileTypes: true }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw diskError(`listing ${this.directory}`, error);
    });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  async sizeBytes(entry: string): Promise<number> {
    const names = await readdir(join(this.directory, entry)).catch(() => []);
    let sum = 0;
    for (const name of names) sum += (await stat(join(this.directory, entry, name)).catch(() => undefined))?.size ?? 0;
    return sum;
  }

  readFile(entry: string, path: string): Promise<Uint8Array | undefined> {
    return readIfThere(join(this.directory, entry, path));
  }

  writeFile(entry: string, path: string, bytes: Uint8Array): Promise<void> {
    return writeDurably(join(this.directory, entry, path), bytes);
  }

  async create(entry: string, path: string, sizeBytes: number): Promise<PieceFile> {
    const full = join(this.directory, entry, path);
    try {
      await mkdir(join(this.directory, entry), { recursive: true });
      const file = await open(full, 'w');
      await file.truncate(sizeBytes).catch(async (error: unknown) => {
        await file.close();
        throw error;
      });
      let closed = false;
      return {
        write: async (at, bytes) => {
          try {
            for (let from = 0; from < bytes.byteLength;) {
              from += (await file.write(bytes, from, bytes.byteLength - from, at + from)).bytesWritten;
            }
          } catch (error) {
            throw diskError(`writing ${full}`, error);
          }
        },
        close: async () => {
          if (closed) return;
          closed = true;
          try {
            await file.sync();
          } catch (error) {
            throw diskError(`writing ${full}`, error);
          } finally {
            await file.close();
          }
        },
      };
    } catch (error) {
      throw diskError(`making ${full}`, error);
    }
  }

  async open(entry: string, path: string): Promise<OpenedFile | undefined> {
    const full = join(this.directory, entry, path);
    try {
      const file = await open(full, 'r');
      const { size } = await file.stat();
      return {
        size,
        read: async (start, end) => {
          const bytes = new Uint8Array(end - start);
          let filled = 0;
          try {
            while (filled < bytes.byteLength) {
              const { bytesRead } = await file.read(bytes, filled, bytes.byteLength - filled, start + filled);
              if (bytesRead === 0) break;
              filled += bytesRead;
            }
          } catch (error) {
            throw diskError(`reading ${full}`, error);
          }
          return bytes.subarray(0, filled);
        },
        close: () => file.close(),
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw diskError(`opening ${full}`, error);
    }
  }

  async removeFile(entry: string, path: string): Promise<void> {
    await rm(join(this.directory, entry, path), { force: true }).catch((error: unknown) => {
      throw diskError(`deleting ${entry}/${path}`, error);
    });
  }

  async remove(entry: string): Promise<void> {
    await rm(join(this.directory, entry), { recursive: true, force: true }).catch((error: unknown) => {
      throw diskError(`deleting ${entry}`, error);
    });
  }

  async roomBytes(): Promise<number | undefined> {
    // The folder may not be there yet: its nearest parent is on the same disk, or says nothing wrong.
    await mkdir(this.directory, { recursive: true }).catch(() => undefined);
    const found = await statfs(this.directory).catch(() => undefined);
    return found === undefined ? undefined : found.bavail * found.bsize;
  }

  persist(): Promise<void> {
    return Promise.resolve();
  }

  lock(entry: string, mode: 'shared' | 'exclusive'): Promise<Release | undefined> {
    return Promise.resolve().then(() => {
      const local = LOCKS.take(join(this.directory, entry), mode);
      if (local === undefined || mode === 'shared') return local;
      try {
        mkdirSync(this.directory, { recursive: true });
        const { release } = takeProcessLock(join(this.directory, `${entry}.lock`));
        if (release !== undefined) {
          return () => {
            release();
            local();
          };
        }
      } catch (error) {
        local();
        throw diskError(`locking ${entry} in ${this.directory}`, error);
      }
      local();
      return undefined;
    });
  }
}
