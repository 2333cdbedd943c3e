// mounted.ts: one file root as a folder of another: paths in that folder are the one's, all others the other's. A file that the
// folder lacks is missing: it is not looked for in the other root.
import type { OpenRoot } from './openRoot';

/** Whether a path lies in the folder. */
export const isMounted = (at: string, path: string): boolean => path === at || path.startsWith(`${at}/`);

/** @param at the folder, without a slash at its end. */
export function openMountedRoot(at: string, mounted: OpenRoot, rest: OpenRoot): OpenRoot {
  const placeOf = (path: string): { root: OpenRoot; path: string } =>
    isMounted(at, path) ? { root: mounted, path: path.slice(at.length + 1) } : { root: rest, path };
  const on =
    <A extends unknown[], T>(call: (root: OpenRoot, path: string, ...more: A) => Promise<T>) =>
    (path: string, ...more: A): Promise<T> => {
      const place = placeOf(path);
      return call(place.root, place.path, ...more);
    };
  return {
    description: rest.description,
    open: on((root, path) => root.open(path)),
    readText: on((root, path) => root.readText(path)),
    readBytes: on((root, path) => root.readBytes(path)),
    write: on((root, path, bytes: Uint8Array) => root.write(path, bytes)),
    create: on((root, path) => root.create(path)),
  };
}
