// droppedFiles.ts: files and folders that were dropped on the page, folders walked to their last file. Nothing is read: files are
// handed on as they lie on the disk. What they are for is pickedFiles.ts.
import { PupilError } from '../base/errors';
import type { PickedFile, PickedFolder } from './pickedFiles';

/** Nobody means to drop more; a home folder dropped by mistake must not hang the page. */
const MOST_FILES = 20_000;

/** The little that is used of a dropped item. */
export interface DroppedItem {
  kind: string;
  webkitGetAsEntry(): FileSystemEntry | null;
  getAsFile(): File | null;
}

/**
 * The dropped files by their paths within what was dropped: of a single folder, the paths in it. Must be called while the
 * drop is handled: a browser forgets the items afterwards (that is why nothing is awaited before they are looked at).
 * @throws PupilError `source` where a folder cannot be walked, or holds too much.
 */
export async function readDropped(items: Iterable<DroppedItem>): Promise<PickedFile[]> {
  const files = [...items].filter(({ kind }) => kind === 'file');
  const entries = files.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found: PickedFile[] = [];
  const only = entries.length === 1 ? entries[0]?.entry : undefined;
  for (const { entry, file } of entries) {
    if (entry === null) {
      if (file !== null) found.push({ path: file.name, blob: file });
    } else if (entry === only && entry.isDirectory) {
      for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) await walk(child, '', found);
    } else await walk(entry, '', found);
  }
  return found;
}

/**
 * What was dropped as one folder, with its name. As {@link readDropped}, to be called while the drop is handled.
 * @throws PupilError `source`
 */
export async function readDroppedFolder(items: Iterable<DroppedItem>): Promise<PickedFolder> {
  const all = [...items].filter(({ kind }) => kind === 'file');
  const only = all.length === 1 ? all[0]?.webkitGetAsEntry() : undefined;
  const name = only?.isDirectory === true ? only.name : '';
  return { name, files: await readDropped(all) };
}

async function walk(entry: FileSystemEntry, above: string, found: PickedFile[]): Promise<void> {
  const path = above + entry.name;
  if (entry.isDirectory) {
    for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) await walk(child, `${path}/`, found);
    return;
  }
  if (found.length >= MOST_FILES) {
    throw new PupilError(
      'source',
      `dropped folder: expected at most ${MOST_FILES} files, it has more`,
      'Drop the folder of the model, or of the data, alone.',
    );
  }
  const blob = await new Promise<File>((resolve, reject) => {
    (entry as FileSystemFileEntry).file(resolve, (cause) => reject(unreadable(path, cause)));
  });
  found.push({ path, blob });
}

/** All entries of a folder: a browser hands over a hundred at a time, and then none. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, (cause) => reject(unreadable(folder.name, cause)));
    });
    if (some.length === 0) return all;
    all.push(...some);
  }
}

function unreadable(path: string, cause: unknown): PupilError {
  return new PupilError(
    'source',
    `${path}: expected a file or folder that can be read, the browser refuses it (${(cause as Error).name})`,
    'It may have been moved since, or its rights forbid it: drop it again.',
    { cause },
  );
}
