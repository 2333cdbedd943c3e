// pieceStoreOpfs.ts: pieces of downloads in this browser's own file system (OPFS), below a folder of theirs. Works in workers
// and pages. A page without OPFS (a private window, an old browser, plain http) downloads without keeping pieces.
import { freeBrowserBytes, PlacedPieceStore, type PiecePlace, type PieceStoreOptions } from './pieceStore';

class OpfsPlace implements PiecePlace {
  constructor(private readonly top: string) {}

  private async folder(parts: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
    try {
      let at = await navigator.storage.getDirectory();
      for (const part of [this.top, ...parts]) at = await at.getDirectoryHandle(part, { create });
      return at;
    } catch (error) {
      if (!create && (error as DOMException).name === 'NotFoundError') return undefined;
      throw error;
    }
  }

  async list(folder: readonly string[]): ReturnType<PiecePlace['list']> {
    const at = await this.folder(folder, false);
    const found: Awaited<ReturnType<PiecePlace['list']>> = [];
    for await (const [name, handle] of at?.entries() ?? []) {
      if (handle.kind === 'directory') {
        found.push({ name, isFolder: true, sizeBytes: 0, modified: await newest(handle as FileSystemDirectoryHandle) });
      } else {
        const { size, lastModified } = await (handle as FileSystemFileHandle).getFile();
        found.push({ name, isFolder: false, sizeBytes: size, modified: lastModified });
      }
    }
    return found;
  }

  async read(folder: readonly string[], name: string): Promise<Uint8Array | undefined> {
    try {
      const file = await (await this.folder(folder, false))?.getFileHandle(name);
      return file === undefined ? undefined : new Uint8Array(await (await file.getFile()).arrayBuffer());
    } catch (error) {
      if ((error as DOMException).name === 'NotFoundError') return undefined;
      throw error;
    }
  }

  async write(folder: readonly string[], name: string, bytes: Uint8Array): Promise<void> {
    const at = (await this.folder(folder, true))!;
    const file = await at.getFileHandle(name, { create: true });
    // What is written becomes the file when it is closed: a closed tab leaves an empty one, which the checksum refuses.
    const writable = await file.createWritable();
    try {
      await writable.write(bytes as Uint8Array<ArrayBuffer>);
      await writable.close();
    } catch (error) {
      await writable.abort().catch(() => undefined);
      await at.removeEntry(name).catch(() => undefined);
      throw error;
    }
  }

  async remove(folder: readonly string[]): Promise<void> {
    const above = await this.folder(folder.slice(0, -1), false);
    await above?.removeEntry(folder.at(-1)!, { recursive: true });
  }
}

/** Folders have no date of their own: that of one of their files tells it well enough. */
async function newest(folder: FileSystemDirectoryHandle): Promise<number> {
  for await (const handle of folder.values()) {
    if (handle.kind === 'directory') return newest(handle as FileSystemDirectoryHandle);
    return (await (handle as FileSystemFileHandle).getFile()).lastModified;
  }
  return 0;
}

/** Pieces in OPFS, kept within what the browser grants; undefined in a browser or page that has no OPFS to write to. */
export function opfsPieceStore(options: PieceStoreOptions = {}): PlacedPieceStore | undefined {
  const has = typeof FileSystemFileHandle !== 'undefined' && 'createWritable' in FileSystemFileHandle.prototype;
  if (!has || (navigator.storage as StorageManager | undefined)?.getDirectory === undefined) return undefined;
  return new PlacedPieceStore(new OpfsPlace('pupil-downloads'), { freeBytes: freeBrowserBytes, ...options });
}
