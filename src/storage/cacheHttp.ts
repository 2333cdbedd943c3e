// cacheHttp.ts: a cache's files in a folder behind the command line's file server: for its page in headless Chrome, whose own
// storage ends with the command. The server takes pieces of files and deletes; a lock there is a lock of its process.
import { PupilError } from '../base/errors';
import { LocalLocks, type CachePlace, type OpenedFile, type PieceFile, type Release } from './cachePlace';

/** One entry of a folder's list; see cli/fileServer.ts. */
interface ListEntry {
  name: string;
  kind: 'file' | 'directory';
  sizeBytes: number;
}

export class HttpCachePlace implements CachePlace {
  /** Within this page; the server keeps other processes away. */
  private readonly locks = new LocalLocks();

  /** @param base the address of the folder; ends with a slash. */
  constructor(private readonly base: string) {}

  readonly description = "the command line's cache folder";

  async list(): Promise<string[]> {
    return (await this.listAt('')).filter(({ kind }) => kind === 'directory').map(({ name }) => name);
  }

  async sizeBytes(entry: string): Promise<number> {
    return (await this.listAt(`${entry}/`)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async readFile(entry: string, path: string): Promise<Uint8Array | undefined> {
    const response = await this.send(`${entry}/${path}`, {}, [404]);
    return response.status === 404 ? undefined : new Uint8Array(await response.arrayBuffer());
  }

  async writeFile(entry: string, path: string, bytes: Uint8Array): Promise<void> {
    await this.send(`${entry}/${path}`, { method: 'PUT', body: bytes.slice() });
  }

  async create(entry: string, path: string, sizeBytes: number): Promise<PieceFile> {
    const name = `${entry}/${path}`;
    await this.send(name, { method: 'PUT', body: new Uint8Array(0) });
    return {
      write: async (at, bytes) => {
        if (bytes.byteLength === 0) return;
        const headers = { 'content-range': `bytes ${at}-${at + bytes.byteLength - 1}/${sizeBytes}` };
        await this.send(name, { method: 'PUT', headers, body: bytes.slice() });
      },
      close: () => Promise.resolve(), // what a failing machine loses of it, the checksums find
    };
  }

  async open(entry: string, path: string): Promise<OpenedFile | undefined> {
    const found = (await this.listAt(`${entry}/`)).find(({ name, kind }) => name === path && kind === 'file');
    if (found === undefined) return undefined;
    return {
      size: found.sizeBytes,
      read: async (start, end) => {
        if (start >= end) return new Uint8Array(0);
        const headers = { range: `bytes=${start}-${end - 1}` };
        return new Uint8Array(await (await this.send(`${entry}/${path}`, { headers })).arrayBuffer());
      },
      close: () => Promise.resolve(),
    };
  }

  async removeFile(entry: string, path: string): Promise<void> {
    await this.send(`${entry}/${path}`, { method: 'DELETE' }, [404]);
  }

  async remove(entry: string): Promise<void> {
    await this.send(entry, { method: 'DELETE' }, [404]);
  }

  /** The server says so when it has none left. */
  roomBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  persist(): Promise<void> {
    return Promise.resolve();
  }

  async lock(entry: string, mode: 'shared' | 'exclusive'): Promise<Release | undefined> {
    const local = this.locks.take(entry, mode);
    if (local === undefined || mode === 'shared') return local;
    try {
      const { status } = await this.send(`${entry}.lock`, { method: 'PUT', body: new Uint8Array(0) }, [423]);
      if (status !== 423) {
        return () => {
          void this.send(`${entry}.lock`, { method: 'DELETE' }, [404])
            .catch(() => undefined)
            .finally(local);
        };
      }
    } catch (error) {
      local();
      throw error;
    }
    local();
    return undefined;
  }

  private async listAt(folder: string): Promise<ListEntry[]> {
    const response = await this.send(folder, {}, [404]);
    return response.status === 404 ? [] : ((await response.json()) as ListEntry[]);
  }

  /** @param expected statuses beside those of success that the caller understands */
  private async send(path: string, init: RequestInit, expected: readonly number[] = []): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.base + path, { cache: 'no-store', ...init });
    } catch (cause) {
      throw new PupilError(
        'storage',
        `student cache: ${path}: the command line's file server does not answer`,
        undefined,
        {
          cause,
        },
      );
    }
    if (response.ok || expected.includes(response.status)) return response;
    const text = (await response.text()).trim();
    if (response.status === 507) {
      throw new PupilError('storage-full', `student cache: ${path}: the disk is full (${text})`, 'Free some space.');
    }
    throw new PupilError('storage', `student cache: ${path}: status ${response.status} (${text})`, 'Check the folder.');
  }
}
