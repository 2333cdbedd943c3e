// runExport.ts: a stored run as one file: one of its artefacts, rows as CSV, its experiment, an adapter, or all of it as a zip that
// is laid out as a folder of `pupil run --out`. What is large is never held whole outside the browser's blobs.
import { PupilError, toPlainError } from '../base/errors';
import type { Progress } from '../base/progress';
import { slug } from '../base/slug';
import type { Experiment } from '../config/experiment';
import { writeCsv } from '../formats/csvWrite';
import { readRows } from '../formats/rows';
import { encodeCommit, sha256Of, type CommittedPart } from '../formats/trainingCheckpoint';
import { writeZip, type ZipInput } from '../formats/zipWrite';
import { BlobSink } from '../sources/blobSink';
import { recordBytes } from '../storage/filesPlace';
import type { RunRecord, RunStore } from '../storage/runStore';
import type { ExportedFile, PlainExport, RunDetails } from './runFilesProtocol';
import { storedArtefact } from './stored';

/** A run to be exported. */
export interface RunToExport {
  store: RunStore;
  record: RunRecord;
  details: RunDetails;
  onProgress: (progress: Progress) => void;
}

const encoder = new TextEncoder();
/** The name under which a file of a run is saved: the run's, then its own. */
export const savedName = (runId: string, path: string): string => `${runId}-${path.replaceAll('/', '-')}`;

/** Files as a zip in a blob. @param modified ISO 8601: the time that all of them get. */
export async function zipped(
  files: Iterable<ZipInput> | AsyncIterable<ZipInput>,
  modified: string | undefined,
): Promise<Blob> {
  const sink = new BlobSink();
  await writeZip(files, new Date(modified ?? 0), (bytes) => sink.add(bytes));
  return sink.blob('application/zip');
}

/** @throws PupilError `storage` where the run has no such file; `usage` for a folder that it has not */
export async function exportPlain(run: RunToExport, what: PlainExport): Promise<ExportedFile> {
  const { store, record } = run;
  const { runId } = record;
  switch (what.kind) {
    case 'everything':
      return { fileName: `${runId}.zip`, ...(await everything(run, what.checkpoint === true)) };
    case 'file': {
      const bytes = await storedArtefact(store, runId, what.path);
      return {
        fileName: savedName(runId, what.path),
        blob: new Blob([bytes.slice()], { type: typeOf(what.path) }),
        notes: [],
      };
    }
    case 'csv': {
      const fileName = savedName(runId, csvName(what.path));
      return { fileName, blob: new Blob([await csvOf(run, what.path)], { type: 'text/csv' }), notes: [] };
    }
    case 'experiment': {
      const { name, seed } = experimentOf(run);
      return {
        fileName: `${slug(name)}-seed${seed}.json`,
        blob: new Blob([experimentBytes(run)], { type: 'application/json' }),
        notes: [],
      };
    }
    case 'adapter': {
      const folder = `adapters/${what.phase}/`;
      const paths = run.details.files.map(({ path }) => path).filter((path) => path.startsWith(folder));
      if (paths.length === 0) throw noAdapter(run, what.phase);
      const files = contentsOf(run, paths, (path) => `${what.phase}/${path.slice(folder.length)}`);
      return { fileName: `${runId}-${what.phase}.zip`, blob: await zipped(files, record.updatedAt), notes: [] };
    }
  }
}

const csvName = (path: string): string => path.replace(/\.jsonl$/, '.csv');

/** Rows of JSON lines as a table; the results of all systems are those of the run's document. */
async function csvOf({ store, record, details }: RunToExport, path: string): Promise<string> {
  if (path === RESULTS) return writeCsv(details.evaluations.map((row) => ({ ...row })));
  const text = new TextDecoder().decode(await storedArtefact(store, record.runId, path));
  return writeCsv(readRows({ path, text }).rows.map(({ value }) => value));
}

export function noAdapter({ record, details }: RunToExport, phase: string): PupilError {
  const there = details.adapters.length === 0 ? 'none' : details.adapters.join(', ');
  return new PupilError(
    'usage',
    `run ${record.runId}: expected the adapter of a phase that it has (${there}), got ${JSON.stringify(phase)}`,
  );
}

