// keptFiles.ts: the files that a person gave to the page, as an experiment names them: kept:NAME-HASH.jsonl. They are read like
// any file, whatever root the experiment's other files are in. Where they lie is storage's.
import { PupilError } from '../base/errors';
import { slug } from '../base/slug';
import { decodeUtf8 } from '../formats/jsonText';
import { sha256Of } from '../formats/trainingCheckpoint';
import type { OpenRoot } from '../sources/openRoot';
import type { KeptFileStore } from '../storage/keptFiles';

const SCHEME = 'kept:';
/** As letters: digits before the ending would be taken for the number of a shard. */
const HASH_DIGITS = 8;
const NAME_LENGTH = 50;

/** The path of a kept file. */
export const keptPath = (name: string): string => SCHEME + name;

function keptName(path: string): string | undefined {
  return path.startsWith(SCHEME) ? path.slice(SCHEME.length) : undefined;
}

/** @throws PupilError `usage` for the path of something else. */
export function expectKeptName(path: string): string {
  const name = keptName(path);
  if (name !== undefined) return name;
  throw new PupilError('usage', `kept file: expected a path that begins with ${SCHEME}, got ${JSON.stringify(path)}`);
}

/**
 * Keeps a file under a name that says its contents: the same file twice is kept once, and a path that an experiment or a
 * stored run has never comes to mean something else.
 * @param fileName as the person's machine calls it; its ending stays, since forms are told apart by it.
 * @returns its path.
 */
export async function keepFile(store: KeptFileStore, fileName: string, bytes: Uint8Array): Promise<string> {
  if (bytes.byteLength === 0) {
    throw new PupilError('usage', `kept file: expected a file with something in it, ${fileName} is empty`);
  }
  const [, stem = fileName, ending = ''] = /^(.*?)(\.[A-Za-z0-9]{1,8})?$/s.exec(fileName) ?? [];
  const hash = (await sha256Of(bytes)).slice(0, HASH_DIGITS).replace(/\d/g, (digit) => 'ghijklmnop'[Number(digit)]!);
  // The end of a long name: there the shards of one file differ.
  const name = `${slug(stem.slice(-NAME_LENGTH))}-${hash}${ending.toLowerCase()}`;
  await store.saveFile(name, bytes);
  return keptPath(name);
}

/** @throws PupilError `source` where nothing is kept under this name. */
export async function readKeptFile(store: KeptFileStore, path: string): Promise<Uint8Array> {
  const bytes = await store.loadFile(expectKeptName(path));
  if (bytes !== undefined) return bytes;
  throw new PupilError(
    'source',
    `${path}: expected a file that is kept here, there is none of that name`,
    'It was given to the page in a browser: add it there again, or download it there and name its path.',
  );
}

/** A root that has the kept files beside its own. */
export function withKeptFiles(files: OpenRoot, store: KeptFileStore): OpenRoot {
  return {
    description: files.description,
    open: (path) => files.open(path),
    readText: async (path) =>
      keptName(path) === undefined ? files.readText(path) : decodeUtf8(await readKeptFile(store, path), path),
    readBytes: (path) => (keptName(path) === undefined ? files.readBytes(path) : readKeptFile(store, path)),
    write: (path, bytes) => files.write(path, bytes),
    create: (path) => files.create(path),
  };
}
