// diskFiles.ts: small files of this machine, read whole and written so that whatever moment the power fails they are the old
// one or the new one. For the Node host: never loaded by a browser.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PupilError } from '../base/errors';

/** `storage-full` where the disk is, else `storage`. */
export function diskError(doing: string, cause: unknown): PupilError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PupilError('storage-full', `${doing}: the disk is full (${text})`, 'Free some space, then resume.', {
      cause,
    });
  }
  return new PupilError('storage', `${doing} failed: ${text}`, 'Check the folder and its rights.', { cause });
}

/** Writes or replaces a file, missing folders included; it is on the disk when this resolves. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.writing`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r'); // the rename itself must reach the disk
    try {
      await folder.sync();
    } catch {
      // Not every file system lets a folder be flushed; the file's own contents are safe.
    } finally {
      await folder.close();
    }
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(`writing ${path}`, error);
  }
}

/** The whole file; undefined where there is none. */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(`reading ${path}`, error);
  }
}
