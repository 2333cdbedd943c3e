// runImport.ts: a run that was made elsewhere (exported by a page, or a folder of `pupil run --out`) as a stored run here. Everything
// is read and checked before anything is stored, and what is stored counts only when all of it is there. Of its report the page
// that people open is drawn anew: one from elsewhere could hold a script, and would run as this page.
import { PupilError } from '../base/errors';
import type { Progress } from '../base/progress';
import { readAdapterNote } from '../formats/adapterNote';
import type { ByteSource } from '../formats/byteSource';
import { isPlainPath, openZip, type ZipEntry } from '../formats/zipRead';
import { filesIn, loadAdapterFile } from '../recipes/files';
import { renderReport } from '../report/html';
import type { RunReport } from '../report/types';
import { openBlobsRoot } from '../sources/blobs';
import { openMemoryRoot } from '../sources/memory';
import { expectRunId, IMPORTING, type RunRecord, type RunStore } from '../storage/runStore';
import { checkLines, readReport } from './reportSchema';
import { CSV_FOLDER, EXPERIMENT, RUN_FOLDER } from './runExport';
import type { ImportOutcome, ImportRunRequest } from './runFilesProtocol';
import {
  CHECKPOINT_FILE,
  COMMITS,
  isCheckpointIndex,
  readCheckpoint,
  type TakenCheckpoint,
} from './runImportCheckpoint';

const REPORT = 'report.json';
const DRAWN = 'report.html';
/** Of a run; a command line's folder holds a browser's profile as well. */
export const LIMITS = { entries: 50_000, fileBytes: 2 ** 30, totalBytes: 2 ** 32 };
const LINES_BYTES = 2 ** 28;
const INDEX_BYTES = 2 ** 24;
const ADAPTER =
  /^(adapters\/(?:instruct|control|self-refine))\/(?:adapter_config\.json|adapter_model\.safetensors|pupil\.json)$/;
/** What others beside the report may be called, all of them data that no part of the page runs. */
const COMPANION = /^[a-z0-9][a-z0-9._-]{0,99}\.jsonl?$/;
/** Made from the others, or of the machine that the run was on. */
const NOT_TAKEN = new Set([RUN_FOLDER, EXPERIMENT, DRAWN]);
const isMade = (path: string): boolean => NOT_TAKEN.has(path) || path.startsWith(`${CSV_FOLDER}/`);
/** An import that was broken off leaves its files without a run; after this long no tab goes on with it. */
const STALE_MS = 3_600_000;

/** A run's files as they may be taken in: named, sized, not yet read. */
interface Taken {
  /** Its artefacts. */
  entries: readonly ZipEntry[];
  checkpoint: readonly ZipEntry[];
  leftOut: number;
}

/** What is known of the run: its report, its last checkpoint, or both. */
interface Found {
  report: RunReport | undefined;
  reportBytes: Uint8Array | undefined;
  checkpoint: TakenCheckpoint | undefined;
  /** Why its checkpoint is not taken, or not its newest; a sentence each. */
  problems: string[];
}

/**
 * Takes the run in, its checkpoint as well where that is intact.
 * @throws PupilError `format` for archives and files that are damaged or hostile, `data` for what is no run's, `checkpoint` for a
 *   run without a report whose checkpoints are all damaged, `storage-full`; nothing of it is then stored
 */
export async function importRun(
  store: RunStore,
  { from, source, existing }: ImportRunRequest,
  onProgress: (progress: Progress) => void,
  now = new Date(),
): Promise<ImportOutcome> {
  await sweep(store, now);
  const files = taken(source.kind === 'zip' ? await zipEntries(from, source.blob) : fileEntries(source.files), from);
  const { entries } = files;
  const found = await readFound(files, from);
  const { report, checkpoint } = found;
  const own = expectRunId(report?.runId ?? checkpoint!.runId);
  const records = await store.listRuns();
  const here = records.find(({ runId }) => runId === own);
  if (here !== undefined && existing === 'ask') {
    const same = await isSame(store, here, found);
    return { state: 'exists', runId: here.runId, name: here.label ?? here.name, same };
  }
  const runId = here === undefined ? own : freeId(own, records);
  const record = recordOf(found, runId, { from, at: now.toISOString() });
  const total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  const advance = ({ sizeBytes }: ZipEntry, task: string): void => {
    onProgress({ task, done: (done += sizeBytes), total: 2 * total, unit: 'bytes' });
  };
  // Twice: once to look at all of it, once to store it. So no file need be held while the others are looked at.
  await checkFiles(entries, from, (entry) => advance(entry, 'Checking'));
  await storeWhole(store, record, async (importing) => {
    for (const entry of entries) {
      await store.saveArtefact(runId, entry.path, await entry.read());
      advance(entry, 'Storing');
    }
    if (report !== undefined) await store.saveArtefact(runId, DRAWN, drawn(report, from));
    if (checkpoint !== undefined) await store.saveCheckpoint(importing, checkpoint.parts);
  });
  return {
    state: 'imported',
    runId,
    name: record.name,
    leftOut: files.leftOut,
    notes: notesOf(found, entries),
  };
}

