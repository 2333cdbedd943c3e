// cacheOpfs.ts: a cache's files in the browser's origin-private file system, an entry a folder, each file written and read
// through a synchronous access handle: only a worker has these. Locks are the browser's, so they hold between tabs and end
// with them.
import { PupilError } from '../base/errors';
import { LocalLocks, type CachePlace, type OpenedFile, type PieceFile, type Release } from './cachePlace';
import { estimateStorage, persistStorage } from './quota';

const FOLDER = 'pupil-students';
/** Where the browser has no Web Locks: this worker's own. */
const LOCKS = new LocalLocks();

type Doing = 'listing' | 'reading' | 'writing' | 'deleting';

function opfsError(doing: Doing, what: string, cause: unknown): PupilError {
  const name = (cause as DOMException | null)?.name ?? '';
  const text = cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
  if (name === 'QuotaExceededError') {
    return new PupilError(
      'storage-full',
      `OPFS: ${doing} ${what}: the browser has no room left (${text})`,
      'Delete cached students or old runs, or free disk space.',
      { cause },
    );
  }
  return new PupilError(
    'storage',
    `OPFS: ${doing} ${what} failed: ${name} ${text}`.trim(),
    'Another tab may have it open; in a private window storage may be switched off.',
    { cause },
  );
}

const isMissing = (error: unknown): boolean => (error as DOMException | null)?.name === 'NotFoundError';

export class OpfsCachePlace implements CachePlace {
  readonly description = 'this browser';

  constructor(
    private readonly folder = FOLDER,
    private readonly storage: Pick<StorageManager, 'getDirectory'> | undefined = globalThis.navigator?.storage,
  ) {}

  async list(): Promise<string[]> {
    try {
      const names: string[] = [];
      for await (const [name, handle] of await this.root()) if (handle.kind === 'directory') names.push(name);
      return names;
    } catch (error) {
      throw opfsError('listing', this.folder, error);
    }
  }

  async sizeBytes(entry: string): Promise<number> {
    let sum = 0;
    try {
      for await (const [, handle] of await (await this.root()).getDirectoryHandle(entry)) {
        if (handle.kind === 'file') sum += (await (handle as FileSystemFileHandle).getFile()).size;
      }
    } catch (error) {
      if (!isMissing(error)) throw opfsError('listing', entry, error);
    }
    return sum;
  }

  async readFile(entry: string, path: string): Promise<Uint8Array | undefined> {
    try {
      const file = await (await this.fileHandle(entry, path)).getFile();
      return new Uint8Array(await file.arrayBuffer());
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw opfsError('reading', path, error);
    }
  }

  async writeFile(entry: string, path: string, bytes: Uint8Array): Promise<void> {
    const file = await this.create(entry, path, bytes.byteLength);
    try {
      await file.write(0, bytes);
    } finally {
      await file.close();
    }
  }

  async create(entry: string, path: string, sizeBytes: number): Promise<PieceFile> {
    let handle: FileSystemSyncAccessHandle;
    try {
      handle = await (await this.fileHandle(entry, path, true)).createSyncAccessHandle();
    } catch (error) {
      throw opfsError('writing', path, error);
    }
    try {
      handle.truncate(sizeBytes); // what does not fit is told now
    } catch (error) {
      handle.close();
      throw opfsError('writing', path, error);
    }
    let closed = false;
    return {
      write: (at, bytes) => {
        try {
          const written = handle.write(bytes as Uint8Array<ArrayBuffer>, { at });
          if (written !== bytes.byteLength) {
            throw new DOMException(`${written} of ${bytes.byteLength} bytes were written`, 'QuotaExceededError');
          }
          return Promise.resolve();
        } catch (error) {
          return Promise.reject(opfsError('writing', path, error));
        }
      },
      close: () => {
        if (closed) return Promise.resolve();
        closed = true;
        try {
          handle.flush();
        } catch (error) {
          return Promise.reject(opfsError('writing', path, error));
        } finally {
          handle.close();
        }
        return Promise.resolve();
      },
    };
  }

  async open(entry: string, path: string): Promise<OpenedFile | undefined> {
    let file: FileSystemFileHandle;
    try {
      file = await this.fileHandle(entry, path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw opfsError('reading', path, error);
    }
    try {
      return readerOf(path, await openForReading(file));
    } catch {
      // Another tab reads it, and this browser knows exclusive handles only; or this is no worker.
      return this.openBlob(path, file);
    }
  }

  async removeFile(entry: string, path: string): Promise<void> {
    try {
      const folder = await (await this.root()).getDirectoryHandle(entry);
      await folder.removeEntry(path);
    } catch (error) {
      if (!isMissing(error)) throw opfsError('deleting', path, error);
    }
  }

  async remove(entry: string): Promise<void> {
    try {
      await (await this.root()).removeEntry(entry, { recursive: true });
    } catch (error) {
      if (!isMissing(error)) throw opfsError('deleting', entry, error);
    }
  }

  async roomBytes(): Promise<number | undefined> {
    const { quotaBytes, usageBytes } = await estimateStorage();
    return quotaBytes === undefined || usageBytes === undefined ? undefined : Math.max(0, quotaBytes - usageBytes);
  }

  async persist(): Promise<void> {
    await persistStorage();
  }

  async lock(entry: string, mode: 'shared' | 'exclusive'): Promise<Release | undefined> {
    const locks = (globalThis.navigator as Navigator | undefined)?.locks;
    if (locks === undefined) return LOCKS.take(`${this.folder}/${entry}`, mode);
    return new Promise((resolve, reject) => {
      locks
        .request(`${this.folder}/${entry}`, { mode, ifAvailable: true }, (lock) => {
          if (lock === null) {
            resolve(undefined);
            return undefined;
          }
          return new Promise<void>((end) => resolve(() => end()));
        })
        .catch(reject);
    });
  }

  private async root(): Promise<FileSystemDirectoryHandle> {
    if (this.storage === undefined) {
      throw new PupilError('storage', 'OPFS: expected navigator.storage, this browser offers none here');
    }
    return (await this.storage.getDirectory()).getDirectoryHandle(this.folder, { create: true });
  }

  private async fileHandle(entry: string, path: string, create = false): Promise<FileSystemFileHandle> {
    const folder = await (await this.root()).getDirectoryHandle(entry, { create });
    return folder.getFileHandle(path, { create });
  }

  private async openBlob(path: string, handle: FileSystemFileHandle): Promise<OpenedFile> {
    try {
      const file = await handle.getFile();
      return {
        size: file.size,
        read: async (start, end) => {
          try {
            return new Uint8Array(await file.slice(start, end).arrayBuffer());
          } catch (error) {
            throw opfsError('reading', path, error);
          }
        },
        close: () => Promise.resolve(),
      };
    } catch (error) {
      throw opfsError('reading', path, error);
    }
  }
}

/** For several tabs at once where the browser knows that (Chrome does since version 121); elsewhere exclusive. */
function openForReading(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  const create = file.createSyncAccessHandle.bind(file) as (options?: {
    mode: 'read-only';
  }) => Promise<FileSystemSyncAccessHandle>;
  return create({ mode: 'read-only' });
}

function readerOf(path: string, handle: FileSystemSyncAccessHandle): OpenedFile {
  return {
    size: handle.getSize(),
    read: (start, end) => {
      try {
        const bytes = new Uint8Array(end - start);
        return Promise.resolve(bytes.subarray(0, handle.read(bytes, { at: start })));
      } catch (error) {
        return Promise.reject(opfsError('reading', path, error));
      }
    },
    close: () => {
      handle.close();
      return Promise.resolve();
    },
  };
}
