// fileRoot.ts: where named files are read from and written to: a file server, a folder, or contents at hand. It hands out
// ByteSources and knows nothing of what is in them.
import { openDiskRoot } from './disk';
import { openHttpRoot } from './http';
import { openMemoryRoot } from './memory';
import type { OpenRoot } from './openRoot';

/** Where named files are read from or written to. Paths are relative, with forward slashes. */
export type FileRoot =
  /** A file server (the CLI's, or any static one) with ranges; PUT when written to. `base` ends with a slash. */
  | { kind: 'http'; base: string }
  /** A folder of the machine; Node host only. */
  | { kind: 'disk'; directory: string }
  /** Contents at hand, for tests and for picked files. Written files are added to `files`. */
  | { kind: 'memory'; files: Record<string, Uint8Array> };

/** The files of a root. Nothing is fetched until a file is opened. */
export function openFileRoot(root: FileRoot): OpenRoot {
  switch (root.kind) {
    case 'http':
      return openHttpRoot(root.base);
    case 'disk':
      return openDiskRoot(root.directory);
    case 'memory':
      return openMemoryRoot(root.files);
  }
}
