// disk.ts: runs in a folder of this machine, one folder each: for the Node host. Never loaded by a browser.
//
//     <directory>/<runId>/run.json, checkpoints/ (filesPlace.ts), artefacts/<path>
//
// Every file is written beside its name, flushed to the disk and renamed: whatever moment the power fails, it is the old
// one or the new one.
import { readdir, rm, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { PupilError } from '../base/errors';
import type { CheckpointPart } from '../formats/trainingCheckpoint';
import { Checkpoints, type CheckpointPlace } from './checkpoints';
import { diskError, readIfThere, writeDurably } from './diskFiles';
import { FilesPlace, recordBytes, type NamedFiles } from './filesPlace';
import {
  byUpdate,
  expectRunId,
  type ListedCheckpoints,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
  type StoredFile,
} from './runStore';

/** The files of a folder, written durably. */
function filesOf(folder: string): NamedFiles {
  return {
    description: folder,
    open: async (path) => {
      const bytes = await readIfThere(join(folder, path));
      if (bytes === undefined) return undefined;
      return { size: bytes.byteLength, read: (start, end) => Promise.resolve(bytes.subarray(start, end)) };
    },
    write: (path, bytes) => writeDurably(join(folder, path), bytes),
    remove: (path) => rm(join(folder, path), { force: true }),
    list: (path) => readdir(join(folder, path)).catch(() => []),
  };
}

export class DiskRunStore implements RunStore {
  private readonly checkpoints = new Checkpoints((runId) => this.place(runId));

  constructor(private readonly directory: string) {}

  place(runId: string): CheckpointPlace {
    return new FilesPlace(filesOf(this.folder(runId)), 'checkpoints', (record) => this.saveRecord(record));
  }

  async saveCheckpoint(record: RunRecord, parts: readonly CheckpointPart[]): Promise<void> {
    await this.checkpoints.save(record, parts);
  }

  loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    return this.checkpoints.load(runId);
  }

  listCheckpoints(runId: string): Promise<ListedCheckpoints> {
    return this.checkpoints.list(expectRunId(runId));
  }

  deleteCheckpoints(runId: string): Promise<void> {
    return this.checkpoints.delete(expectRunId(runId));
  }

  async saveRecord(record: RunRecord): Promise<void> {
    await writeDurably(join(this.folder(record.runId), 'run.json'), recordBytes(record));
  }

  async saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void> {
    await writeDurably(this.artefactPath(runId, path), bytes);
  }

  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined> {
    return readIfThere(this.artefactPath(runId, path));
  }

  async listArtefacts(runId: string): Promise<string[]> {
    const root = join(this.folder(runId), 'artefacts');
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.writing'))
      .map((entry) =>
        join(entry.parentPath ?? entry.path, entry.name)
          .slice(root.length + 1)
          .split(sep)
          .join('/'),
      )
      .sort();
  }

  async artefactSizes(runId: string): Promise<StoredFile[]> {
    const paths = await this.listArtefacts(runId);
    return Promise.all(
      paths.map(async (path) => ({ path, sizeBytes: (await stat(this.artefactPath(runId, path))).size })),
    );
  }

  async listRuns(): Promise<RunRecord[]> {
    const entries = await readdir(this.directory, { withFileTypes: true }).catch(() => []);
    const records: RunRecord[] = [];
    for (const entry of entries.filter((e) => e.isDirectory())) {
      const bytes = await readIfThere(join(this.directory, entry.name, 'run.json'));
      if (bytes === undefined) continue;
      try {
        records.push(JSON.parse(new TextDecoder().decode(bytes)) as RunRecord);
      } catch {
        continue; // a folder of someone else's
      }
    }
    return byUpdate(records);
  }

  async deleteRun(runId: string): Promise<void> {
    await rm(this.folder(runId), { recursive: true, force: true }).catch((error: unknown) => {
      throw diskError(`deleting ${runId}`, error);
    });
  }

  private folder(runId: string): string {
    return join(this.directory, expectRunId(runId));
  }

  private artefactPath(runId: string, path: string): string {
    const root = resolve(this.folder(runId), 'artefacts');
    const full = resolve(root, path);
    if (!full.startsWith(root + sep)) {
      throw new PupilError('usage', `${path}: expected an artefact's path inside the run, it leads out of it`);
    }
    return full;
  }
}
