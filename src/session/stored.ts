// stored.ts: what a session tells of stored runs: their list, and the files of one. How they are stored is storage/'s.
import { PupilError } from '../base/errors';
import type { PhaseName } from '../report/types';
import { IMPORTING, type RunRecord, type RunStore } from '../storage/runStore';
import type { RunState, StoredRun } from './protocol';

/** The records of runs that are whole. */
export async function wholeRuns(store: RunStore): Promise<RunRecord[]> {
  return (await store.listRuns()).filter(({ state }) => state !== IMPORTING);
}

/** All stored runs, without their checkpoints' contents. */
export async function storedRuns(store: RunStore): Promise<StoredRun[]> {
  return (await wholeRuns(store)).map(({ runId, name, state, phase, step, updatedAt, sizeBytes, label, imported }) => ({
    runId,
    name,
    state: state as RunState,
    phase: phase as PhaseName,
    step,
    updatedAt,
    sizeBytes,
    ...(label === undefined ? {} : { label }),
    ...(imported === undefined ? {} : { imported }),
  }));
}

/** @throws PupilError `storage` where the run has no such file, with those that it has. */
export async function storedArtefact(store: RunStore, runId: string, path: string): Promise<Uint8Array> {
  const bytes = await store.loadArtefact(runId, path);
  if (bytes !== undefined) return bytes;
  const known = await store.listArtefacts(runId);
  throw new PupilError(
    'storage',
    `artefact: run ${runId}: expected a stored ${path}, there is none`,
    known.length === 0 ? 'Nothing is stored under that name.' : `There are: ${known.join(', ')}.`,
  );
}
