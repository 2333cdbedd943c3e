// trainingCheckpoint.ts: the bytes of a training checkpoint: a safetensors file that carries its state as JSON, a format
// version and a SHA-256 of everything else, so that a torn or altered file is noticed. Where it is kept is storage/'s
// business, and what the state holds is the session's.
import { PupilError } from '../base/errors';
import type { DType } from '../base/dtypes';
import { memorySource } from './byteSource';
import { isJsonObject, parseStrictJson, type JsonObject } from './jsonText';
import { readSafetensorsHeader, readTensorBytes } from './safetensors';
import { inLibraryOrder, writeSafetensors, type TensorData } from './safetensorsWrite';

/** Raised when older readers could misread what is written. */
export const TRAINING_CHECKPOINT_VERSION = 1;

const FORMAT = 'pupil-training-checkpoint';

export type CheckpointArray = Float32Array | Uint32Array | Uint8Array;

export interface TrainingCheckpoint {
  /** Plain JSON: numbers finite, no typed arrays; `undefined` fields are dropped. */
  state: JsonObject;
  tensors: Record<string, CheckpointArray>;
}

/** The digest comes first in the header, so its 64 characters lie at one place in every file. */
const OPENING = '{"__metadata__":{"sha256":"';
const DIGEST_AT = 8 + OPENING.length;
const DIGEST_LENGTH = 64;

/**
 * The bytes of a checkpoint; equal content gives equal bytes.
 * @throws PupilError `checkpoint` where the state holds something JSON would lose (NaN, Infinity, bigint, Map, arrays of
 *   numbers in binary form), naming its key
 */
export async function encodeTrainingCheckpoint(checkpoint: TrainingCheckpoint): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = Object.entries(checkpoint.tensors).map(([name, data]): TensorData => {
    return { name, dtype: dtypeOf(data), shape: [data.length], data };
  });
  const bytes = writeSafetensors(inLibraryOrder(tensors), {
    sha256: '0'.repeat(DIGEST_LENGTH),
    format: FORMAT,
    version: String(TRAINING_CHECKPOINT_VERSION),
    state: stateText(checkpoint.state),
  });
  bytes.set(new TextEncoder().encode(await digestOf(bytes)), DIGEST_AT);
  return bytes;
}

/**
 * The inverse of {@link encodeTrainingCheckpoint}. The arrays are copies; `bytes` may be discarded.
 * @throws PupilError `format` where the file is cut off, altered or no training checkpoint, e.g.
 *   `step-40.ckpt: expected SHA-256 3f…, the bytes give 9a…`; `checkpoint` where another version of Pupil wrote it
 */
export async function decodeTrainingCheckpoint(bytes: Uint8Array, fileName: string): Promise<TrainingCheckpoint> {
  const file = await readSafetensorsHeader(memorySource(fileName, bytes));
  const { format, version, sha256, state } = file.metadata;
  const opening = new TextDecoder().decode(bytes.subarray(8, DIGEST_AT));
  if (format !== FORMAT || opening !== OPENING || sha256 === undefined || state === undefined) {
    throw new PupilError(
      'format',
      `${fileName}: expected a training checkpoint of Pupil, got ${format === undefined ? 'other safetensors' : `format "${format}"`}`,
      'Choose a checkpoint that a run has written.',
    );
  }
  if (version !== String(TRAINING_CHECKPOINT_VERSION)) {
    throw new PupilError(
      'checkpoint',
      `${fileName}: expected checkpoint version ${TRAINING_CHECKPOINT_VERSION}, got ${version}`,
      'Another version of Pupil wrote it: continue the run with that version, or start anew.',
    );
  }
  const actual = await digestOf(bytes);
  if (actual !== sha256) {
    throw new PupilError(
      'format',
      `${fileName}: expected SHA-256 ${sha256.slice(0, 12)}…, the bytes give ${actual.slice(0, 12)}…`,
      'The file was altered or not written to its end: use an earlier checkpoint.',
    );
  }
  const value = parseStrictJson(state, `${fileName} (state)`);
  if (!isJsonObject(value)) {
    throw new PupilError('format', `${fileName}: expected the state to be a JSON object`);
  }
  const tensors: [string, CheckpointArray][] = [];
  for (const { name, dtype } of file.tensors.values()) {
    tensors.push([name, arrayOf(dtype, (await readTensorBytes(file, name)).slice(), fileName, name)]);
  }
  return { state: value, tensors: Object.fromEntries(tensors) };
}

function dtypeOf(data: CheckpointArray): DType {
  if (data instanceof Float32Array) return 'f32';
  return data instanceof Uint32Array ? 'u32' : 'u8';
}

function arrayOf(dtype: DType, bytes: Uint8Array<ArrayBuffer>, fileName: string, name: string): CheckpointArray {
  if (dtype === 'f32') return new Float32Array(bytes.buffer);
  if (dtype === 'u32') return new Uint32Array(bytes.buffer);
  if (dtype === 'u8') return bytes;
  throw new PupilError('format', `${fileName}: tensor "${name}": expected f32, u32 or u8, got ${dtype}`);
}

/** JSON that reads back as what was given; JSON.stringify alone turns NaN into null and a Map into {}. */
function stateText(state: JsonObject): string {
  return JSON.stringify(state, (key, value: unknown) => {
    const plain =
      value === null ||
      typeof value !== 'object' ||
      Array.isArray(value) ||
      Object.getPrototypeOf(value) === Object.prototype;
    const lost = typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol';
    if (!plain || lost || (typeof value === 'number' && !Number.isFinite(value))) {
      throw new PupilError(
        'checkpoint',
        `encodeTrainingCheckpoint: "${key}": expected plain JSON with finite numbers, got ${String(value)}`,
        'Put arrays of numbers into tensors; a non-finite number means that training has diverged.',
      );
    }
    return value;
  });
}

/**
 * SHA-256, in hex, over the digests of header and data; the stored digest itself counts as zeros. Two parts, so that the
 * data (gigabytes, perhaps) need not be copied to blank 64 bytes of the header.
 */
async function digestOf(bytes: Uint8Array): Promise<string> {
  const headerEnd = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = bytes.slice(0, headerEnd).fill(0x30, DIGEST_AT, DIGEST_AT + DIGEST_LENGTH);
  const data = bytes.subarray(headerEnd) as Uint8Array<ArrayBuffer>;
  const both = new Uint8Array(64);
  both.set(new Uint8Array(await crypto.subtle.digest('SHA-256', header)));
  both.set(new Uint8Array(await crypto.subtle.digest('SHA-256', data)), 32);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', both));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
