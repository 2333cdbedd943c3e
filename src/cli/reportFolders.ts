// reportFolders.ts: where runs lie below the folders that `pupil report` is given: run folders, zips that a page exported, a judge's
// ratings, the documents of series. It looks at names only; what is in a file is session/gatherRuns.ts.
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { RUN_FOLDER_FILE } from './runFolder';

/** Absolute paths. */
export interface RunPlaces {
  folders: string[];
  zips: string[];
  judges: string[];
  grids: string[];
  /** Folders that could not be looked into. */
  unread: { from: string; reason: string }[];
}

/** Of a run, of a browser, or of the phase results that runs share: no runs lie in them, and there may be very many files. */
const NOT_ENTERED = new Set(['adapters', 'checkpoints', 'node_modules', 'shared', 'browser-profile', 'profile']);
/** A home folder named by mistake would be walked for hours. */
const MOST_FOLDERS = 200_000;

/**
 * Everything below these folders, each once, wherever links lead.
 * @throws PupilError `source` where one of them is not there, `usage` where there are far too many folders
 */
export function findRunPlaces(paths: readonly string[]): RunPlaces {
  const places: RunPlaces = { folders: [], zips: [], judges: [], grids: [], unread: [] };
  const seen = new Set<string>();
  const once = (path: string, list: string[]): void => {
    const real = realpathSync(path);
    if (seen.has(real)) return;
    seen.add(real);
    list.push(path);
  };
  const visit = (folder: string): void => {
    const real = realpathSync(folder);
    if (seen.has(real)) return;
    seen.add(real);
    if (seen.size > MOST_FOLDERS) {
      throw new PupilError(
        'usage',
        `report: expected folders with runs, there are more than ${MOST_FOLDERS} files and folders in them`,
        'Name the folders that the runs were written to.',
      );
    }
    const names = readdirSync(folder).sort();
    const has = (name: string): boolean => names.includes(name);
    if (has('report.json') || has(RUN_FOLDER_FILE)) places.folders.push(folder);
    // Of a full run its own document; of a series what it says of itself.
    if (has('grid.json')) once(join(folder, 'grid.json'), places.grids);
    else if (has('series.json')) once(join(folder, 'series.json'), places.grids);
    if (has('judge.json')) once(join(folder, 'judge.json'), places.judges);
    for (const name of names) {
      const path = join(folder, name);
      if (name.startsWith('.') || NOT_ENTERED.has(name)) continue;
      try {
        const found = statSync(path);
        if (found.isDirectory()) visit(path);
        else if (found.isFile() && name.toLowerCase().endsWith('.zip')) once(path, places.zips);
      } catch (error) {
        if (error instanceof PupilError) throw error;
        places.unread.push({ from: path, reason: (error as Error).message });
      }
    }
  };
  for (const path of paths.map((one) => resolve(one))) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) {
      throw new PupilError('source', `report: expected a folder with runs, ${path} does not exist`, 'Check the path.');
    }
    if (found.isDirectory()) visit(path);
    else if (path.toLowerCase().endsWith('.zip')) once(path, places.zips);
    else if (basename(path) === 'judge.json') once(path, places.judges);
    else {
      throw new PupilError(
        'usage',
        `report: expected folders with runs, or zips of runs, got the file ${path}`,
        'Name the folder that it lies in.',
      );
    }
  }
  return places;
}
