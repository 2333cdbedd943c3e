// cachePlace.ts: what the cache of students needs of a place with folders: files that are written piece by piece, read in
// ranges, and locks. It knows nothing of students. The twins are cacheOpfs.ts (browser), cacheDisk.ts (Node) and
// cacheMemory.ts (tests); studentCache.ts makes a cache of any of them.

/** A file being written. Its bytes are safe once `close` has resolved. */
export interface PieceFile {
  write(at: number, bytes: Uint8Array): Promise<void>;
  /** Everything written reaches the disk. */
  close(): Promise<void>;
}

/** A file being read. */
export interface OpenedFile {
  readonly size: number;
  /** Bytes [start, end), or fewer where the file is shorter. */
  read(start: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Gives a lock back. */
export type Release = () => void;

/** Entries are folders without folders in them. Everything throws `storage`, writes also `storage-full`. */
export interface CachePlace {
  /** In words, for messages. */
  readonly description: string;
  /** Names of all entries, whatever state they are in. */
  list(): Promise<string[]>;
  /** Bytes of an entry's files. */
  sizeBytes(entry: string): Promise<number>;
  /** A small file; undefined where there is none. */
  readFile(entry: string, path: string): Promise<Uint8Array | undefined>;
  /** Writes or replaces a small file; it is on the disk when this resolves. */
  writeFile(entry: string, path: string, bytes: Uint8Array): Promise<void>;
  /** A new file of this size, to be filled. */
  create(entry: string, path: string, sizeBytes: number): Promise<PieceFile>;
  open(entry: string, path: string): Promise<OpenedFile | undefined>;
  /** Nothing happens where there is no such file. */
  removeFile(entry: string, path: string): Promise<void>;
  /** Takes an entry away with all its files. */
  remove(entry: string): Promise<void>;
  /** Bytes that may still be written; undefined where nobody knows. */
  roomBytes(): Promise<number | undefined>;
  /** Asks that what is stored is kept when room runs short elsewhere. Its failure changes nothing. */
  persist(): Promise<void>;
  /**
   * Takes an entry: `shared` by those who read it, `exclusive` by who writes or deletes it. Undefined where that is not
   * possible now. A lock ends with the tab or process that holds it.
   */
  lock(entry: string, mode: 'shared' | 'exclusive'): Promise<Release | undefined>;
}

/** Locks within one process. */
export class LocalLocks {
  private readonly held = new Map<string, number>(); // readers, or -1

  take(entry: string, mode: 'shared' | 'exclusive'): Release | undefined {
    const now = this.held.get(entry) ?? 0;
    if (mode === 'exclusive' ? now !== 0 : now < 0) return undefined;
    this.held.set(entry, mode === 'exclusive' ? -1 : now + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = mode === 'exclusive' ? 0 : this.held.get(entry)! - 1;
      if (left === 0) this.held.delete(entry);
      else this.held.set(entry, left);
    };
  }
}
