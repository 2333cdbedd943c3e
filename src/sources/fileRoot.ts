// fileRoot.ts: where named files are read from and written to: a file server, a folder, or contents at hand. It hands out
// ByteSources and knows nothing of what is in them.
import type { ByteSource } from '../formats/byteSource';
import { openDiskRoot } from './disk';
import { openHttpRoot } from './http';
import { openMemoryRoot } from './memory';

/** Where named files are read from or written to. Paths are relative, with forward slashes. */
export type FileRoot =
  /** A file server (the CLI's, or any static one) with ranges; PUT when written to. `base` ends with a slash. */
  | { kind: 'http'; base: string }
  /** A folder of the machine; Node host only. */
  | { kind: 'disk'; directory: string }
  /** Contents at hand, for tests and for picked files. Written files are added to `files`. */
  | { kind: 'memory'; files: Record<string, Uint8Array> };

/** Files by name under one root. */
export interface OpenRoot {
  /** The root in words, for messages. */
  readonly description: string;
  /** The file, or undefined where there is none. Throws `source` when that cannot be found out. */
  open(path: string): Promise<ByteSource | undefined>;
  /** The file as UTF-8 text. Throws `source` where there is none. */
  readText(path: string): Promise<string>;
  /** The whole file. Throws `source` where there is none. */
  readBytes(path: string): Promise<Uint8Array>;
  /** Writes or replaces a whole file, missing folders included. A reader never sees half of it. */
  write(path: string, bytes: Uint8Array): Promise<void>;
}

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
