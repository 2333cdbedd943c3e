// keptFiles.ts: data files that a person gave to the page and an experiment names: demonstrations, tasks. They are kept by a
// name that says their contents, so that a name never means another file later. What is in them is not looked at here.
// The browser's twin is keptFilesIndexedDb.ts.

export interface KeptFile {
  name: string;
  sizeBytes: number;
}

export interface KeptFileStore {
  /** What it has resolved for is found again after a reload. Throws `storage` or `storage-full`. */
  saveFile(name: string, bytes: Uint8Array): Promise<void>;
  /** Undefined where there is none of that name. */
  loadFile(name: string): Promise<Uint8Array | undefined>;
  /** In the order of names. */
  listFiles(): Promise<KeptFile[]>;
  /** Nothing happens where there is none. */
  deleteFile(name: string): Promise<void>;
}

export const byName = (a: KeptFile, b: KeptFile): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** As long as the process lives. */
export class MemoryKeptFiles implements KeptFileStore {
  private readonly files = new Map<string, Uint8Array>();

  saveFile(name: string, bytes: Uint8Array): Promise<void> {
    this.files.set(name, bytes.slice());
    return Promise.resolve();
  }

  loadFile(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.files.get(name)?.slice());
  }

  listFiles(): Promise<KeptFile[]> {
    return Promise.resolve(
      [...this.files].map(([name, bytes]) => ({ name, sizeBytes: bytes.byteLength })).sort(byName),
    );
  }

  deleteFile(name: string): Promise<void> {
    this.files.delete(name);
    return Promise.resolve();
  }
}
