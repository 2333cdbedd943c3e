// zipWrite.ts: files as a zip, written as a stream: never more than one file and a chunk is held. Texts are deflated, numbers
// (weights) are stored: they hardly shrink. Below 4 GiB: no zip64.
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';
import { PupilError } from '../base/errors';

export interface ZipInput {
  path: string;
  bytes: Uint8Array;
}

const CHUNK_BYTES = 2 ** 20;
/** What a zip without zip64 can address, less its directory. */
const MOST_BYTES = 2 ** 32 - 2 ** 24;
const PACKED_ALREADY = /\.(safetensors|gguf|bin)$/;
/** The years that a zip's clock can say. */
const [FIRST, LAST] = [Date.UTC(1980, 0, 2), Date.UTC(2099, 11, 30)];

/**
 * Writes the files in their order; equal files and times give equal bytes (in one time zone: a zip's clock is local).
 * @param modified the time that every file gets
 * @param sink takes the zip's bytes in order; awaited, so that it may write them somewhere slow
 * @throws PupilError `usage` for more than 4 GiB; whatever the files or the sink throw
 */
export async function writeZip(
  files: Iterable<ZipInput> | AsyncIterable<ZipInput>,
  modified: Date,
  sink: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const mtime = new Date(Math.min(LAST, Math.max(FIRST, modified.getTime() || FIRST)));
  let ready: Uint8Array[] = [];
  let failure: Error | undefined;
  let total = 0;
  const zip = new Zip((error, bytes) => {
    if (error !== null) failure ??= error;
    else ready.push(bytes);
  });
  const flush = async (): Promise<void> => {
    if (failure !== undefined) throw failure;
    const taken = ready;
    ready = [];
    for (const bytes of taken) {
      total += bytes.byteLength;
      if (total > MOST_BYTES) {
        throw new PupilError(
          'usage',
          'zip: expected less than 4 GiB, there is more',
          'Save the large files one by one, or run with the command line, whose --out folder has no such limit.',
        );
      }
      await sink(bytes);
    }
  };
  for await (const { path, bytes } of files) {
    const entry = PACKED_ALREADY.test(path) ? new ZipPassThrough(path) : new ZipDeflate(path, { level: 6 });
    entry.mtime = mtime;
    zip.add(entry);
    let at = 0;
    do {
      const end = Math.min(at + CHUNK_BYTES, bytes.byteLength);
      entry.push(bytes.slice(at, end), end === bytes.byteLength); // a copy: what is stored is handed on as it came
      at = end;
      await flush();
    } while (at < bytes.byteLength);
  }
  zip.end();
  await flush();
}
