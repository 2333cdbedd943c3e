// runFolder.ts: the folder that `run --out DIR` names: which run lives in it, and under which port its browser's storage
// is found again. Checkpoints and artefacts in it are the session's.
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { takeProcessLock, type ProcessLock } from '../base/processLock';
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

/** Beside the checkpoints: the record that the session keeps of the run. */
const CHECKPOINT_RECORD = join('checkpoints', 'run.json');

/** Writes a file so that a reader finds the old or the new one, never half of it, whatever moment the power fails. */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.writing-${process.pid}`;
  const file = openSync(temporary, 'w');
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

function readJson(file: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The record of the run in a folder. One that is missing or damaged is made of what the session's own says; `seed` is then
 * believed, since a checkpoint of another experiment is refused by the session.
 */
function readRecord(folder: string, seed: number): RunFolderRecord | undefined {
  const file = join(folder, RUN_FOLDER_FILE);
  const found = readJson(file) as Partial<RunFolderRecord> | undefined;
  if (typeof found?.runId === 'string') return found as RunFolderRecord;
  const kept = readJson(join(folder, CHECKPOINT_RECORD));
  const { runId, name, updatedAt } = kept ?? {};
  if (typeof runId === 'string' && typeof name === 'string' && typeof updatedAt === 'string') {
    return writeRecord(folder, { runId, name, seed, createdAt: updatedAt });
  }
  if (!existsSync(file)) return undefined;
  throw new PupilError('storage', `${file}: expected the record of a run, it is damaged`, 'Use another --out folder.');
}

function writeRecord(folder: string, record: RunFolderRecord): RunFolderRecord {
  writeFileAtomically(join(folder, RUN_FOLDER_FILE), `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

/** The id of the run that lives in a folder, also where its own record is damaged; undefined where none does. */
export function runIdIn(folder: string): string | undefined {
  const ids = [RUN_FOLDER_FILE, CHECKPOINT_RECORD].map((name) => readJson(join(folder, name))?.['runId']);
  return ids.find((id) => typeof id === 'string');
}

/**
 * Takes the folder for this process: two runs in one folder would write each other's files. Returns what gives it back.
 *
 * @throws PupilError `usage` naming the process that runs there.
 */
function lockFolder(folder: string): () => void {
  const file = join(folder, LOCK);
  let taken: ProcessLock;
  try {
    taken = takeProcessLock(file);
  } catch (cause) {
    throw new PupilError(
      'storage',
      `--out: expected a folder that can be written, ${folder}: ${(cause as Error).message}`,
      'Check its rights, or name another folder.',
      { cause },
    );
  }
  if (taken.release !== undefined) return taken.release;
  if (taken.holder === undefined) {
    throw new PupilError('usage', `--out: ${folder} is being taken by another process`, 'Name another folder.');
  }
  throw new PupilError(
    'usage',
    `--out: expected a folder of its own, process ${taken.holder} runs in ${folder}`,
    `End that run first, or name another folder. If no such run exists, remove ${file}.`,
  );
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
  if (resume && readRecord(folder, run.seed) === undefined) {
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
  const record = readRecord(folder, run.seed);
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
  return writeRecord(folder, {
    runId: `${slug(run.name)}-${createdAt.replace(/\D/g, '').slice(0, 17)}`,
    name: run.name,
    seed: run.seed,
    createdAt,
  });
}
