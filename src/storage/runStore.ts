// runStore.ts: what storage must be able to do for a run, and how a checkpoint is sealed so that damage is noticed. The
// implementations (IndexedDB, disk, memory, files of a root) keep the same promises; test/unit/storage holds them to it.
import { PupilError } from '../base/errors';

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
}

export interface StoredCheckpoint {
  sequence: number;
  bytes: Uint8Array;
}

/**
 * Where runs live. Promises kept by every implementation:
 * - `saveCheckpoint` is atomic: after a crash at any moment the run has its new checkpoint or its previous one.
 * - `loadCheckpoint` verifies the checksum and falls back to the previous checkpoint where the newest is damaged.
 * - Where there is no room, `storage-full` is thrown and what was stored before is still there.
 */
export interface RunStore {
  saveCheckpoint(record: RunRecord, bytes: Uint8Array): Promise<void>;
  /** The newest checkpoint that is intact, or undefined. Throws `checkpoint` where there are some, all damaged. */
  loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined>;
  /** Changes what lists show without a checkpoint. */
  saveRecord(record: RunRecord): Promise<void>;
  saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void>;
  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined>;
  listArtefacts(runId: string): Promise<string[]>;
  listRuns(): Promise<RunRecord[]>;
  /** The run, its checkpoints and artefacts. Nothing happens where there is no such run. */
  deleteRun(runId: string): Promise<void>;
}

const MAGIC = 'PUPILCK1';
const HEADER_BYTES = 8 + 8 + 8 + 32; // magic, sequence, length, SHA-256

/**
 * Checkpoint bytes with what is needed to recognise them again: magic, sequence and length as little-endian u64, SHA-256
 * of sequence, length and bytes, then the bytes.
 */
export async function sealCheckpoint(sequence: number, bytes: Uint8Array): Promise<Uint8Array> {
  const sealed = new Uint8Array(HEADER_BYTES + bytes.byteLength);
  sealed.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(sealed.buffer);
  view.setBigUint64(8, BigInt(sequence), true);
  view.setBigUint64(16, BigInt(bytes.byteLength), true);
  sealed.set(bytes, HEADER_BYTES);
  sealed.set(await digest(sealed), 24);
  return sealed;
}

/** The inverse of {@link sealCheckpoint}; undefined where anything is damaged or missing. */
export async function openSealed(sealed: Uint8Array): Promise<StoredCheckpoint | undefined> {
  if (sealed.byteLength < HEADER_BYTES || new TextDecoder().decode(sealed.subarray(0, 8)) !== MAGIC) return undefined;
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (view.getBigUint64(16, true) !== BigInt(sealed.byteLength - HEADER_BYTES)) return undefined;
  const expected = sealed.subarray(24, 56);
  const actual = await digest(sealed);
  if (actual.some((byte, i) => byte !== expected[i])) return undefined;
  return { sequence: Number(view.getBigUint64(8, true)), bytes: sealed.slice(HEADER_BYTES) };
}

/** SHA-256 over everything but magic and checksum field (which lie before and between). */
async function digest(sealed: Uint8Array): Promise<Uint8Array> {
  const covered = new Uint8Array(sealed.byteLength - 40);
  covered.set(sealed.subarray(8, 24));
  covered.set(sealed.subarray(HEADER_BYTES), 16);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', covered));
}

/**
 * The newest intact of some sealed checkpoints (two slots, several places).
 * @throws PupilError `checkpoint` where some exist and none is intact.
 */
export async function newestIntact(
  runId: string,
  slots: readonly (Uint8Array | undefined)[],
): Promise<StoredCheckpoint | undefined> {
  const present = slots.filter((slot): slot is Uint8Array => slot !== undefined && slot.byteLength > 0); // empty: cleared
  let best: StoredCheckpoint | undefined;
  for (const slot of present) {
    const opened = await openSealed(slot);
    if (opened !== undefined && (best === undefined || opened.sequence > best.sequence)) best = opened;
  }
  if (best === undefined && present.length > 0) {
    throw new PupilError(
      'checkpoint',
      `run ${runId}: expected an intact checkpoint, all ${present.length} stored ones are damaged`,
      'Start the run again without resume, or restore its files from a copy.',
    );
  }
  return best;
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
