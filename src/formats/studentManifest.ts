// studentManifest.ts: the small file that makes the files of a cached student a student: what they are, where they come from,
// and a checksum for every piece of them. It checks itself: a single altered byte and it is none. Where the files lie is
// storage's business.
import { PupilError } from '../base/errors';
import { isJsonObject, parseStrictJson } from './jsonText';
import { sha256Of } from './trainingCheckpoint';

/** Raised whenever what is stored, or how it is packed, changes: entries of other versions are not read. */
export const STUDENT_CACHE_VERSION = 1;

/** Bytes [start, end) of a file. */
export interface StoredPiece {
  start: number;
  end: number;
  sha256: string;
  /** What these bytes are, for messages: a tensor's name, or `header`. */
  part: string;
}

export interface StoredFile {
  sizeBytes: number;
  /** They cover the file without gap or overlap, in order. */
  pieces: StoredPiece[];
}

/** What a cached student is, as its writer says it. */
export interface StudentOrigin {
  /** Where it was loaded from, in words; holds no token. */
  source: string;
  /** Of a student behind a network: what it is found by without asking the network. */
  address?: string;
  /** Of the checkpoint it was made from. */
  fingerprint: string;
  /** All that decides how its weights are packed. */
  settings: StudentSettings;
}

export interface StudentSettings {
  quantize: 'none' | 'nf4' | 'nf4-double';
  blockSize: number;
  nestedBlockSize: number;
}

export interface StudentManifest extends StudentOrigin {
  key: string;
  /** ISO time. */
  madeAt: string;
  /** By path within the folder. */
  files: Record<string, StoredFile>;
}

const FORMAT = 'pupil-cached-student';

/** Pieces are rows: there are thousands. */
type PieceRow = [start: number, end: number, sha256: string, part: string];

export async function encodeManifest(manifest: StudentManifest): Promise<Uint8Array> {
  const files = Object.entries(manifest.files).map(([path, { sizeBytes, pieces }]) => {
    const rows = pieces.map(({ start, end, sha256, part }): PieceRow => [start, end, sha256, part]);
    return [path, { sizeBytes, pieces: rows }];
  });
  const plain = { ...manifest, files: Object.fromEntries(files) as Record<string, unknown> };
  const sha256 = await sha256Of(new TextEncoder().encode(JSON.stringify(plain)));
  return new TextEncoder().encode(
    `${JSON.stringify({ format: FORMAT, version: STUDENT_CACHE_VERSION, sha256, manifest: plain })}\n`,
  );
}

/**
 * The inverse of {@link encodeManifest}; undefined where a single byte is missing or altered.
 * @throws PupilError `storage` where another version of Pupil wrote it
 */
export async function decodeManifest(bytes: Uint8Array, label: string): Promise<StudentManifest | undefined> {
  let found: unknown;
  try {
    found = parseStrictJson(new TextDecoder().decode(bytes), label);
  } catch {
    return undefined;
  }
  if (!isJsonObject(found) || found['format'] !== FORMAT) return undefined;
  const { version, sha256, manifest: plain } = found;
  if (Number.isSafeInteger(version) && version !== STUDENT_CACHE_VERSION) {
    throw new PupilError(
      'storage',
      `${label}: expected a cached student of version ${STUDENT_CACHE_VERSION}, this one has version ${version as number}`,
      'Another version of Pupil wrote it. It is not used; delete it to free its room.',
    );
  }
  if (!isJsonObject(plain) || !isJsonObject(plain['files'])) return undefined;
  if (sha256 !== (await sha256Of(new TextEncoder().encode(JSON.stringify(plain))))) return undefined;
  const files = Object.entries(plain['files'] as Record<string, { sizeBytes: number; pieces: PieceRow[] }>).map(
    ([path, { sizeBytes, pieces }]): [string, StoredFile] => [
      path,
      { sizeBytes, pieces: pieces.map(([start, end, digest, part]) => ({ start, end, sha256: digest, part })) },
    ],
  );
  const manifest = { ...plain, files: Object.fromEntries(files) } as unknown as StudentManifest;
  // What the checksum does not cover (the spaces around it) counts as well.
  const whole = await encodeManifest(manifest);
  const same = whole.byteLength === bytes.byteLength && whole.every((byte, i) => byte === bytes[i]);
  return same ? manifest : undefined;
}

/** Bytes of all files. */
export function manifestBytes({ files }: Pick<StudentManifest, 'files'>): number {
  return Object.values(files).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/**
 * The name of a cached student: what it was made from and all that decides how its weights are packed.
 * @param identity the source's fingerprint, address and the versions of its files, as far as they are known
 */
export async function studentKey(
  identity: { source: string; fingerprint: string; versions: Readonly<Record<string, string>> },
  settings: StudentSettings,
): Promise<string> {
  const versions = Object.entries(identity.versions).sort(([a], [b]) => (a < b ? -1 : 1));
  const { quantize, blockSize, nestedBlockSize } = settings;
  const text = JSON.stringify([
    STUDENT_CACHE_VERSION,
    identity.source,
    identity.fingerprint,
    versions,
    quantize,
    // Sizes of blocks say nothing where nothing is quantised.
    ...(quantize === 'none' ? [] : [blockSize, ...(quantize === 'nf4-double' ? [nestedBlockSize] : [])]),
  ]);
  return (await sha256Of(new TextEncoder().encode(text))).slice(0, 32);
}
