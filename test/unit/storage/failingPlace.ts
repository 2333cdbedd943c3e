// failingPlace.ts: a cache's place whose n-th write fails, and every one after it. Tests only.
import type { CachePlace } from '../../../src/storage/cachePlace';

/** Deleting goes on working: it needs no room. */
export function failingPlace(
  place: CachePlace,
  n: number,
  error: () => Error,
): { place: CachePlace; writes: () => number } {
  let writes = 0;
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    if (++writes >= n) throw error();
    return work();
  };
  return {
    writes: () => writes,
    place: {
      description: place.description,
      list: () => place.list(),
      sizeBytes: (entry) => place.sizeBytes(entry),
      readFile: (entry, path) => place.readFile(entry, path),
      writeFile: (entry, path, bytes) => attempt(() => place.writeFile(entry, path, bytes)),
      create: async (entry, path, sizeBytes) => {
        const file = await attempt(() => place.create(entry, path, sizeBytes));
        return {
          write: (at, bytes) => attempt(() => file.write(at, bytes)),
          close: () => attempt(() => file.close()),
        };
      },
      open: (entry, path) => place.open(entry, path),
      removeFile: (entry, path) => place.removeFile(entry, path),
      remove: (entry) => place.remove(entry),
      roomBytes: () => place.roomBytes(),
      persist: () => place.persist(),
      lock: (entry, mode) => place.lock(entry, mode),
    },
  };
}
