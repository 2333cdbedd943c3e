// project.ts: where this installation's own files are: the built page, the experiment files, the version. It reads
// nothing but package.json.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PupilError } from '../base/errors';

interface PackageFile {
  name?: string;
  version?: string;
}

function findProject(): { root: string; version: string } {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const found = JSON.parse(readFileSync(file, 'utf8')) as PackageFile;
      if (found.name === 'pupil') return { root: folder, version: found.version ?? '0' };
    }
    if (dirname(folder) === folder) {
      throw new PupilError('usage', 'pupil: expected to run inside its own folder, no package.json of it was found');
    }
  }
}

let known: { root: string; version: string } | undefined;

/** The folder of this installation. */
export function projectRoot(): string {
  return (known ??= findProject()).root;
}

export function projectVersion(): string {
  return (known ??= findProject()).version;
}

/** The built page. Throws `browser` where it was not built. */
export function pageFolder(): string {
  const folder = process.env['PUPIL_PAGE'] ?? join(projectRoot(), 'dist', 'page');
  if (!existsSync(join(folder, 'index.html'))) {
    throw new PupilError(
      'browser',
      `page: expected the built page in ${folder}, there is no index.html`,
      'Run `npm run build`, or use --host node.',
    );
  }
  return folder;
}

/** Students that come with Pupil, a folder each; the page serves them as `students/<name>`. */
export function studentsFolder(): string {
  return join(projectRoot(), 'public', 'students');
}

export function experimentsFolder(): string {
  return join(projectRoot(), 'experiments');
}

/** The paper's experiments, as series. */
export function gridsFolder(): string {
  return join(projectRoot(), 'grids');
}

/** Beside the experiments and not among them: the page offers those. */
export function seriesFolder(): string {
  return join(experimentsFolder(), 'series');
}
