// pickedFiles.ts: an experiment's files found in a folder that was picked in the page, by the ends of their paths: people
// pick the data folder, or the one above it, and both should do. It reads nothing:
// files are handed on as they lie on the disk, whatever their size.
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import { localPaths } from '../config/paths';
import type { FileRoot } from '../session/protocol';

export interface PickedFile {
  /** Path within the picked folder. */
  path: string;
  /** The file itself, read where it is needed. */
  blob: Blob;
}

/** Files of an `<input type="file" webkitdirectory>`. */
export function fromFileList(list: Iterable<File>): PickedFile[] {
  return [...list].map((file) => ({
    path: (file.webkitRelativePath || file.name)
      .split('/')
      .slice(file.webkitRelativePath === '' ? 0 : 1)
      .join('/'),
    blob: file,
  }));
}

/** What was picked or dropped as one folder. */
export interface PickedFolder {
  /** Of the folder; '' where several things were dropped. */
  name: string;
  files: PickedFile[];
}

/** The folder of an `<input type="file" webkitdirectory>`. */
export function pickedFolder(list: Iterable<File>): PickedFolder {
  const all = [...list];
  const [top = '', ...below] = (all[0]?.webkitRelativePath ?? '').split('/');
  return { name: below.length === 0 ? '' : top, files: fromFileList(all) };
}

/** Tails of a path, longest first: a/b/c → a/b/c, b/c, c. */
function tails(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.map((_, i) => parts.slice(i).join('/'));
}

/**
 * The picked paths that stand for a wanted one: the file itself, or every file of a wanted folder. The longest tail of the
 * wanted path that fits exactly one place wins; none fits → undefined.
 */
export function findPicked(wanted: string, paths: readonly string[]): { picked: string; as: string }[] | undefined {
  for (const tail of tails(wanted)) {
    const files = paths.filter((path) => path === tail || path.endsWith(`/${tail}`));
    if (files.length === 1 && files[0] !== undefined) return [{ picked: files[0], as: wanted }];
    const folders = new Set(
      paths.flatMap((path) => {
        const at = `/${path}`.indexOf(`/${tail}/`);
        return at < 0 ? [] : [path.slice(0, at + tail.length)];
      }),
    );
    const [folder] = folders;
    if (folders.size === 1 && folder !== undefined) {
      return paths
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => ({ picked: path, as: wanted + path.slice(folder.length) }));
    }
  }
  return undefined;
}

/**
 * The files an experiment needs, out of what was picked, under the paths by which the experiment names them.
 * @param wantedPaths some of them, where the others do not matter.
 * @throws PupilError `source` naming every file that is not in the folder.
 */
export function readPicked(
  experiment: Experiment,
  picked: readonly PickedFile[],
  wantedPaths: readonly string[] = localPaths(experiment),
): FileRoot {
  const byPath = new Map(picked.map((file) => [file.path, file]));
  const paths = [...byPath.keys()];
  const missing: string[] = [];
  const found: { file: PickedFile; as: string }[] = [];
  for (const wanted of wantedPaths) {
    const places = findPicked(wanted, paths);
    if (places === undefined) missing.push(wanted);
    for (const place of places ?? []) {
      const file = byPath.get(place.picked);
      if (file !== undefined) found.push({ file, as: place.as });
    }
  }
  if (missing.length > 0) {
    throw new PupilError(
      'source',
      `picked folder: expected ${missing.length} more file${missing.length === 1 ? '' : 's'}:\n${missing.join('\n')}`,
      'Pick the folder that holds all files of the experiment (its data root).',
    );
  }
  return { kind: 'blobs', files: Object.fromEntries(found.map(({ file, as }) => [as, file.blob])) };
}
