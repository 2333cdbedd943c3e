// filesPlace.ts: a run's checkpoints as files of a folder, whatever offers the files (a disk, the folder behind a file server):
//
//     commit-0.json, commit-1.json, part-<number>.bin
//
// Numbers are used again, so there are never many more files than parts. The order of writes is checkpoints.ts.
import { decodeCommit } from '../formats/trainingCheckpoint';
import type { CheckpointPlace, Slot } from './checkpoints';
import type { RunRecord } from './runStore';

/** The little that is needed of a place with files; sources/fileRoot.ts has several. */
export interface NamedFiles {
  /** In words, for messages. */
  readonly description: string;
  open(
    path: string,
  ): Promise<{ readonly size: number; read(start: number, end: number): Promise<Uint8Array> } | undefined>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Absent: files are emptied instead. */
  remove?(path: string): Promise<void>;
  /** Names in a folder. Absent: cannot be told. */
  list?(folder: string): Promise<string[]>;
}

const PART = /^part-(\d+)\.bin$/;

export class FilesPlace implements CheckpointPlace {
  readonly description: string;

  constructor(
    private readonly files: NamedFiles,
    private readonly folder: string,
    private readonly writeRecord: (record: RunRecord) => Promise<void>,
  ) {
    this.description = `${folder}/ of ${files.description}`;
  }

  readCommit(slot: Slot): Promise<Uint8Array | undefined> {
    return wholeFile(this.files, this.path(`commit-${slot}.json`));
  }

  async writeCommit(slot: Slot, bytes: Uint8Array, record: RunRecord): Promise<void> {
    await this.files.write(this.path(`commit-${slot}.json`), bytes);
    await this.writeRecord(record);
  }

  readPart(number: number): Promise<Uint8Array | undefined> {
    return wholeFile(this.files, this.path(`part-${number}.bin`));
  }

  writePart(number: number, bytes: Uint8Array): Promise<void> {
    return this.files.write(this.path(`part-${number}.bin`), bytes);
  }

  removePart(number: number): Promise<void> {
    return this.discard(`part-${number}.bin`);
  }

  async listParts(): Promise<number[] | undefined> {
    const names = await this.files.list?.(this.folder);
    return names?.flatMap((name) => {
      const match = PART.exec(name);
      return match === null ? [] : [Number(match[1])];
    });
  }

  /** Commits go first. */
  async clear(): Promise<void> {
    const numbers = new Set(await this.listParts());
    for (const slot of [0, 1] as const) {
      const bytes = await this.readCommit(slot);
      if (bytes === undefined || bytes.byteLength === 0) continue;
      const commit = await decodeCommit(bytes, this.description).catch(() => undefined);
      commit?.parts.forEach(({ number }) => numbers.add(number));
      await this.discard(`commit-${slot}.json`);
    }
    for (const number of numbers) await this.removePart(number);
  }

  private async discard(name: string): Promise<void> {
    const path = this.path(name);
    if (this.files.remove !== undefined) return this.files.remove(path);
    const file = await this.files.open(path);
    if (file !== undefined && file.size > 0) await this.files.write(path, new Uint8Array(0));
  }

  private path(name: string): string {
    return `${this.folder}/${name}`;
  }
}

export async function wholeFile(files: NamedFiles, path: string): Promise<Uint8Array | undefined> {
  const file = await files.open(path);
  return file === undefined ? undefined : file.read(0, file.size);
}

/** A run's record as a small file. */
export function recordBytes(record: RunRecord): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`);
}
