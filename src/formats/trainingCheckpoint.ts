// trainingCheckpoint.ts: the bytes of a training checkpoint. It consists of parts (JSON, or an array of float32), each known
// by its SHA-256, and of a commit: a small JSON record that says which parts they are, and carries a SHA-256 of itself. A
// part that stays as it was is the same part in the next checkpoint. Where parts and commits are kept, and in what order
// they are written, is storage/'s business; what the state holds is the session's.
import { PupilError } from '../base/errors';
import { isJsonObject, parseJsonObject, parseStrictJson } from './jsonText';

/** Raised when older readers could misread what is written. */
export const TRAINING_CHECKPOINT_VERSION = 2;

const FORMAT = 'pupil-training-checkpoint';

/** A part, ready to be stored. Its name says what it is within its checkpoint: `state`, `metrics/3`, `tensors/adapter`. */
export interface CheckpointPart {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** A part as a commit lists it. */
export interface CommittedPart {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Its number where the run's parts are kept. */
  readonly number: number;
}

/** What makes parts a checkpoint. */
export interface Commit {
  readonly runId: string;
  /** Counts the run's checkpoints from 1. */
  readonly sequence: number;
  readonly parts: readonly CommittedPart[];
}

/** SHA-256 in hex. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * A part of plain JSON; equal values give equal bytes, and undefined fields are dropped.
 * @throws PupilError `checkpoint` where the value holds something JSON would lose (NaN, Infinity, bigint, Map, arrays of
 *   numbers in binary form), naming its key
 */
export async function jsonPart(name: string, value: unknown): Promise<CheckpointPart> {
  const bytes = new TextEncoder().encode(plainJson(name, value));
  return { name, sha256: await sha256Of(bytes), bytes };
}

/** A part of float32 numbers, kept to the bit. The bytes are the array's own memory: it must not be written to any more. */
export async function arrayPart(name: string, data: Float32Array): Promise<CheckpointPart> {
  // Every machine that runs WebGPU is little-endian, so these are the file's bytes.
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, sha256: await sha256Of(bytes), bytes };
}

/** @throws PupilError `format` where the bytes are no JSON */
export function readJsonPart(bytes: Uint8Array, label: string): unknown {
  return parseStrictJson(new TextDecoder().decode(bytes), label);
}

/** A copy; the bytes may be discarded. @throws PupilError `format` where they are no whole float32 numbers */
export function readArrayPart(bytes: Uint8Array, label: string): Float32Array {
  if (bytes.byteLength % 4 !== 0) {
    throw new PupilError('format', `${label}: expected float32 numbers, got ${bytes.byteLength} bytes`);
  }
  return new Float32Array(bytes.slice().buffer);
}

/** The bytes of a commit. */
export async function encodeCommit({ runId, sequence, parts }: Commit): Promise<Uint8Array> {
  const listed = parts.map(({ name, sha256, sizeBytes, number }) => ({ name, sha256, sizeBytes, number }));
  const commit = { runId, sequence, parts: listed };
  const encoder = new TextEncoder();
  const sha256 = await sha256Of(encoder.encode(JSON.stringify(commit)));
  return encoder.encode(
    `${JSON.stringify({ format: FORMAT, version: TRAINING_CHECKPOINT_VERSION, sha256, commit })}\n`,
  );
}

/**
 * The inverse of {@link encodeCommit}; undefined where a single byte is missing or altered.
 * @throws PupilError `checkpoint` where another version of Pupil wrote it
 */
export async function decodeCommit(bytes: Uint8Array, label: string): Promise<Commit | undefined> {
  let found: unknown;
  try {
    found = parseJsonObject(bytes, label);
  } catch {
    return undefined;
  }
  const { format, version, sha256, commit } = found as Record<string, unknown>;
  if (format !== FORMAT || !isJsonObject(commit)) return undefined;
  if (version !== TRAINING_CHECKPOINT_VERSION) {
    throw new PupilError(
      'checkpoint',
      `${label}: expected checkpoint version ${TRAINING_CHECKPOINT_VERSION}, got ${String(version)}`,
      'Another version of Pupil wrote it: continue the run with that version, or start anew.',
    );
  }
  if (sha256 !== (await sha256Of(new TextEncoder().encode(JSON.stringify(commit))))) return undefined;
  if (!isCommit(commit)) return undefined;
  const whole = await encodeCommit(commit);
  const same = whole.byteLength === bytes.byteLength && whole.every((byte, i) => byte === bytes[i]);
  return same ? commit : undefined;
}

/** Its checksum says that nobody damaged it, not that we wrote it. */
function isCommit(value: object): value is Commit {
  const { runId, sequence, parts } = value as Partial<Record<keyof Commit, unknown>>;
  return typeof runId === 'string' && isCount(sequence) && Array.isArray(parts) && parts.every(isCommittedPart);
}

function isCommittedPart(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { name, sha256, sizeBytes, number } = value;
  return typeof name === 'string' && typeof sha256 === 'string' && isCount(sizeBytes) && isCount(number);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** JSON that reads back as what was given; JSON.stringify alone turns NaN into null and a Map into {}. */
function plainJson(name: string, value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    const plain =
      inner === null ||
      typeof inner !== 'object' ||
      Array.isArray(inner) ||
      Object.getPrototypeOf(inner) === Object.prototype;
    const lost = typeof inner === 'bigint' || typeof inner === 'function' || typeof inner === 'symbol';
    if (!plain || lost || (typeof inner === 'number' && !Number.isFinite(inner))) {
      throw new PupilError(
        'checkpoint',
        `checkpoint part ${name}: "${key}": expected plain JSON with finite numbers, got ${String(inner)}`,
        'Put arrays of numbers into tensors; a non-finite number means that training has diverged.',
      );
    }
    return inner;
  });
}
