// runStore.ts: what storage must be able to do for a run. The implementations (IndexedDB, disk, memory, files of a root) keep
// the same promises, by the same order of writes (checkpoints.ts); test/unit/storage holds them to it.
import { PupilError } from '../base/errors';
import type { CheckpointPart } from '../formats/trainingCheckpoint';

/** The state of a run whose files are still being taken in: no list shows it. */
export const IMPORTING = 'importing';

/** What lists of runs show. `state` and `phase` are the session's words. */
export interface RunRecord {
  runId: string;
  name: string;
  state: string;
  phase: string;
  step: number;
  /** ISO 8601. */
  updatedAt: string;
  /** Bytes of the last checkpoint. */
  sizeBytes: number;
  /** Counts the run's checkpoints from 1, over all sittings: of two, the higher is the newer. */
  sequence: number;
  /** What a person calls the run, in place of its name. */
  label?: string;
  /** Of a run that was made elsewhere: what it was read from, and when (ISO 8601). */
  imported?: { from: string; at: string };
}

/** A file of a run, as lists show it. */
export interface StoredFile {
  path: string;
  sizeBytes: number;
}

/** A checkpoint as lists show it; nothing of it has been verified. */
export interface ListedCheckpoint {
  sequence: number;
  /** Of all its parts, those that it shares with another one among them. */
  sizeBytes: number;
  /** One of its parts; undefined where it has no such part, or the part is damaged. */
  read(part: string): Promise<Uint8Array | undefined>;
}

export interface ListedCheckpoints {
  /** Newest first. */
  checkpoints: ListedCheckpoint[];
  /** What they take together: a part that two of them share counts once. */
  sizeBytes: number;
  /** What cannot be read, a line each. */
  problems: string[];
}

export interface StoredCheckpoint {
  sequence: number;
  /** By name. */
  parts: Map<string, Uint8Array>;
  /** What was found damaged on the way to it, a line each; empty where it is the newest. */
  problems: string[];
}

/**
 * Where runs live. Promises kept by every implementation:
 * - `saveCheckpoint` is atomic: after a crash at any moment the run has its new checkpoint or its previous one.
 * - Only parts are written that are not there already.
 * - `loadCheckpoint` verifies every part's checksum and falls back to the checkpoint before where one is damaged.
 * - Where there is no room, `storage-full` is thrown and what was stored before is still there.
 */
export interface RunStore {
  saveCheckpoint(record: RunRecord, parts: readonly CheckpointPart[]): Promise<void>;
  /** The newest checkpoint that is intact, or undefined. Throws `checkpoint` where there are some, all damaged. */
  loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined>;
  listCheckpoints(runId: string): Promise<ListedCheckpoints>;
  /** The run's checkpoints alone; its record and artefacts stay. */
  deleteCheckpoints(runId: string): Promise<void>;
  /** Changes what lists show without a checkpoint. */
  saveRecord(record: RunRecord): Promise<void>;
  saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void>;
  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined>;
  listArtefacts(runId: string): Promise<string[]>;
  /** The same, with sizes; reads none of them. */
  artefactSizes(runId: string): Promise<StoredFile[]>;
  listRuns(): Promise<RunRecord[]>;
  /** The run, its checkpoints and artefacts. Nothing happens where there is no such run. */
  deleteRun(runId: string): Promise<void>;
}

/** A run's id names folders and keys: letters, digits, dot, dash and underscore, at most 128. Throws `usage`. */
export function expectRunId(runId: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(runId)) {
    throw new PupilError(
      'usage',
      `run id: expected 1 to 128 of A–Z a–z 0–9 . _ - (not starting with a dot), got ${JSON.stringify(runId)}`,
      'Choose another name for the run.',
    );
  }
  return runId;
}

/** Newest first. */
export function byUpdate(records: readonly RunRecord[]): RunRecord[] {
  return [...records].sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : a.updatedAt > b.updatedAt ? -1 : 0));
}
