// mirror.ts: a run store kept in two places: the store proper (IndexedDB, say) and the files of a root (the folder that
// `run --out` names), checkpoints under `checkpoints/`. Each place alone suffices to resume.
import { PupilError } from '../base/errors';
import type { CheckpointPart } from '../formats/trainingCheckpoint';
import { Checkpoints } from './checkpoints';
import { FilesPlace, recordBytes, type NamedFiles } from './filesPlace';
import type { ListedCheckpoints, RunRecord, RunStore, StoredCheckpoint, StoredFile } from './runStore';

/**
 * The store with everything of one run written among `files` as well; artefacts keep their paths. Reading takes the newer
 * of the two places. The mirror failing is an error too: who names a folder wants the run to be there.
 */
export class MirroredRunStore implements RunStore {
  private readonly place: FilesPlace;
  private readonly mirrored: Checkpoints;

  constructor(
    private readonly store: RunStore,
    private readonly files: NamedFiles,
    /** The run whose files these are; other runs only touch the store. */
    private readonly runId: string,
  ) {
    this.place = new FilesPlace(files, 'checkpoints', (record) => this.writeRecord(record));
    this.mirrored = new Checkpoints(() => this.place);
  }

  async saveCheckpoint(record: RunRecord, parts: readonly CheckpointPart[]): Promise<void> {
    // Both are tried: where one place is full, the other still gets the checkpoint.
    const results = await Promise.allSettled([
      this.store.saveCheckpoint(record, parts),
      ...(record.runId === this.runId ? [this.mirrored.save(record, parts)] : []),
    ]);
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    // On a full disk a browser's storage fails in words of its own: the plainer error is the one to act on.
    const full = failures.find((failure) => failure instanceof PupilError && failure.code === 'storage-full');
    if (failures.length > 0) throw full ?? failures[0];
  }

  async loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    const places = [this.store.loadCheckpoint(runId), ...(runId === this.runId ? [this.mirrored.load(runId)] : [])];
    const results = await Promise.allSettled(places);
    const found = results.flatMap((result) => (result.status === 'fulfilled' ? (result.value ?? []) : []));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    if (found.length === 0) {
      if (failures.length > 0) throw failures[0];
      return undefined;
    }
    // Damaged in one place: the other may be intact.
    const best = found.reduce((a, b) => (b.sequence > a.sequence ? b : a));
    const told = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    return { ...best, problems: [...new Set([...found.flatMap(({ problems }) => problems), ...told])] };
  }

  listCheckpoints(runId: string): Promise<ListedCheckpoints> {
    return this.store.listCheckpoints(runId);
  }

  /** Those among the files go as well, whichever run they are of. */
  async deleteCheckpoints(runId: string): Promise<void> {
    await this.store.deleteCheckpoints(runId);
    if (runId === this.runId) await this.mirrored.delete(runId);
  }

  private writeRecord(record: RunRecord): Promise<void> {
    return this.files.write('checkpoints/run.json', recordBytes(record));
  }

  async saveRecord(record: RunRecord): Promise<void> {
    await this.store.saveRecord(record);
    if (record.runId === this.runId) await this.writeRecord(record);
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

  artefactSizes(runId: string): Promise<StoredFile[]> {
    return this.store.artefactSizes(runId);
  }

  listRuns(): Promise<RunRecord[]> {
    return this.store.listRuns();
  }

  /** The checkpoints among the files go as well, whichever run they are of. */
  async deleteRun(runId: string): Promise<void> {
    await this.store.deleteRun(runId);
    if (runId === this.runId) await this.place.clear();
  }
}
