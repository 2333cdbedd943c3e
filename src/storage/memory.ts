// memory.ts: runs kept in this process only: for tests, for one-shot commands, and as the last resort where a browser
// refuses storage. It keeps the promises of RunStore except, of course, outliving the process.
import {
  byUpdate,
  expectRunId,
  newestIntact,
  sealCheckpoint,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
} from './runStore';

export class MemoryRunStore implements RunStore {
  private readonly records = new Map<string, RunRecord>();
  /** Two slots a run, written in turn. */
  readonly slots = new Map<string, [Uint8Array | undefined, Uint8Array | undefined]>();
  private readonly artefacts = new Map<string, Map<string, Uint8Array>>();

  async saveCheckpoint(record: RunRecord, bytes: Uint8Array): Promise<void> {
    expectRunId(record.runId);
    const sealed = await sealCheckpoint(record.sequence, bytes);
    const slots = this.slots.get(record.runId) ?? [undefined, undefined];
    slots[record.sequence % 2] = sealed;
    this.slots.set(record.runId, slots);
    this.records.set(record.runId, { ...record });
  }

  loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    return newestIntact(runId, this.slots.get(runId) ?? []);
  }

  saveRecord(record: RunRecord): Promise<void> {
    this.records.set(expectRunId(record.runId), { ...record });
    return Promise.resolve();
  }

  saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void> {
    const own = this.artefacts.get(expectRunId(runId)) ?? new Map<string, Uint8Array>();
    own.set(path, bytes.slice());
    this.artefacts.set(runId, own);
    return Promise.resolve();
  }

  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.artefacts.get(runId)?.get(path));
  }

  listArtefacts(runId: string): Promise<string[]> {
    return Promise.resolve([...(this.artefacts.get(runId)?.keys() ?? [])].sort());
  }

  listRuns(): Promise<RunRecord[]> {
    return Promise.resolve(byUpdate([...this.records.values()]));
  }

  deleteRun(runId: string): Promise<void> {
    this.records.delete(runId);
    this.slots.delete(runId);
    this.artefacts.delete(runId);
    return Promise.resolve();
  }
}
