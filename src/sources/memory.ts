// memory.ts: contents at hand as a file root: for tests, and for files that a person picked.
import { PupilError } from '../base/errors';
import { memorySource, type ByteSource } from '../formats/byteSource';
import type { OpenRoot } from './openRoot';
import { readBytesWith, readTextWith } from './readWith';

/** `a/./b` and `a//b` as `a/b`. Throws `source` for a path that leaves the root. */
export function normalisePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (parts.pop() === undefined) {
        throw new PupilError('source', `${path}: expected a path inside the root, it leads out of it`);
      }
    } else parts.push(part);
  }
  return parts.join('/');
}

/** A root over the given record. Writing adds to it. */
export function openMemoryRoot(files: Record<string, Uint8Array>): OpenRoot {
  const description = 'the files at hand';
  const open = (path: string): Promise<ByteSource | undefined> => {
    const name = normalisePath(path);
    const bytes = Object.hasOwn(files, name) ? files[name] : undefined;
    return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
  };
  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    write: (path, bytes) => {
      files[normalisePath(path)] = bytes.slice();
      return Promise.resolve();
    },
    create: (path) => {
      const name = normalisePath(path);
      const pieces: Uint8Array[] = [];
      return Promise.resolve({
        write: (bytes) => Promise.resolve(void pieces.push(bytes.slice())),
        close: () => Promise.resolve(void (files[name] = joined(pieces))),
        abort: () => Promise.resolve(void (pieces.length = 0)),
      });
    },
  };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.byteLength;
  }
  return out;
}
