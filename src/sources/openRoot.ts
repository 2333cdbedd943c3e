// openRoot.ts: what every kind of root offers, whatever it is made of. A further place to write to (OPFS, a file that a
// person picked to save into) is one more of these.
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
  /**
   * Begins a file that is written piece by piece, missing folders included. It has its name only when it is closed: a
   * reader never sees half of it, and an abandoned one leaves what was there before.
   */
  create(path: string): Promise<FileWriter>;
  /** The name of a folder of it with the version that is read, where that may change; else the name. */
  pinned?(folder: string): Promise<string>;
  /** To be told that what a folder holds has been loaded: what was kept of its download is deleted. Never throws. */
  loaded?(folder: string): Promise<void>;
}

/** A file that is being written, in order. One call at a time; after `close` or `abort` it is done with. */
export interface FileWriter {
  /** Appends. The array may be used again when this returns. Throws `source` or `storage-full`. */
  write(bytes: Uint8Array): Promise<void>;
  /** The file is whole: it takes its name, in place of one that had it. */
  close(): Promise<void>;
  /** Leaves nothing behind. Never throws: it is called where something has failed already. */
  abort(): Promise<void>;
}