/** The report and the checkpoint, read and checked. A checkpoint that is damaged is told where there is a report. */
async function readFound({ entries, checkpoint: files }: Taken, from: string): Promise<Found> {
  const reportBytes = await entries.find(({ path }) => path === REPORT)?.read();
  const report = reportBytes && readReport(reportBytes, `${from}: ${REPORT}`);
  let checkpoint: TakenCheckpoint | undefined;
  const problems: string[] = [];
  try {
    checkpoint = await readCheckpoint(files, from, report?.runId);
    problems.push(...(checkpoint?.problems ?? []).map((problem) => `Its newest checkpoint is damaged: ${problem}.`));
  } catch (error) {
    if (report === undefined || !(error instanceof PupilError) || error.code !== 'checkpoint') throw error;
    problems.push(`Its checkpoint was not taken: ${error.message}.`);
  }
  if (report !== undefined || checkpoint !== undefined) return { report, reportBytes, checkpoint, problems };
  throw new PupilError('checkpoint', `${from}: expected a run with a report or a checkpoint, it has neither`);
}

async function isSame(store: RunStore, here: RunRecord, { reportBytes, checkpoint }: Found): Promise<boolean> {
  if (checkpoint !== undefined && here.sequence !== checkpoint.sequence) return false;
  const known = await store.loadArtefact(here.runId, REPORT);
  return reportBytes === undefined ? known === undefined : equal(known, reportBytes);
}

async function zipEntries(name: string, blob: Blob): Promise<ZipEntry[]> {
  const source = await openBlobsRoot({ zip: blob }).open('zip');
  return openZip({ ...source!, name }, LIMITS);
}

function fileEntries(files: Readonly<Record<string, Blob>>): ZipEntry[] {
  const all = Object.entries(files);
  // A lone report may be called anything.
  if (all.length === 1 && all[0]![0].endsWith('.json')) return [blobEntry(REPORT, all[0]![1])];
  return all.map(([path, blob]) => blobEntry(path, blob));
}

function blobEntry(path: string, blob: Blob): ZipEntry {
  const read = async (): Promise<Uint8Array> => {
    const source: ByteSource = (await openBlobsRoot({ file: blob }).open('file'))!;
    return source.read(0, source.size);
  };
  return { path, sizeBytes: blob.size, read };
}

/** The files of the one run that is in it, by their paths within the run. */
function taken(all: readonly ZipEntry[], from: string): Taken {
  const foldersWith = (name: string): string[] =>
    all.flatMap(({ path }) => (path === name || path.endsWith(`/${name}`) ? [path.slice(0, -name.length)] : []));
  const reported = foldersWith(REPORT);
  // A run that was killed, or goes on, has a checkpoint before it has a report.
  const folders = reported.length > 0 ? reported : [...new Set(COMMITS.flatMap(foldersWith))];
  const depth = (folder: string): number => folder.split('/').length;
  const [folder, ...others] = folders.filter((one) => depth(one) === Math.min(...folders.map(depth)));
  if (folder === undefined) {
    throw new PupilError(
      'data',
      `${from}: expected a run, there is no ${REPORT} among its ${all.length} files, and no checkpoint`,
      'Pick a zip that a page exported, the --out folder of a run, or a report.json.',
    );
  }
  if (others.length > 0) {
    throw new PupilError(
      'data',
      `${from}: expected one run, there are ${others.length + 1} (${[folder, ...others].slice(0, 4).join(', ')})`,
      'Pick the folder of one of them.',
    );
  }
  const own = all
    .filter(({ path }) => path.startsWith(folder))
    .map((entry) => ({ ...entry, path: entry.path.slice(folder.length) }));
  const entries = own.filter(({ path }) => isTaken(path));
  const checkpoint = own.filter(({ path }) => CHECKPOINT_FILE.test(path));
  for (const { path, sizeBytes } of [...entries, ...checkpoint]) {
    const limit = limitOf(path);
    if (sizeBytes <= limit) continue;
    throw new PupilError('data', `${from}: ${path}: expected at most ${limit} bytes, it has ${sizeBytes}`);
  }
  const made = own.filter(({ path }) => isMade(path)).length;
  return { entries, checkpoint, leftOut: all.length - entries.length - checkpoint.length - made };
}

const isTaken = (path: string): boolean =>
  isPlainPath(path) && !NOT_TAKEN.has(path) && (ADAPTER.test(path) || COMPANION.test(path));

function limitOf(path: string): number {
  if (isCheckpointIndex(path)) return INDEX_BYTES;
  return ADAPTER.test(path) || CHECKPOINT_FILE.test(path) ? LIMITS.fileBytes : LINES_BYTES;
}

