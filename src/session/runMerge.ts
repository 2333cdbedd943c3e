// runMerge.ts: an adapter of a stored run with its student's weights, or as GGUF, as one file to save: exportStudent.ts over the
// run's files and the experiment's, written into the browser's blobs.
import { studentFolder } from '../config/studentFolder';
import type { ZipInput } from '../formats/zipWrite';
import type { Gpu } from '../gpu/device';
import { openBlobOutput } from '../sources/blobSink';
import { openMemoryRoot } from '../sources/memory';
import { openMountedRoot } from '../sources/mounted';
import type { OpenRoot } from '../sources/openRoot';
import { exportStudent } from './exportStudent';
import { noAdapter, zipped, type RunToExport } from './runExport';
import type { ExportedFile, MergedExport } from './runFilesProtocol';
import { storedArtefact } from './stored';
import { readExperiment } from './taskItems';

/** The adapter's folder among the files: a name that no experiment has, and its own at the end, which a GGUF repeats. */
const adapterAt = (phase: string): string => `run:adapters/${phase}`;
/** A zip is made of whole files: none may be too large for a worker's memory. */
const SHARD_BYTES = 2 ** 29;

/**
 * @param files of the experiment, where its student is
 * @throws PupilError as exportStudent does; `usage` where the run has no such adapter
 */
export async function exportMergedRun(
  run: RunToExport,
  what: MergedExport,
  files: OpenRoot,
  gpu: () => Promise<Gpu>,
): Promise<ExportedFile> {
  const { store, record, details, onProgress } = run;
  const folder = `adapters/${what.phase}/`;
  const paths = details.files.map(({ path }) => path).filter((path) => path.startsWith(folder));
  if (paths.length === 0) throw noAdapter(run, what.phase);
  const adapter: Record<string, Uint8Array> = {};
  for (const path of paths) adapter[path.slice(folder.length)] = await storedArtefact(store, record.runId, path);
  const out = openBlobOutput();
  const { notes } = await exportStudent({
    files: openMountedRoot(adapterAt(what.phase), openMemoryRoot(adapter), files),
    out: out.root,
    student: studentFolder(readExperiment(what.experiment).student.source),
    adapter: adapterAt(what.phase),
    format: what.kind,
    gpu,
    shardBytes: SHARD_BYTES,
    onProgress: (done, total) => onProgress({ task: 'Merging', done, total, unit: 'tensors' }),
  });
  const name = `${record.runId}-${what.phase}`;
  const [only] = out.files.values();
  if (out.files.size === 1 && what.kind !== 'merged') {
    return { fileName: `${name}${what.kind === 'gguf-adapter' ? '-adapter' : ''}.gguf`, blob: only!, notes };
  }
  async function* contents(): AsyncGenerator<ZipInput> {
    for (const [path, blob] of out.files) {
      yield { path: `${name}/${path}`, bytes: new Uint8Array(await blob.arrayBuffer()) };
    }
  }
  return { fileName: `${name}-merged.zip`, blob: await zipped(contents(), record.updatedAt), notes };
}
