// disk.ts: runs in a folder of this machine, one folder each: for the Node host. Never loaded by a browser.
//
//     <directory>/<runId>/run.json, checkpoint-0.bin, checkpoint-1.bin, artefacts/<path>
//
// Every file is written beside its name, flushed to the disk and renamed, and the two checkpoint files are written in
// turn: whatever moment the power fails, one of them is whole.
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { PupilError } from '../base/errors';
import {
  byUpdate,
  expectRunId,
  newestIntact,
  sealCheckpoint,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
} from './runStore';

function diskError(doing: string, cause: unknown): PupilError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PupilError('storage-full', `${doing}: the disk is full (${text})`, 'Free some space, then resume.', {
      cause,
    });
  }
  return new PupilError('storage', `${doing} failed: ${text}`, 'Check the folder and its rights.', { cause });
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.writing`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r'); // the rename itself must reach the disk
    try {
      await folder.sync();
    } catch {
      // Not every file system lets a folder be flushed; the file's own contents are safe.
    } finally {
      await folder.close();
    }
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(`writing ${path}`, error);
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(`reading ${path}`, error);
  }
}

export class DiskRunStore implements RunStore {
  constructor(private readonly directory: string) {}

  async saveCheckpoint(record: RunRecord, bytes: Uint8Array): Promise<void> {
    const folder = this.folder(record.runId);
    await writeDurably(
      join(folder, `checkpoint-${record.sequence % 2}.bin`),
      await sealCheckpoint(record.sequence, bytes),
    );
    await this.saveRecord(record);
  }

  async loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    const folder = this.folder(runId);
    return newestIntact(runId, [
      await readIfThere(join(folder, 'checkpoint-0.bin')),
      await readIfThere(join(folder, 'checkpoint-1.bin')),
    ]);
  }

  async saveRecord(record: RunRecord): Promise<void> {
    const text = `${JSON.stringify(record, null, 2)}\n`;
    await writeDurably(join(this.folder(record.runId), 'run.json'), new TextEncoder().encode(text));
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
