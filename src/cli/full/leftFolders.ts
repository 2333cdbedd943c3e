// leftFolders.ts: folders of jobs that a worker of this machine began and that were gone on with elsewhere, or have ended:
// whoever takes such a job here again fetches its newest state, so that they only fill the disk.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { takeProcessLock } from '../../base/processLock';
import { foldersIn } from '../files';
import { runIdIn } from '../runFolder';
import type { ArtefactStore } from './artefactStore';
import { isOwn, newestSnapshot, runArea } from './snapshots';

/** The ids of the runs that have a folder here. */
export async function runsIn(work: string): Promise<Set<string>> {
  const ids = (await foldersIn(work)).map((name) => runIdIn(join(work, name)));
  return new Set(ids.filter((id) => id !== undefined));
}

/**
 * Removes those folders of which the store has all, or a later state.
 *
 * @param area of the store
 * @param isBusy whether a job of this name runs in this process
 */
export async function removeLeftFolders(
  store: ArtefactStore,
  area: string,
  work: string,
  isBusy: (id: string) => boolean,
): Promise<void> {
  for (const id of await foldersIn(work)) {
    const folder = join(work, id);
    if (isBusy(id) || runIdIn(folder) === undefined) continue;
    const { release } = takeProcessLock(`${folder}.lock`);
    if (release === undefined) continue; // of another worker of this machine
    try {
      const newest = await newestSnapshot(store, runArea(area, id));
      const left = newest !== undefined && (newest.state === 'finished' || !(await isOwn(folder, newest)));
      if (left) await rm(folder, { recursive: true, force: true });
    } finally {
      release();
    }
  }
}
