// runImportCheckpoint.ts: the checkpoint among the files of a run that was made elsewhere (storage/filesPlace.ts lays them out): the
// newest whose every part is what its commit says, and whose state is a run's. It stores nothing.
import * as v from 'valibot';
import { PupilError, toPlainError } from '../base/errors';
import { parseJsonObject } from '../formats/jsonText';
import { decodeCommit, sha256Of, type CheckpointPart } from '../formats/trainingCheckpoint';
import type { ZipEntry } from '../formats/zipRead';
import { Checkpoints } from '../storage/checkpoints';
import { FilesPlace, type NamedFiles } from '../storage/filesPlace';
import type { RunState } from './runState';
import { readState } from './stateSchema';

const FOLDER = 'checkpoints';
/** Which parts make a checkpoint is said in one of these. */
export const COMMITS: readonly string[] = [`${FOLDER}/commit-0.json`, `${FOLDER}/commit-1.json`];
const RECORD = `${FOLDER}/run.json`;
/** A file that belongs to a run's checkpoints. */
export const CHECKPOINT_FILE = /^checkpoints\/(?:commit-[01]\.json|run\.json|part-\d{1,7}\.bin)$/;
/** The two kinds that are read whole before anything is known of them. */
export const isCheckpointIndex = (path: string): boolean => COMMITS.includes(path) || path === RECORD;

/** Of all parts by name: the same bytes under ten thousand names would be read as often. */
const MOST_BYTES = 2 ** 32;

export interface TakenCheckpoint {
  /** The run that it is of. */
  runId: string;
  sequence: number;
  state: RunState;
  parts: CheckpointPart[];
  sizeBytes: number;
  /** How the run's record calls it; absent where there is none of this checkpoint. */
  runState?: 'running' | 'paused' | 'stopped' | 'failed' | 'finished';
  /** What was found damaged on the way to it, a line each. */
  problems: string[];
}

/** As much of storage's record as is believed. */
const RecordSchema = v.looseObject({
  runId: v.string(),
  sequence: v.number(),
  state: v.picklist(['running', 'paused', 'stopped', 'failed', 'finished']),
});

/**
 * The newest intact checkpoint; undefined where the files have none at all.
 * @param ofRun the run that it must be of, where that is known.
 * @throws PupilError `checkpoint` where there are some and all are damaged, of another version, or of another run; `data`,
 *   `format` or `config` for a whole one that holds something else than the state of a run
 */
export async function readCheckpoint(
  entries: readonly ZipEntry[],
  from: string,
  ofRun: string | undefined,
): Promise<TakenCheckpoint | undefined> {
  const unread: string[] = [];
  const files = filesOf(entries, from, unread);
  const runs = await runsOf(entries, from);
  if (runs.length === 0) {
    if (!entries.some(({ path }) => CHECKPOINT_FILE.test(path))) return undefined;
    throw new PupilError('checkpoint', `${from}: expected a checkpoint, what says its parts is missing or damaged`);
  }
  const runId = ofRun ?? runs[0]!;
  if (!runs.includes(runId)) {
    throw new PupilError('checkpoint', `${from}: expected a checkpoint of run ${runId}, it is of ${runs.join(', ')}`);
  }
  const place = new FilesPlace(files, FOLDER, () => Promise.resolve());
  const stored = await new Checkpoints(() => place).load(runId);
  if (stored === undefined) return undefined;
  const { sequence, parts, problems } = stored;
  const state = readState(parts, runId, `${from}: checkpoint ${sequence}`);
  const all = [...parts].map(async ([name, bytes]) => ({ name, bytes, sha256: await sha256Of(bytes) }));
  const runState = await recordedState(entries, runId, sequence);
  return {
    runId,
    sequence,
    state,
    parts: await Promise.all(all),
    sizeBytes: [...parts.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    ...(runState === undefined ? {} : { runState }),
    problems: [...unread, ...problems],
  };
}

/** A part that cannot be unpacked is one that is not there, and why is told. */
function filesOf(entries: readonly ZipEntry[], from: string, unread: string[]): NamedFiles {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  // What a part of two names holds is held once.
  const read = new Map<string, Uint8Array>();
  return {
    description: from,
    open: async (path) => {
      const entry = byPath.get(path);
      if (entry === undefined) return undefined;
      try {
        const bytes = read.get(path) ?? (await entry.read());
        read.set(path, bytes);
        const at = (start: number, end: number) => Promise.resolve(bytes.subarray(start, end));
        return { size: bytes.byteLength, read: at };
      } catch (error) {
        unread.push(toPlainError(error).message);
        return undefined;
      }
    },
    write: () => Promise.reject(new PupilError('usage', `${from}: nothing is written into what is imported`)),
  };
}

/** The runs that whole commits are of, that of the newest first. Throws `checkpoint` for another version's. */
async function runsOf(entries: readonly ZipEntry[], from: string): Promise<string[]> {
  const found: { runId: string; sequence: number }[] = [];
  for (const { path, read } of entries.filter((entry) => COMMITS.includes(entry.path))) {
    const bytes = await read().catch(() => new Uint8Array(0));
    const commit = bytes.byteLength === 0 ? undefined : await decodeCommit(bytes, `${from}: ${path}`);
    if (commit === undefined) continue;
    const bytesInAll = commit.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (bytesInAll > MOST_BYTES) {
      throw new PupilError(
        'data',
        `${from}: ${path}: expected at most ${MOST_BYTES} bytes of parts, it names ${bytesInAll}`,
      );
    }
    found.push(commit);
  }
  return [...new Set(found.sort((a, b) => b.sequence - a.sequence).map(({ runId }) => runId))];
}

async function recordedState(
  entries: readonly ZipEntry[],
  runId: string,
  sequence: number,
): Promise<TakenCheckpoint['runState']> {
  try {
    const bytes = await entries.find(({ path }) => path === RECORD)?.read();
    const parsed = bytes && v.safeParse(RecordSchema, parseJsonObject(bytes, RECORD));
    if (parsed?.success !== true) return undefined;
    const { output } = parsed;
    return output.runId === runId && output.sequence === sequence ? output.state : undefined;
  } catch {
    return undefined; // it only says more of a checkpoint that is whole without it
  }
}
