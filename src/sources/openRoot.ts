// openRoot.ts: what every kind of root offers, whatever it is made of.
import type { ByteSource } from '../formats/byteSource';

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
  /** The name of a folder of it with the version that is read, where that may change; else the name. */
  pinned?(folder: string): Promise<string>;
  /** To be told that what a folder holds has been loaded: what was kept of its download is deleted. Never throws. */
  loaded?(folder: string): Promise<void>;
}
