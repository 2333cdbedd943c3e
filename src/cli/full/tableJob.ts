// tableJob.ts: the last job of a grid: the table of whatever has finished, from the reports in the store, with what is missing
// and why. It runs no student. What a table says is report/series.ts.
import { writeFileSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { takeProcessLock } from '../../base/processLock';
import type { ArtefactStore } from './artefactStore';
import { missingRuns, type JobState, type MissingRun, type QueuedGrid } from './queueJobs';
import { ClaimedFolder, fetchFiles, newestSnapshot, runArea } from './snapshots';

/** What of a run the table is made of. */
const FOR_TABLE = ['report.json', 'predictions.jsonl'];

/** What the queue keeps of a table. */
export interface TableResult {
  grid: string;
  runs: number;
  finished: number;
  missing: MissingRun[];
  /** The table as text. */
  text: string;
}

/** Where the store keeps a grid's table: series.json, series.html, missing.json. */
export const tableArea = (area: string, grid: string): string => `${area}/tables/${grid}`;

/**
 * Fetches what finished runs have left into OUT/<run>/.
 *
 * @param wanted of a run's files; absent: all but its checkpoints
 * @returns the ids of the runs that were there
 */
export async function fetchRuns(
  store: ArtefactStore,
  area: string,
  ids: readonly string[],
  out: string,
  wanted: (path: string) => boolean = (path) => !path.startsWith('checkpoints/'),
): Promise<string[]> {
  const found: string[] = [];
  for (const id of ids) {
    const snapshot = await newestSnapshot(store, runArea(area, id));
    if (snapshot?.state !== 'finished') continue;
    await fetchFiles(
      store,
      runArea(area, id),
      snapshot.files.filter(({ path }) => wanted(path)),
      join(out, id),
    );
    found.push(id);
  }
  return found;
}

/** Writes series.json and series.html into a folder that holds the runs. The table as text. */
export async function writeGridTable({ series, cells, runs, jobs }: QueuedGrid, folder: string): Promise<string> {
  const { writeSeriesReport } = await import('../nodeHost');
  const complete = runs.map((run) => ({ ...run, experiment: jobs.find(({ id }) => id === run.id)!.experiment }));
  return writeSeriesReport(folder, series, cells, complete);
}

/**
 * Makes a grid's table and puts it into the store. One whose folder another process holds is refused with `busy`.
 *
 * @param stateOf of the grid's jobs in the queue
 */
export async function makeTable(
  store: ArtefactStore,
  area: string,
  work: string,
  grid: QueuedGrid,
  stateOf: (id: string) => Promise<{ state: JobState; error?: string }>,
): Promise<TableResult | 'busy'> {
  const folder = join(work, 'tables', grid.grid);
  await mkdir(join(work, 'tables'), { recursive: true });
  const { release } = takeProcessLock(`${folder}.lock`);
  if (release === undefined) return 'busy';
  try {
    const claimed = await ClaimedFolder.claim(store, tableArea(area, grid.grid), folder, grid.grid);
    const ids = grid.runs.map(({ id }) => id);
    // Runs lie under a name that stays here: the store has them already.
    const finished = await fetchRuns(store, area, ids, join(folder, '.runs'), (path) => FOR_TABLE.includes(path));
    await mkdir(join(folder, '.runs'), { recursive: true }); // where nothing has finished
    const text = await writeGridTable(grid, join(folder, '.runs'));
    const states = new Map<string, { state: JobState; error?: string }>();
    for (const { id } of grid.jobs) states.set(id, await stateOf(id));
    for (const id of finished) states.set(id, { state: 'finished' });
    const missing = missingRuns(grid, (id) => states.get(id) ?? { state: 'blocked' });
    for (const name of ['series.json', 'series.html']) await copyFile(join(folder, '.runs', name), join(folder, name));
    writeFileSync(join(folder, 'missing.json'), `${JSON.stringify(missing, null, 2)}\n`);
    await claimed.save('finished', { outcome: { finished: finished.length } });
    await rm(folder, { recursive: true, force: true });
    return { grid: grid.grid, runs: ids.length, finished: finished.length, missing, text };
  } finally {
    release();
  }
}
