// pieceStore.ts: pieces of files that are being downloaded, so that what came before an interruption need not come again. The
// rules are here (names, checksums, the bound, what to do when room runs short); where bytes lie is a PiecePlace: memory
// below, a folder in pieceStoreDisk.ts, OPFS in pieceStoreOpfs.ts. It keeps no student: that is for finished ones.
import type { PieceFile, PieceStore } from '../base/pieces';
import { sha256Of } from '../formats/trainingCheckpoint';
import { estimateStorage } from './quota';

/** Folders of small files. A write is seen whole or not at all, or its damage shows in the checksum. */
export interface PiecePlace {
  /** Names in a folder with their sizes; empty where there is no such folder. */
  list(folder: readonly string[]): Promise<{ name: string; sizeBytes: number; isFolder: boolean; modified: number }[]>;
  read(folder: readonly string[], name: string): Promise<Uint8Array | undefined>;
  /** Makes the folders. */
  write(folder: readonly string[], name: string, bytes: Uint8Array): Promise<void>;
  /** A folder with all in it. */
  remove(folder: readonly string[]): Promise<void>;
}

export interface PieceStoreOptions {
  pieceBytes?: number;
  /** Of all groups together. */
  maxBytes?: number;
  /** Room that is left, as far as that is known. */
  freeBytes?: () => Promise<number | undefined>;
}

const PIECE_BYTES = 4 * 2 ** 20;
const MAX_BYTES = 64 * 2 ** 30;
/** Room for everything else: runs, checkpoints, the finished student. */
const SPARE_BYTES = 2 ** 30;
const CHECKSUM_BYTES = 32;

const hex = async (text: string): Promise<string> => (await sha256Of(new TextEncoder().encode(text))).slice(0, 32);

/** SHA-256 as bytes. */
async function checksum(bytes: Uint8Array): Promise<Uint8Array> {
  const digest = await sha256Of(bytes);
  return Uint8Array.from({ length: CHECKSUM_BYTES }, (_, i) => parseInt(digest.slice(2 * i, 2 * i + 2), 16));
}

export class PlacedPieceStore implements PieceStore {
  readonly pieceBytes: number;
  onWarning: PieceStore['onWarning'];
  private readonly maxBytes: number;
  /** Bytes kept, counted at the first use. */
  private used: Promise<number> | undefined;
  /** Groups that this store has opened: never thrown out to make room. */
  private readonly inUse = new Set<string>();
  private off = false;

  constructor(
    private readonly place: PiecePlace,
    private readonly options: PieceStoreOptions = {},
  ) {
    this.pieceBytes = options.pieceBytes ?? PIECE_BYTES;
    this.maxBytes = options.maxBytes ?? MAX_BYTES;
  }

