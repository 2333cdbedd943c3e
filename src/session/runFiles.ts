// runFiles.ts: the session's side of stored runs: what is in them, their checkpoints, how they leave and come. It keeps in mind
// what it has read of runs that did not change since.
import { PupilError } from '../base/errors';
import type { Gpu } from '../gpu/device';
import type { FileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import { expectRunId, type RunRecord, type RunStore } from '../storage/runStore';
import type { StoredRun } from './protocol';
import { overviewOf, runDetails } from './runContents';
import { exportPlain } from './runExport';
import type { RunDetails, RunFilesApi, RunOverview } from './runFilesProtocol';
import { importRun } from './runImport';
import { exportMergedRun } from './runMerge';
import { storedArtefact, storedRuns, wholeRuns } from './stored';

/** What it needs of a session. */
export interface RunFilesPlaces {
  /** Throws `usage` while a run goes on: its files are being written. */
  expectRest: (what: string) => void;
  /** What is loaded may hold files of a run that changes. */
  release: () => void;
  open: (files: FileRoot) => OpenRoot;
  /** Work for which the device is needed, by itself. */
  exclusively: <T>(what: string, work: () => Promise<T>) => Promise<T>;
  device: () => Promise<Gpu>;
}

const MOST_LABEL = 200;

export class RunFiles implements RunFilesApi {
  private readonly known = new Map<string, { of: string; overview: RunOverview }>();

  constructor(
    private readonly store: RunStore,
    private readonly places: RunFilesPlaces,
  ) {}

  listRuns(): Promise<StoredRun[]> {
    return storedRuns(this.store);
  }

  async deleteRun(runId: string): Promise<void> {
    this.places.expectRest('deleteRun');
    this.places.release();
    await this.store.deleteRun(expectRunId(runId));
  }

  listArtefacts(runId: string): Promise<string[]> {
    return this.store.listArtefacts(expectRunId(runId));
  }

  async artefact(runId: string, path: string): Promise<Uint8Array> {
    return storedArtefact(this.store, expectRunId(runId), path);
  }

  async runOverviews(): Promise<RunOverview[]> {
    const records = await wholeRuns(this.store);
    const overviews: RunOverview[] = [];
    for (const record of records) {
      const of = JSON.stringify(record);
      const known = this.known.get(record.runId);
      const overview = known?.of === of ? known.overview : overviewOf(await runDetails(this.store, record));
      this.known.set(record.runId, { of, overview });
      overviews.push(overview);
    }
    return overviews;
  }

  async runDetails(runId: string): Promise<RunDetails> {
    return runDetails(this.store, await this.record(runId));
  }

  async renameRun(runId: string, label: string): Promise<void> {
    this.places.expectRest('renameRun');
    const { label: _, ...record } = await this.record(runId);
    const text = label.trim();
    if (text.length > MOST_LABEL) {
      throw new PupilError('usage', `renameRun: expected at most ${MOST_LABEL} characters, got ${text.length}`);
    }
    await this.store.saveRecord(text === '' || text === record.name ? record : { ...record, label: text });
  }

  async deleteCheckpoints(runId: string): Promise<number> {
    this.places.expectRest('deleteCheckpoints');
    const record = await this.record(runId);
    const { sizeBytes } = await this.store.listCheckpoints(runId);
    await this.store.deleteCheckpoints(runId);
    await this.store.saveRecord({ ...record, sizeBytes: 0 });
    return sizeBytes;
  }

  exportRun: RunFilesApi['exportRun'] = async ({ runId, what }, onProgress) => {
    const record = await this.record(runId);
    const run = { store: this.store, record, details: await runDetails(this.store, record), onProgress };
    if (!('files' in what)) return exportPlain(run, what);
    return this.places.exclusively('export', () =>
      exportMergedRun(run, what, this.places.open(what.files), this.places.device),
    );
  };

  importRun: RunFilesApi['importRun'] = (request, onProgress) => importRun(this.store, request, onProgress);

  private async record(runId: string): Promise<RunRecord> {
    expectRunId(runId);
    const record = (await wholeRuns(this.store)).find((one) => one.runId === runId);
    if (record !== undefined) return record;
    throw new PupilError('storage', `run ${runId}: expected a stored run, this browser does not have it`);
  }
}
