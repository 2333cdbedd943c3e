// memory.ts: runs kept in this process only: for tests, for one-shot commands, and as the last resort where a browser
// refuses storage. It keeps the promises of RunStore except, of course, outliving the process.
import type { CheckpointPart } from '../formats/trainingCheckpoint';
import { Checkpoints, type CheckpointPlace, type Slot } from './checkpoints';
import {
  byUpdate,
  expectRunId,
  type ListedCheckpoints,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
  type StoredFile,
} from './runStore';

/** What is kept of one run's checkpoints. */
export class MemoryPlace implements CheckpointPlace {
  readonly description = 'memory';
  readonly commits: [Uint8Array | undefined, Uint8Array | undefined] = [undefined, undefined];
  readonly parts = new Map<number, Uint8Array>();

  constructor(private readonly onRecord: (record: RunRecord) => void) {}

  readCommit(slot: Slot): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.commits[slot]);
  }

  writeCommit(slot: Slot, bytes: Uint8Array, record: RunRecord): Promise<void> {
    this.commits[slot] = bytes.slice();
    this.onRecord(record);
    return Promise.resolve();
  }

  readPart(number: number): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.parts.get(number));
  }

  writePart(number: number, bytes: Uint8Array): Promise<void> {
    this.parts.set(number, bytes.slice());
    return Promise.resolve();
  }

  removePart(number: number): Promise<void> {
    this.parts.delete(number);
    return Promise.resolve();
  }

  listParts(): Promise<number[]> {
    return Promise.resolve([...this.parts.keys()]);
  }

  clear(): Promise<void> {
    this.commits.fill(undefined);
    this.parts.clear();
    return Promise.resolve();
  }
}

export class MemoryRunStore implements RunStore {
  private readonly records = new Map<string, RunRecord>();
  readonly places = new Map<string, MemoryPlace>();
  private readonly artefacts = new Map<string, Map<string, Uint8Array>>();
  private readonly checkpoints = new Checkpoints((runId) => this.place(runId));

  /** The run's place, made where there is none. */
  place(runId: string): MemoryPlace {
    const known = this.places.get(expectRunId(runId));
    if (known !== undefined) return known;
    const made = new MemoryPlace((record) => this.records.set(record.runId, { ...record }));
    this.places.set(runId, made);
    return made;
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

  artefactSizes(runId: string): Promise<StoredFile[]> {
    const own = [...(this.artefacts.get(runId) ?? [])].map(([path, bytes]) => ({ path, sizeBytes: bytes.byteLength }));
    return Promise.resolve(own.sort((a, b) => (a.path < b.path ? -1 : 1)));
  }

  listRuns(): Promise<RunRecord[]> {
    return Promise.resolve(byUpdate([...this.records.values()]));
  }

  deleteRun(runId: string): Promise<void> {
    this.records.delete(runId);
    this.places.delete(runId);
    this.artefacts.delete(runId);
    return Promise.resolve();
  }
}
