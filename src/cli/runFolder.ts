// runFolder.ts: the folder that `run --out DIR` names: which run lives in it, and under which port its browser's storage
// is found again. Checkpoints and artefacts in it are the session's.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { slug } from '../base/slug';
import { outputFolder } from './files';

/** `DIR/run-folder.json`. */
export interface RunFolderRecord {
  runId: string;
  name: string;
  seed: number;
  createdAt: string;
}

/** The record's name: a folder that has it holds a run. */
export const RUN_FOLDER_FILE = 'run-folder.json';
/** Names the process that runs in the folder now. */
const LOCK = '.lock';
/** Written by an earlier run that got as far as to start; a new one must not mix its files with them. */
const OF_A_RUN = ['report.json', 'metrics.jsonl', 'checkpoints'];

/** Writes a file so that a reader finds the old or the new one, never half of it. */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.writing-${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

function readRecord(folder: string): RunFolderRecord | undefined {
  const file = join(folder, RUN_FOLDER_FILE);
  if (!existsSync(file)) return undefined;
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<RunFolderRecord>;
    if (typeof found.runId === 'string') return found as RunFolderRecord;
  } catch {
    // told below: a damaged record is as useless as one of another program
  }
  throw new PupilError('storage', `${file}: expected the record of a run, it is damaged`, 'Use another --out folder.');
}

interface Lock {
  processId: number;
  host: string;
  /** When the process started, where the system says so: numbers of processes are used again. */
  started?: string;
}

/** Linux tells when a process started, in ticks since the machine did; elsewhere, and of no process, undefined. */
function startOf(processId: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22; the second may contain spaces
  } catch {
    return undefined;
  }
}

/** Whether the process that left a lock still runs here. Of another machine's processes nothing can be known. */
function isHeld({ processId, host, started }: Partial<Lock>): boolean {
  if (typeof processId !== 'number' || host !== hostname() || processId === process.pid) return false;
  try {
    process.kill(processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return started === startOf(processId);
}

/**
 * Takes the folder for this process: two runs in one folder would write each other's files. A lock that a killed process
 * left is replaced. Returns what gives it back.
 *
 * @throws PupilError `usage` naming the process that runs there.
 */
function lockFolder(folder: string): () => void {
  const file = join(folder, LOCK);
  const started = startOf(process.pid);
  const lock: Lock = { processId: process.pid, host: hostname(), ...(started === undefined ? {} : { started }) };
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, `${JSON.stringify(lock)}\n`, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new PupilError(
          'storage',
          `--out: expected a folder that can be written, ${folder}: ${(error as Error).message}`,
          'Check its rights, or name another folder.',
          { cause: error },
        );
      }
    }
    let found: Partial<Lock> = {};
    try {
      found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Lock>;
    } catch {
      // damaged or just removed: as good as none
    }
    if (isHeld(found)) {
      throw new PupilError(
        'usage',
        `--out: expected a folder of its own, process ${found.processId} runs in ${folder}`,
        `End that run first, or name another folder. If no such run exists, remove ${file}.`,
      );
    }
    rmSync(file, { force: true });
  }
  throw new PupilError('usage', `--out: ${folder} is being taken by another process`, 'Name another folder.');
}

/** The folder of one run, taken by this process until `release`. */
export interface RunFolder {
  folder: string;
  record: RunFolderRecord;
  release: () => void;
}

/**
 * Makes the folder ready for a new run, or finds the run that is to be resumed. A folder whose run never got as far as
 * its first checkpoint counts as empty.
 *
 * @throws PupilError `usage` where a new run would mix with an old one, another process runs there, or there is nothing
 *   to resume.
 */
export function prepareRunFolder(
  path: string,
  run: { name: string; seed: number },
  resume: boolean,
  inputs: readonly string[] = [],
): RunFolder {
  const folder = resolve(path);
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new PupilError('usage', `--out: expected a folder, ${folder} is a file`, 'Name another one.');
  }
  if (resume && readRecord(folder) === undefined) {
    throw new PupilError(
      'usage',
      `--resume: expected the folder of an earlier run, ${folder} holds none`,
      'Leave --resume out to start one, or name the --out folder of the run.',
    );
  }
  outputFolder('--out', folder, inputs);
  const release = lockFolder(folder);
  try {
    return { folder, record: resume ? earlierRun(folder, run) : newRun(folder, run), release };
  } catch (error) {
    release();
    throw error;
  }
}

function earlierRun(folder: string, run: { seed: number }): RunFolderRecord {
  const record = readRecord(folder);
  if (record?.seed === run.seed) return record;
  throw new PupilError(
    'usage',
    `--resume: expected seed ${record?.seed}, with which this run was started, got ${run.seed}`,
    `Say --seed ${record?.seed}, or start another run in another --out folder.`,
  );
}

function newRun(folder: string, run: { name: string; seed: number }): RunFolderRecord {
  const used = readdirSync(folder).find((name) => OF_A_RUN.includes(name));
  if (used !== undefined) {
    throw new PupilError(
      'usage',
      `--out: expected a folder without a run, ${folder} holds ${used}`,
      'Add --resume to continue that run, or name another folder.',
    );
  }
  const createdAt = new Date().toISOString();
  const record: RunFolderRecord = {
    runId: `${slug(run.name)}-${createdAt.replace(/\D/g, '').slice(0, 17)}`,
    name: run.name,
    seed: run.seed,
    createdAt,
  };
  writeFileAtomically(join(folder, RUN_FOLDER_FILE), `${JSON.stringify(record, null, 2)}\n`);
  return record;
}
