// gridFolder.ts: the folder of a full run: a run folder for each job, the shared results, the grid's document and its table. It
// says how far each job is from what lies there, so that a command that is said again goes on where the last one was.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PupilError } from '../../base/errors';
import { outputFolder } from '../files';
import type { LoadedSeries } from '../experimentFile';
import { RUN_FOLDER_FILE, writeFileAtomically } from '../runFolder';
import { stateOf, EXPERIMENT } from '../series';
import type { GridJob } from './jobs';

/** In the folder: the grid as it was started, for `pupil report` and for people. */
export const GRID_FILE = 'grid.json';
/** In the folder of a job that ends early: it got there. */
const ENDED_FILE = 'ended.json';

export interface GridFolder {
  /** Absolute. */
  folder: string;
  /** Where results of phases are shared. */
  shared: string;
}

/**
 * Makes the folder ready, or finds what an earlier command has left in it.
 *
 * @throws PupilError `usage` where it holds a single run.
 */
export function openGridFolder(out: string, { series, runs }: LoadedSeries, jobs: readonly GridJob[]): GridFolder {
  const folder = outputFolder('--out', out, [...new Set(runs.flatMap(({ inputs }) => inputs))]);
  if (existsSync(join(folder, RUN_FOLDER_FILE))) {
    throw new PupilError('usage', `--out: expected a folder for a grid, ${folder} holds a single run`, 'Name another.');
  }
  const document = {
    format: 'pupil-grid',
    series,
    runs: runs.map(({ id, cell, seed }) => ({ id, cell: cell.labels, seed })),
    jobs: jobs.map(({ id, kind, title, until, after }) => ({ id, kind, title, until, after })),
  };
  writeFileAtomically(join(folder, GRID_FILE), `${JSON.stringify(document, null, 2)}\n`);
  return { folder, shared: join(folder, 'shared') };
}

/**
 * How far a job is.
 *
 * @throws PupilError `usage` where its folder holds a run of another experiment.
 */
export function jobStateIn({ folder }: GridFolder, job: GridJob): 'finished' | 'begun' | 'new' {
  const state = stateOf(join(folder, job.id), job);
  if (job.until === undefined || state === 'new') return state;
  return endedIn(join(folder, job.id)) === job.until ? 'finished' : 'begun';
}

function endedIn(folder: string): unknown {
  try {
    return (JSON.parse(readFileSync(join(folder, ENDED_FILE), 'utf8')) as { until?: unknown }).until;
  } catch {
    return undefined; // not there, or half written by a killed process
  }
}

/** Notes that a job that ends early got there. */
export function noteEnded({ folder }: GridFolder, { id, until }: GridJob): void {
  const text = JSON.stringify({ until, endedAt: new Date().toISOString() });
  writeFileAtomically(join(folder, id, ENDED_FILE), `${text}\n`);
}

/** Writes the job's complete experiment beside its run, so that it can be made again alone. */
export function noteExperiment(runFolder: string, { experiment }: GridJob): void {
  writeFileAtomically(join(runFolder, EXPERIMENT), `${JSON.stringify(experiment, null, 2)}\n`);
}
