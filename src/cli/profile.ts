// profile.ts: the folder in which a browser keeps its profile: whose it is among the processes of this machine, and the browsers
// that killed launchers left on one. Most of those end by themselves when their launcher does; one that hangs does not.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PupilError } from '../base/errors';
import { takeProcessLock } from '../base/processLock';
import { browserGroups, endGroups } from './browserProcesses';
import { foldersIn } from './files';

/**
 * Takes a folder that keeps a browser's profile, and ends a browser that a killed launcher left on it. Returns what gives the
 * folder back.
 * @throws PupilError `browser` where another process of this machine has it
 */
export async function takeProfile(keepIn: string, note: (text: string) => void): Promise<() => void> {
  const profile = join(keepIn, '.profile');
  mkdirSync(profile, { recursive: true });
  const { release, holder } = takeProcessLock(join(keepIn, '.profile.lock'));
  if (release === undefined) {
    throw new PupilError(
      'browser',
      `browser: expected a profile of its own, ${holder === undefined ? 'another process' : `process ${holder}`} uses ${profile}`,
      'End that run first, or name another --out folder.',
    );
  }
  const orphans = browserGroups(profile);
  if (orphans.length > 0) {
    note(`browser: ending one that an earlier run left behind (process ${orphans.join(', ')})`);
    await endGroups(orphans);
  }
  return release;
}

/**
 * Ends the browsers that killed workers left on profiles in folders of the folders of `work`, also where nobody opens that
 * profile again: such a browser would go on using its GPU. Profiles that a process of this machine has are left alone.
 */
export async function endLeftBrowsers(work: string, note: (text: string) => void): Promise<void> {
  const below = async (folder: string): Promise<string[]> =>
    (await foldersIn(folder)).map((name) => join(folder, name));
  const areas = await below(work);
  for (const keepIn of (await Promise.all(areas.map(below))).flat()) {
    const profile = join(keepIn, '.profile');
    if (!existsSync(profile) || browserGroups(profile).length === 0) continue;
    try {
      (await takeProfile(keepIn, note))();
    } catch (error) {
      if (!(error instanceof PupilError)) throw error; // a PupilError: a process that runs has it
    }
  }
}