  async openFile(group: string, file: string, sizeBytes: number): Promise<PieceFile> {
    const groupName = await hex(group);
    const folder = [groupName, await hex(`${file} ${sizeBytes} ${this.pieceBytes}`)];
    this.inUse.add(groupName);
    const found = await this.place.list(folder).catch(() => []);
    const kept = new Set(found.filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => Number(name)));
    return {
      has: (index) => kept.has(index),
      read: async (index) => {
        if (!kept.has(index)) return undefined;
        const bytes = await this.place.read(folder, String(index)).catch(() => undefined);
        const body = bytes?.subarray(CHECKSUM_BYTES);
        if (bytes !== undefined && body !== undefined && sameBytes(await checksum(body), bytes)) return body;
        kept.delete(index);
        return undefined;
      },
      write: async (index, bytes) => {
        if (kept.has(index) || !(await this.makeRoom(bytes.byteLength + CHECKSUM_BYTES))) return;
        const whole = new Uint8Array(CHECKSUM_BYTES + bytes.byteLength);
        whole.set(await checksum(bytes));
        whole.set(bytes, CHECKSUM_BYTES);
        try {
          await this.place.write(folder, String(index), whole);
          kept.add(index);
          this.used = (this.used ?? Promise.resolve(0)).then((used) => used + whole.byteLength);
        } catch (error) {
          this.switchOff(error instanceof Error ? error.message : String(error));
        }
      },
    };
  }

  async forget(group: string): Promise<void> {
    const name = await hex(group);
    this.inUse.delete(name);
    this.used = undefined; // counted anew
    await this.place.remove([name]).catch(() => undefined);
  }

  /** Whether so many bytes may be written; downloads that nobody goes on with are thrown out first, the oldest first. */
  private async makeRoom(sizeBytes: number): Promise<boolean> {
    if (this.off) return false;
    try {
      this.used ??= this.count();
      const free = (await this.options.freeBytes?.()) ?? Infinity;
      if ((await this.used) + sizeBytes <= this.maxBytes && free >= sizeBytes + SPARE_BYTES) return true;
      const groups = (await this.place.list([])).filter(({ name, isFolder }) => isFolder && !this.inUse.has(name));
      const [oldest] = groups.sort((a, b) => a.modified - b.modified);
      if (oldest === undefined) {
        this.switchOff(free < sizeBytes + SPARE_BYTES ? 'room is short' : `${this.maxBytes} bytes are kept already`);
        return false;
      }
      await this.place.remove([oldest.name]);
      this.used = undefined;
      return await this.makeRoom(sizeBytes);
    } catch (error) {
      this.switchOff(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  private async count(): Promise<number> {
    let sum = 0;
    for (const group of await this.place.list([])) {
      if (!group.isFolder) continue;
      for (const file of await this.place.list([group.name])) {
        if (!file.isFolder) continue;
        for (const piece of await this.place.list([group.name, file.name])) sum += piece.sizeBytes;
      }
    }
    return sum;
  }

  private switchOff(why: string): void {
    if (this.off) return;
    this.off = true;
    this.onWarning?.(
      `the download is not kept piece by piece any more (${why}): if it is interrupted, what follows comes again`,
    );
  }
}

function sameBytes(expected: Uint8Array, found: Uint8Array): boolean {
  return found.byteLength >= expected.byteLength && expected.every((byte, i) => byte === found[i]);
}

/** Room that the browser says is left; undefined where it does not. */
export async function freeBrowserBytes(): Promise<number | undefined> {
  const { quotaBytes, usageBytes } = await estimateStorage();
  return quotaBytes === undefined ? undefined : quotaBytes - (usageBytes ?? 0);
}

/** Kept as long as the process lasts. */
export class MemoryPieceStore extends PlacedPieceStore {
  constructor(options: PieceStoreOptions = {}) {
    super(new MemoryPlace(), options);
  }
}

class MemoryPlace implements PiecePlace {
  private readonly files = new Map<string, { bytes: Uint8Array; modified: number }>();
  private writes = 0;

  list(folder: readonly string[]): ReturnType<PiecePlace['list']> {
    const prefix = folder.map((part) => `${part}/`).join('');
    const found = new Map<string, { name: string; sizeBytes: number; isFolder: boolean; modified: number }>();
    for (const [path, { bytes, modified }] of this.files) {
      if (!path.startsWith(prefix)) continue;
      const [name = '', ...below] = path.slice(prefix.length).split('/');
      const isFolder = below.length > 0;
      found.set(name, { name, sizeBytes: isFolder ? 0 : bytes.byteLength, isFolder, modified });
    }
    return Promise.resolve([...found.values()]);
  }

  read(folder: readonly string[], name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.files.get([...folder, name].join('/'))?.bytes);
  }

  write(folder: readonly string[], name: string, bytes: Uint8Array): Promise<void> {
    this.files.set([...folder, name].join('/'), { bytes, modified: ++this.writes });
    return Promise.resolve();
  }

  remove(folder: readonly string[]): Promise<void> {
    const prefix = `${folder.join('/')}/`;
    for (const path of [...this.files.keys()]) if (path.startsWith(prefix)) this.files.delete(path);
    return Promise.resolve();
  }
}
