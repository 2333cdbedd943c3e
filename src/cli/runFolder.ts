// runFolder.ts: the folder that `run --out DIR` names: which run lives in it, and under which port its browser's storage
// is found again. Checkpoints and artefacts in it are the session's.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PupilError } from '../base/errors';

/** `DIR/run-folder.json`. */
export interface RunFolderRecord {
  runId: string;
  name: string;
  seed: number;
  createdAt: string;
}

const FILE = 'run-folder.json';
/** Written by an earlier run; a new one must not mix its files with them. */
const OF_A_RUN = [FILE, 'report.json', 'metrics.jsonl', 'checkpoints'];

/** Letters, digits and dashes of a name, for folders and ids: `Lesson task C, student p10` → `lesson-task-c-student-p10`. */
export function slug(name: string): string {
  const text = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return text === '' ? 'run' : text;
}

/** Writes a file so that a reader finds the old or the new one, never half of it. */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.writing-${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

function readRecord(folder: string): RunFolderRecord | undefined {
  const file = join(folder, FILE);
  if (!existsSync(file)) return undefined;
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<RunFolderRecord>;
    if (typeof found.runId === 'string') return found as RunFolderRecord;
  } catch {
    // told below: a damaged record is as useless as one of another program
  }
  throw new PupilError('storage', `${file}: expected the record of a run, it is damaged`, 'Use another --out folder.');
}

/**
 * Makes the folder ready for a new run, or finds the run that is to be resumed.
 *
 * @throws PupilError `usage` where a new run would mix with an old one, or there is nothing to resume.
 */
export function prepareRunFolder(
  path: string,
  run: { name: string; seed: number },
  resume: boolean,
): { folder: string; record: RunFolderRecord } {
  const folder = resolve(path);
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new PupilError('usage', `--out: expected a folder, ${folder} is a file`, 'Name another one.');
  }
  const record = readRecord(folder);
  if (resume) {
    if (record === undefined) {
      throw new PupilError(
        'usage',
        `--resume: expected the folder of an earlier run, ${folder} holds none`,
        'Leave --resume out to start one, or name the --out folder of the run.',
      );
    }
    if (record.seed !== run.seed) {
      throw new PupilError(
        'usage',
        `--resume: expected seed ${record.seed}, with which this run was started, got ${run.seed}`,
        `Say --seed ${record.seed}, or start another run in another --out folder.`,
      );
    }
    return { folder, record };
  }
  mkdirSync(folder, { recursive: true });
  const used = readdirSync(folder).find((name) => OF_A_RUN.includes(name));
  if (used !== undefined) {
    throw new PupilError(
      'usage',
      `--out: expected a folder without a run, ${folder} holds ${used}`,
      'Add --resume to continue that run, or name another folder.',
    );
  }
  const createdAt = new Date().toISOString();
  const fresh: RunFolderRecord = {
    runId: `${slug(run.name)}-${createdAt.replace(/\D/g, '').slice(0, 17)}`,
    name: run.name,
    seed: run.seed,
    createdAt,
  };
  writeFileAtomically(join(folder, FILE), `${JSON.stringify(fresh, null, 2)}\n`);
  return { folder, record: fresh };
}
