// runContents.ts: what is in a stored run: of one that has ended, as its report says; of one that was interrupted, as its last
// checkpoint does. It reads and changes nothing.
import { toPlainError } from '../base/errors';
import { readJsonPart } from '../formats/trainingCheckpoint';
import { findings } from '../report/findings';
import type { RunReport } from '../report/types';
import type { ListedCheckpoint, RunRecord, RunStore } from '../storage/runStore';
import { ADAPTER_FILE, thinRows } from './artefacts';
import type { CheckpointRow, HeadlineRow, RunDetails, RunOverview } from './runFilesProtocol';
import { stateOf } from './stateParts';

/** The document of a run, however it was come by. */
type Contents = Pick<RunDetails, 'from' | 'evaluations' | 'curves' | 'timings' | 'log'> &
  Partial<Pick<RunDetails, 'experiment' | 'startedAt' | 'environment' | 'student' | 'pairs' | 'kept'>>;

const NOTHING: Contents = { from: 'nothing', evaluations: [], curves: [], timings: [], log: [] };

/** A run that has ended wrote its report last; one that goes on, or was interrupted, may have an older one. */
const hasEnded = ({ state }: RunRecord): boolean => ['finished', 'stopped', 'failed'].includes(state);

/** Everything of a run. What cannot be read is told in `problems`, and the rest is there. */
export async function runDetails(store: RunStore, record: RunRecord): Promise<RunDetails> {
  const { runId } = record;
  const files = await store.artefactSizes(runId);
  const listed = await store.listCheckpoints(runId);
  const problems = [...listed.problems];
  const contents = await readContents(store, record, problems);
  return {
    runId,
    ...contents,
    ...seedOf(contents.experiment),
    headline: headline(contents),
    filesBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    checkpointBytes: listed.sizeBytes,
    adapters: files.flatMap(({ path }) => ADAPTER_FILE.exec(path)?.[1] ?? []),
    files,
    checkpoints: await Promise.all(listed.checkpoints.map((one) => checkpointRow(one, runId))),
    problems,
  };
}

/** The part of it that lists show. */
export function overviewOf(details: RunDetails): RunOverview {
  const {
    runId,
    seed,
    startedAt,
    environment,
    student,
    headline: rows,
    filesBytes,
    checkpointBytes,
    adapters,
  } = details;
  return {
    runId,
    ...(seed === undefined ? {} : { seed }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(environment === undefined ? {} : { environment }),
    ...(student === undefined ? {} : { student }),
    headline: rows,
    filesBytes,
    checkpointBytes,
    adapters,
  };
}

async function readContents(store: RunStore, record: RunRecord, problems: string[]): Promise<Contents> {
  const ways = [() => fromReport(store, record.runId), () => fromCheckpoint(store, record.runId)];
  for (const read of hasEnded(record) ? ways : ways.reverse()) {
    try {
      const found = await read();
      if (found !== undefined) return found;
    } catch (error) {
      problems.push(toPlainError(error).message);
    }
  }
  return NOTHING;
}

async function fromReport(store: RunStore, runId: string): Promise<Contents | undefined> {
  const bytes = await store.loadArtefact(runId, 'report.json');
  if (bytes === undefined) return undefined;
  // This session wrote it, or checked it when it was imported.
  const report = readJsonPart(bytes, `run ${runId}: report.json`) as RunReport;
  const { experiment, startedAt, environment, student, evaluations, curves, pairs, kept, timings, log } = report;
  return {
    from: 'report',
    experiment,
    startedAt,
    environment,
    student,
    evaluations,
    curves,
    ...(pairs === undefined ? {} : { pairs: { counts: pairs.counts, ...meaningsOf(pairs) } }),
    ...(kept === undefined ? {} : { kept }),
    timings,
    log,
  };
}

const meaningsOf = ({ meanings }: NonNullable<RunReport['pairs']>): { meanings?: Record<string, string> } =>
  meanings === undefined ? {} : { meanings };

async function fromCheckpoint(store: RunStore, runId: string): Promise<Contents | undefined> {
  const stored = await store.loadCheckpoint(runId);
  if (stored === undefined) return undefined;
  const state = stateOf(stored.parts, runId);
  const { experiment, startedAt, environment, student, evaluations, metrics, pairs, kept, timings, log } = state;
  return {
    from: 'checkpoint',
    experiment,
    startedAt,
    environment,
    student,
    evaluations,
    curves: thinRows(metrics),
    ...(pairs === undefined ? {} : { pairs: { counts: { ...pairs.counts } } }),
    ...(kept === undefined ? {} : { kept }),
    timings,
    log,
  };
}

function seedOf(experiment: unknown): { seed?: number } {
  const seed = (experiment as { seed?: unknown } | undefined)?.seed;
  return typeof seed === 'number' ? { seed } : {};
}

/** A row a task: with the CoT prompt where it was asked so, of the furthest system there is. */
function headline({ evaluations }: Contents): HeadlineRow[] {
  const rows = findings({ evaluations, comparisons: [] });
  const tasks = [...new Set(rows.map(({ taskId }) => taskId))];
  return tasks.flatMap((task) => {
    const finding = rows.find(({ taskId }) => taskId === task)!; // the CoT prompt comes first
    const last = finding.rows.at(-1)!;
    const { taskId, system, prompt, scorer, correct, n, low, high } = last;
    const untouched = system === 'Baseline' ? undefined : finding.rows.find((row) => row.system === 'Baseline');
    const baseline = untouched === undefined ? {} : { baseline: untouched.correct / untouched.n };
    return [{ taskId, system, prompt, scorer, correct, n, low, high, ...baseline }];
  });
}

async function checkpointRow({ sequence, sizeBytes, read }: ListedCheckpoint, runId: string): Promise<CheckpointRow> {
  const bytes = await read('state');
  let state: Partial<CheckpointRow> = {};
  try {
    if (bytes !== undefined) state = (readJsonPart(bytes, runId) as { state: Partial<CheckpointRow> }).state;
  } catch {
    // Of no version that is known: its size is known all the same.
  }
  const { phase, step, savedAt } = state;
  return {
    sequence,
    sizeBytes,
    ...(phase === undefined ? {} : { phase }),
    ...(step === undefined ? {} : { step }),
    ...(savedAt === undefined ? {} : { savedAt }),
  };
}
