// readWith.ts: whole files and text on top of `open`, the same for every kind of root.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import { readExact } from '../formats/byteSource';
import { decodeUtf8 } from '../formats/jsonText';

type Open = (path: string) => Promise<ByteSource | undefined>;

/** The whole file. Throws `source`, e.g. `vocab.json: expected a file in /models, there is none`. */
export async function readBytesWith(open: Open, description: string, path: string): Promise<Uint8Array> {
  const source = await open(path);
  if (source === undefined) {
    throw new PupilError(
      'source',
      `${path}: expected a file in ${description}, there is none`,
      'Check the path in the experiment file and the folder that is served.',
    );
  }
  return readExact(source, 0, source.size);
}

/** The file as UTF-8 text. */
export async function readTextWith(open: Open, description: string, path: string): Promise<string> {
  return decodeUtf8(await readBytesWith(open, description, path), path);
}
