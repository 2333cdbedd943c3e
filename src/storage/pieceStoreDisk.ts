// pieceStoreDisk.ts: pieces of downloads in a folder of this machine: for the Node host. Never loaded by a browser. A piece is
// written beside its name and renamed: a killed process leaves it whole or not at all. It is not flushed to the disk; after a
// failure of power the checksum finds what was lost.
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlacedPieceStore, type PiecePlace, type PieceStoreOptions } from './pieceStore';

const missing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

class DiskPlace implements PiecePlace {
  private writes = 0;

  constructor(private readonly directory: string) {}

  async list(folder: readonly string[]): ReturnType<PiecePlace['list']> {
    try {
      const at = join(this.directory, ...folder);
      const entries = await readdir(at, { withFileTypes: true });
      return await Promise.all(
        entries.map(async (entry) => {
          const found = await stat(join(at, entry.name)).catch(() => undefined); // another process may delete it
          const isFolder = entry.isDirectory();
          return { name: entry.name, isFolder, sizeBytes: found?.size ?? 0, modified: found?.mtimeMs ?? 0 };
        }),
      );
    } catch (error) {
      if (missing(error)) return [];
      throw error;
    }
  }

  async read(folder: readonly string[], name: string): Promise<Uint8Array | undefined> {
    try {
      return new Uint8Array(await readFile(join(this.directory, ...folder, name)));
    } catch (error) {
      if (missing(error)) return undefined;
      throw error;
    }
  }

  async write(folder: readonly string[], name: string, bytes: Uint8Array): Promise<void> {
    const at = join(this.directory, ...folder);
    // Unfinished ones carry the process in their names, so that two downloads of one model do not meet.
    const temporary = join(at, `${name}.${process.pid}-${++this.writes}.writing`);
    await mkdir(at, { recursive: true });
    try {
      await writeFile(temporary, bytes);
      await rename(temporary, join(at, name));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async remove(folder: readonly string[]): Promise<void> {
    await rm(join(this.directory, ...folder), { recursive: true, force: true });
  }
}

/** Pieces in a folder, which is made when the first one is kept. */
export function diskPieceStore(directory: string, options: PieceStoreOptions = {}): PlacedPieceStore {
  return new PlacedPieceStore(new DiskPlace(directory), {
    freeBytes: async () => {
      try {
        const { bavail, bsize } = await statfs(directory);
        return bavail * bsize;
      } catch {
        return undefined; // not there yet, or a system that does not say
      }
    },
    ...options,
  });
}
