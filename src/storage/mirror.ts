// mirror.ts: a run store kept in two places: the store proper (IndexedDB, say) and the files of a root (the folder that
// `run --out` names). Each place alone suffices to resume. It also holds the file layout of such a mirror.
import { PupilError } from '../base/errors';
import { newestIntact, sealCheckpoint, type RunRecord, type RunStore, type StoredCheckpoint } from './runStore';

/** The little that a mirror needs of a place with files; sources/fileRoot.ts has several. */
export interface NamedFiles {
  open(
    path: string,
  ): Promise<{ readonly size: number; read(start: number, end: number): Promise<Uint8Array> } | undefined>;
  write(path: string, bytes: Uint8Array): Promise<void>;
}

/** Two files written in turn, so that the last good checkpoint is never the one being written. */
function slotPath(sequence: number): string {
  return `checkpoints/checkpoint-${sequence % 2}.bin`;
}

/** Writes a checkpoint among the files of one run, beside its record in `run.json`. */
export async function saveToFiles(files: NamedFiles, record: RunRecord, bytes: Uint8Array): Promise<void> {
  await files.write(slotPath(record.sequence), await sealCheckpoint(record.sequence, bytes));
  await saveRecordToFiles(files, record);
}

export async function saveRecordToFiles(files: NamedFiles, record: RunRecord): Promise<void> {
  await files.write('checkpoints/run.json', new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
}

/** The newest intact checkpoint of the one run whose files these are. */
export async function loadFromFiles(files: NamedFiles, runId: string): Promise<StoredCheckpoint | undefined> {
  const record = await whole(files, 'checkpoints/run.json');
  if (record === undefined) return undefined;
  const found = JSON.parse(new TextDecoder().decode(record)) as Partial<RunRecord>;
  if (found.runId !== runId) return undefined; // the folder was used for another run
  return newestIntact(runId, [await whole(files, slotPath(0)), await whole(files, slotPath(1))]);
}

async function whole(files: NamedFiles, path: string): Promise<Uint8Array | undefined> {
  const file = await files.open(path);
  return file === undefined ? undefined : file.read(0, file.size);
}

/**
 * The store with everything of one run written among `files` as well; artefacts keep their paths. Reading takes the newer
 * of the two places. The mirror failing is an error too: who names a folder wants the run to be there.
 */
export class MirroredRunStore implements RunStore {
  constructor(
    private readonly store: RunStore,
    private readonly files: NamedFiles,
    /** The run whose files these are; other runs only touch the store. */
    private readonly runId: string,
  ) {}

  async saveCheckpoint(record: RunRecord, bytes: Uint8Array): Promise<void> {
    // Both are tried: where one place is full, the other still gets the checkpoint.
    const results = await Promise.allSettled([
      this.store.saveCheckpoint(record, bytes),
      ...(record.runId === this.runId ? [saveToFiles(this.files, record, bytes)] : []),
    ]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    const places = [
      () => this.store.loadCheckpoint(runId),
      ...(runId === this.runId ? [() => loadFromFiles(this.files, runId)] : []),
    ];
    let best: StoredCheckpoint | undefined;
    let failure: unknown;
    for (const load of places) {
      try {
        const found = await load();
        if (found !== undefined && (best === undefined || found.sequence > best.sequence)) best = found;
      } catch (error) {
        failure ??= error; // damaged here: the other place may be intact
      }
    }
    if (best === undefined && failure !== undefined) throw failure;
    return best;
  }

  async saveRecord(record: RunRecord): Promise<void> {
    await this.store.saveRecord(record);
    if (record.runId === this.runId) await saveRecordToFiles(this.files, record);
  }

  async saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void> {
    if (/^checkpoints(\/|$)/.test(path)) {
      throw new PupilError('usage', `${path}: expected an artefact outside checkpoints/, which belongs to the store`);
    }
    await this.store.saveArtefact(runId, path, bytes);
    if (runId === this.runId) await this.files.write(path, bytes);
  }

  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined> {
    return this.store.loadArtefact(runId, path);
  }

  listArtefacts(runId: string): Promise<string[]> {
    return this.store.listArtefacts(runId);
  }

  listRuns(): Promise<RunRecord[]> {
    return this.store.listRuns();
  }

  /** Files cannot be deleted through a root: the checkpoints there are emptied, whichever run they are of. */
  async deleteRun(runId: string): Promise<void> {
    await this.store.deleteRun(runId);
    if (runId !== this.runId) return;
    for (const sequence of [0, 1]) {
      const slot = await this.files.open(slotPath(sequence));
      if (slot !== undefined && slot.size > 0) await this.files.write(slotPath(sequence), new Uint8Array(0));
    }
  }
}
