// blobs.ts: files that a person picked or dropped as a file root: they stay on the disk and are read a slice at a time, whatever
// their size. It does not ask for files: the page does.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import { normalisePath } from './memory';
import type { OpenRoot } from './openRoot';
import { readBytesWith, readTextWith } from './readWith';

/** A root over blobs by path; a structured clone of the record is as good. */
export function openBlobsRoot(files: Readonly<Record<string, Blob>>): OpenRoot {
  const description = 'the picked files';
  const open = (path: string): Promise<ByteSource | undefined> => {
    const name = normalisePath(path);
    const blob = Object.hasOwn(files, name) ? files[name] : undefined;
    return Promise.resolve(blob === undefined ? undefined : blobSource(path, blob));
  };
  const refuse = (path: string): Promise<never> =>
    Promise.reject(
      new PupilError('usage', `${path}: expected a place to write to, ${description} are only read`, 'Name another.'),
    );
  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    write: refuse,
    create: refuse,
  };
}

function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    fresh: true,
    ...(blob instanceof File ? { version: String(blob.lastModified) } : {}),
    read: async (start, end) => {
      let bytes: Uint8Array;
      try {
        bytes = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      } catch (cause) {
        throw changed(name, (cause as Error).name, cause);
      }
      if (bytes.byteLength === end - start) return bytes;
      throw changed(name, `${bytes.byteLength} bytes where ${end - start} are expected`);
    },
  };
}

/** Browsers refuse a file that is another one than was picked (NotReadableError, NotFoundError). */
function changed(name: string, what: string, cause?: unknown): PupilError {
  return new PupilError(
    'source',
    `${name}: expected the file as it was when it was picked, it cannot be read any more (${what})`,
    'It was changed, moved or deleted since, or its disk is gone: pick the folder again.',
    cause === undefined ? {} : { cause },
  );
}
