// files.ts: looks at the folders and files named by flags before anything is started: a missing one is told at once, by
// the flag that named it, and no folder that holds a student is ever written to.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { PupilError } from '../base/errors';

/** The absolute path of an existing folder. */
export function expectFolder(flag: string, path: string, contains?: string): string {
  const full = resolve(path);
  if (!existsSync(full)) {
    throw new PupilError('source', `${flag}: expected a folder, ${full} does not exist`, 'Check the path.');
  }
  if (!statSync(full).isDirectory()) {
    throw new PupilError('source', `${flag}: expected a folder, ${full} is a file`, 'Name the folder that it lies in.');
  }
  if (contains !== undefined && !existsSync(resolve(full, contains))) {
    const found = readdirSync(full).slice(0, 8).join(', ');
    throw new PupilError(
      'source',
      `${flag}: expected ${contains} in ${full}, found ${found === '' ? 'an empty folder' : found}`,
      'Name the folder that holds it.',
    );
  }
  return full;
}

/** The absolute path of an existing file. */
export function expectFile(flag: string, path: string): string {
  const full = resolve(path);
  if (!existsSync(full)) {
    throw new PupilError('source', `${flag}: expected a file, ${full} does not exist`, 'Check the path.');
  }
  if (!statSync(full).isFile()) {
    throw new PupilError('source', `${flag}: expected a file, ${full} is a folder`, 'Name a file in it.');
  }
  return full;
}

/**
 * The absolute path of a file to be written; its folder is made. Refuses the files in `never` (what is read), and any
 * existing file in a folder of `never`.
 */
export function outputFile(flag: string, path: string, never: readonly string[] = []): string {
  const full = resolve(path);
  if (existsSync(full)) {
    if (statSync(full).isDirectory()) {
      throw new PupilError('usage', `${flag}: expected a file to write, ${full} is a folder`, 'Name a file in it.');
    }
    const real = realpathSync(full);
    const input = never.map((one) => realpathSync(one)).find((one) => real === one || real.startsWith(one + sep));
    if (input !== undefined) {
      throw new PupilError(
        'usage',
        `${flag}: expected a file of its own, ${full} is ${real === input ? 'read' : `in ${input}, which is read`}`,
        'Pupil never changes what it reads: name another file.',
      );
    }
  }
  makeFolder(flag, dirname(full));
  return full;
}

/**
 * The absolute path of a folder to be written, made where it is missing. Refuses the folders in `never` (students and
 * adapters that are read), anything inside them, and any folder that holds a student.
 */
export function outputFolder(flag: string, path: string, never: readonly string[] = []): string {
  const full = resolve(path);
  if (existsSync(full) && !statSync(full).isDirectory()) {
    throw new PupilError('usage', `${flag}: expected a folder to write, ${full} is a file`, 'Name another one.');
  }
  makeFolder(flag, full);
  const real = realpathSync(full);
  for (const folder of never) {
    const input = realpathSync(folder);
    if (real === input || real.startsWith(input + sep)) {
      throw new PupilError(
        'usage',
        `${flag}: expected a folder of its own, ${full} is in ${folder}, which is read`,
        'Pupil never changes a student or adapter that it reads: name another folder.',
      );
    }
  }
  const names = readdirSync(full);
  const student = names.find((name) => name === 'config.json' || name === 'model.safetensors.index.json');
  if (student !== undefined) {
    throw new PupilError(
      'usage',
      `${flag}: expected a folder without a student, ${full} holds ${student}`,
      'Name an empty folder, or remove what is in it.',
    );
  }
  return full;
}

/**
 * Makes a folder and those above it. Throws `storage`, naming the flag. (Not Node's own `recursive`: it never returns
 * where a file system says that the folder above is missing though it is there, as /proc does.)
 */
function makeFolder(flag: string, folder: string): void {
  const missing: string[] = [];
  for (let at = folder; !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.unshift(at);
  try {
    for (const one of missing) {
      try {
        mkdirSync(one);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // made by another process just now
      }
    }
    if (!statSync(folder).isDirectory()) throw new Error('it is a file');
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new PupilError(
      'storage',
      `${flag}: expected a folder that can be written, ${folder}: ${(cause as Error).message}`,
      'Check the path and its rights.',
      { cause },
    );
  }
}

/** Names of the folders in a folder; none where it is not there or cannot be read. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
