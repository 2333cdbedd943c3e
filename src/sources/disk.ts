// disk.ts: a folder of this machine as a file root, for the Node host and tests. A browser may load this file but never
// opens such a root: Node's modules are named only where a file is touched.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import type { FileWriter, OpenRoot } from './openRoot';
import { readBytesWith, readTextWith } from './readWith';
import { writeStream } from './writeStream';

type Fs = typeof import('node:fs/promises');
type Path = typeof import('node:path');

async function nodeModules(): Promise<{ fs: Fs; path: Path }> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) {
    throw new PupilError(
      'source',
      'disk root: expected Node, this is a browser',
      'A page reads files over http or from a picked folder.',
    );
  }
  // The names are data, so that no bundler tries to bring Node's modules into the page.
  const [fs, path] = ['node:fs/promises', 'node:path'];
  return { fs: (await import(/* @vite-ignore */ fs!)) as Fs, path: (await import(/* @vite-ignore */ path!)) as Path };
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function diskError(path: string, doing: string, cause: unknown): PupilError {
  const code = codeOf(cause);
  return new PupilError(
    code === 'ENOSPC' || code === 'EDQUOT' ? 'storage-full' : 'source',
    `${path}: ${doing} failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    code === 'ENOSPC'
      ? 'The disk is full: free some space and resume.'
      : 'Check that the path and its rights are right.',
    { cause },
  );
}

/** A root over a folder. Relative paths are under it; absolute paths of the same machine are taken as they are. */
export function openDiskRoot(directory: string): OpenRoot {
  const description = `the folder ${directory}`;
  const open = async (path: string): Promise<ByteSource | undefined> => {
    const node = await nodeModules();
    const full = node.path.resolve(directory, path);
    let size: number;
    let version: string;
    try {
      const stat = await node.fs.stat(full);
      if (!stat.isFile()) return undefined;
      size = stat.size;
      version = String(stat.mtimeMs);
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
      throw diskError(full, 'looking it up', error);
    }
    return {
      name: path,
      size,
      version,
      read: async (start, end) => {
        const handle = await node.fs.open(full, 'r').catch((error: unknown) => {
          throw diskError(full, 'opening it', error);
        });
        try {
          const bytes = new Uint8Array(end - start);
          let have = 0;
          while (have < bytes.byteLength) {
            const { bytesRead } = await handle.read(bytes, have, bytes.byteLength - have, start + have);
            if (bytesRead === 0) {
              throw new PupilError(
                'source',
                `${path}: expected bytes ${start}..${end}, the file ends at ${start + have}`,
                'The file became shorter while it was read: fetch it again.',
              );
            }
            have += bytesRead;
          }
          return bytes;
        } finally {
          await handle.close();
        }
      },
    };
  };
  /** Pieces go to a file beside the target, which takes its name when all of them are on the disk. */
  const create = async (path: string): Promise<FileWriter> => {
    const node = await nodeModules();
    const full = node.path.resolve(directory, path);
    const temporary = `${full}.writing-${process.pid}-${(writers += 1)}`;
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        throw diskError(full, 'writing it', error);
      }
    };
    const handle = await guarded(async () => {
      await node.fs.mkdir(node.path.dirname(full), { recursive: true });
      return node.fs.open(temporary, 'w');
    });
    return {
      write: (bytes) => guarded(() => handle.writeFile(bytes)), // all of them, from where the last call ended
      close: () =>
        guarded(async () => {
          await handle.sync();
          await handle.close();
          await node.fs.rename(temporary, full);
        }),
      abort: async () => {
        await handle.close().catch(() => undefined);
        await node.fs.rm(temporary, { force: true }).catch(() => undefined);
      },
    };
  };
  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    write: (path, bytes) => writeStream({ create }, path, once(bytes)),
    create,
  };
}

/** Sets apart the temporary files of one process. */
let writers = 0;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