/** Files of a folder of the command line that are made from the others, and so no artefacts. */
export const RUN_FOLDER = 'run-folder.json';
export const EXPERIMENT = 'experiment.json';
/** Rows and results once more, for spreadsheets. */
export const CSV_FOLDER = 'csv';
/** Accuracies of all systems, as a table alone. */
export const RESULTS = 'results.csv';

/** All files of the run below one folder of its name, so that unpacking it spills nothing. */
async function everything(run: RunToExport, withCheckpoint: boolean): Promise<Pick<ExportedFile, 'blob' | 'notes'>> {
  const { record, details, store } = run;
  const paths = details.files.map(({ path }) => path);
  const checkpoint = withCheckpoint ? await store.loadCheckpoint(record.runId) : undefined;
  if (withCheckpoint && checkpoint === undefined) {
    throw new PupilError('storage', `run ${record.runId}: expected a checkpoint to export, there is none`);
  }
  const inside = (path: string): string => `${record.runId}/${path}`;
  const notes: string[] =
    details.from === 'report' || checkpoint !== undefined
      ? []
      : ['The run has no report yet: without its checkpoint it can neither be imported nor gone on with.'];
  async function* files(): AsyncGenerator<ZipInput> {
    yield* contentsOf(run, paths, inside);
    if (details.experiment !== undefined) yield { path: inside(EXPERIMENT), bytes: experimentBytes(run) };
    const lines = paths.filter((path) => path.endsWith('.jsonl'));
    for (const path of [...lines, ...(details.evaluations.length > 0 ? [RESULTS] : [])]) {
      const text = await csvOf(run, path).catch((error: unknown) => {
        // The lines themselves are in the zip, damaged as they are.
        notes.push(`${path} is not there as CSV: ${toPlainError(error).message}.`);
      });
      if (text !== undefined) yield { path: inside(`${CSV_FOLDER}/${csvName(path)}`), bytes: encoder.encode(text) };
    }
    if (checkpoint === undefined) return;
    yield* checkpointFiles(run, checkpoint, inside);
  }
  return { blob: await zipped(files(), record.updatedAt), notes };
}

/** As storage/filesPlace.ts lays them out, with the record that `--resume` looks for. */
async function* checkpointFiles(
  { record, details }: RunToExport,
  { sequence, parts }: NonNullable<Awaited<ReturnType<RunStore['loadCheckpoint']>>>,
  inside: (path: string) => string,
): AsyncGenerator<ZipInput> {
  const { runId, name } = record;
  const committed: CommittedPart[] = [];
  for (const [part, bytes] of parts) {
    const number = committed.length;
    committed.push({ name: part, sha256: await sha256Of(bytes), sizeBytes: bytes.byteLength, number });
    yield { path: inside(`checkpoints/part-${number}.bin`), bytes };
  }
  const commit = await encodeCommit({ runId, sequence, parts: committed });
  yield { path: inside('checkpoints/commit-0.json'), bytes: commit };
  yield { path: inside('checkpoints/run.json'), bytes: recordBytes(record) };
  const folder = { runId, name, seed: details.seed ?? 0, createdAt: details.startedAt ?? record.updatedAt };
  yield { path: inside(RUN_FOLDER), bytes: encoder.encode(`${JSON.stringify(folder, null, 2)}\n`) };
}

async function* contentsOf(
  { store, record, details, onProgress }: RunToExport,
  paths: readonly string[],
  rename: (path: string) => string,
): AsyncGenerator<ZipInput> {
  const sizes = new Map(details.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const total = paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  let done = 0;
  for (const path of paths) {
    onProgress({ task: 'Exporting', done, total, unit: 'bytes' });
    yield { path: rename(path), bytes: await storedArtefact(store, record.runId, path) };
    done += sizes.get(path) ?? 0;
  }
  onProgress({ task: 'Exporting', done, total, unit: 'bytes' });
}

function experimentOf({ record, details }: RunToExport): Experiment {
  if (details.experiment !== undefined) return details.experiment as Experiment;
  throw new PupilError('storage', `run ${record.runId}: expected its experiment, it has neither report nor checkpoint`);
}

const experimentBytes = (run: RunToExport): Uint8Array<ArrayBuffer> =>
  encoder.encode(`${JSON.stringify(experimentOf(run), null, 2)}\n`);

function typeOf(path: string): string {
  if (path.endsWith('.html')) return 'text/html';
  if (path.endsWith('.json')) return 'application/json';
  return path.endsWith('.jsonl') ? 'application/x-ndjson' : 'application/octet-stream';
}