/** Every file once: lines as lines, adapters as adapters with both their files. */
async function checkFiles(
  entries: readonly ZipEntry[],
  from: string,
  onFile: (entry: ZipEntry) => void,
): Promise<void> {
  const adapters = new Map<string, ZipEntry[]>();
  for (const entry of entries) {
    const folder = ADAPTER.exec(entry.path)?.[1];
    if (folder === undefined) {
      if (entry.path !== REPORT) checkLines(await entry.read(), entry.path, `${from}: ${entry.path}`);
      onFile(entry);
    } else adapters.set(folder, [...(adapters.get(folder) ?? []), entry]);
  }
  for (const [folder, own] of adapters) {
    const files: Record<string, Uint8Array> = {};
    for (const entry of own) {
      files[entry.path] = await entry.read();
      onFile(entry);
    }
    const root = openMemoryRoot(files);
    await loadAdapterFile(root, folder);
    await readAdapterNote(filesIn(root, folder));
  }
}

/** The record that lists go by is written last. Whatever fails before, nothing stays. */
async function storeWhole(
  store: RunStore,
  record: RunRecord,
  write: (importing: RunRecord) => Promise<void>,
): Promise<void> {
  const importing = { ...record, state: IMPORTING, updatedAt: record.imported!.at };
  try {
    await store.saveRecord(importing);
    await write(importing);
    await store.saveRecord(record);
  } catch (error) {
    await store.deleteRun(record.runId).catch(() => undefined); // what stays is swept later
    throw error;
  }
}

/** What a broken import (a closed tab) has left. */
async function sweep(store: RunStore, now: Date): Promise<void> {
  for (const { runId, state, updatedAt } of await store.listRuns()) {
    if (state === IMPORTING && now.getTime() - Date.parse(updatedAt) > STALE_MS) await store.deleteRun(runId);
  }
}

function recordOf(
  { report, checkpoint }: Found,
  runId: string,
  imported: NonNullable<RunRecord['imported']>,
): RunRecord {
  const base = { runId, step: 0, sizeBytes: 0, sequence: 0, imported };
  const ofReport = report && {
    ...base,
    name: report.name,
    state: report.state,
    phase: report.state === 'finished' ? 'report' : (report.timings.at(-1)?.phase ?? 'load'),
    updatedAt: report.finishedAt,
  };
  if (checkpoint === undefined) return ofReport!;
  const { state, sequence, sizeBytes, runState } = checkpoint;
  const size = { sizeBytes, sequence };
  if (ofReport?.state === 'finished') return { ...ofReport, ...size };
  return {
    ...base,
    ...size,
    name: report?.name ?? nameOf(state.experiment),
    // A run that was killed is called running: with no tab that holds it, lists say that it was interrupted.
    state: runState ?? report?.state ?? 'running',
    phase: state.phase,
    step: state.step,
    updatedAt: state.savedAt ?? report?.finishedAt ?? state.startedAt,
  };
}

/** Of an experiment that has been checked. */
const nameOf = (experiment: TakenCheckpoint['state']['experiment']): string => String(experiment['name']);

/** `<id>-2`, `-3`, …: the first that is free. */
function freeId(runId: string, records: readonly RunRecord[]): string {
  const known = new Set(records.map((record) => record.runId));
  for (let n = 2; ; n++) {
    const id = `${runId.slice(0, 120)}-${n}`;
    if (!known.has(id)) return expectRunId(id);
  }
}

function drawn(report: RunReport, from: string): Uint8Array {
  try {
    return new TextEncoder().encode(renderReport(report));
  } catch (cause) {
    throw new PupilError(
      'data',
      `${from}: ${REPORT}: expected a report that can be drawn, it cannot (${cause instanceof Error ? cause.message : String(cause)})`,
      'The file was changed, or made by another version of Pupil.',
      { cause },
    );
  }
}

function notesOf({ report, checkpoint, problems }: Found, entries: readonly ZipEntry[]): string[] {
  const has = (path: RegExp | string): boolean =>
    entries.some((entry) => (typeof path === 'string' ? entry.path === path : path.test(entry.path)));
  const evaluations = report?.evaluations ?? checkpoint?.state.evaluations ?? [];
  const lacksAnswers = !has('predictions.jsonl') && evaluations.length > 0;
  const unfinished = checkpoint !== undefined && report?.state !== 'finished';
  return [
    ...problems,
    ...(unfinished ? [`It came with checkpoint ${checkpoint.sequence}, from which it can be resumed here.`] : []),
    ...(lacksAnswers && report !== undefined
      ? ['Without predictions.jsonl the answers to single questions are those of the report’s samples only.']
      : []),
    ...(has(ADAPTER) ? [] : ['It came without adapters: its students cannot be asked.']),
  ];
}

const equal = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a?.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
