// artefacts.ts: the files that a run leaves: JSON lines, adapters in PEFT's layout, the report. What is in them comes from
// the run's state; where they go is the store's business.
import type { PlainError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import { PAIR_CASES } from '../config/pairCases';
import type { SystemName } from '../config/systems';
import { writeAdapterNote } from '../formats/adapterNote';
import { writePeftAdapter } from '../formats/peft';
import type { Adapter } from '../model/adapter';
import { renderReport } from '../report/html';
import type { DemonstrationSummary, MetricsRow, PairSample, ReportSample, RunReport } from '../report/types';
import type { RunBook } from './book';
import { compareSystems } from './comparisons';
import { jsonLines } from './jsonLines';
import type { Prepared } from './prepare';
import type { PreparedTask } from './preparedQuestions';
import { predictionLines } from './predictionLines';
import type { PredictionSet, RunState } from './runState';
import { scorerRows } from './scorerRows';

const encoder = new TextEncoder();

/** metrics.jsonl, demonstrations.jsonl, pairs.jsonl, predictions.jsonl, as far as there is something to say. */
export async function writeJsonLines(book: RunBook, prepared: Prepared): Promise<void> {
  const { state } = book;
  const write = (path: string, rows: readonly unknown[]): Promise<void> =>
    book.store.saveArtefact(book.runId, path, jsonLines(rows));
  await write('demonstrations.jsonl', prepared.demonstrations);
  await write(
    'metrics.jsonl',
    state.metrics.map(({ phase, step, totalSteps, values }) => ({ phase, step, totalSteps, ...values })),
  );
  if (state.pairs !== undefined) {
    const held = new Set(state.pairs.validation);
    await write(
      'pairs.jsonl',
      state.pairs.pairs.map((pair, i) => ({ ...pair, split: held.has(i) ? 'validation' : 'training' })),
    );
  }
  if (state.predictions.length > 0) {
    await write('predictions.jsonl', predictionLines(state, prepared));
  }
}

type AdapterName = 'instruct' | 'control' | 'self-refine';

const ADAPTER_OF: Readonly<Record<SystemName, AdapterName | undefined>> = {
  Baseline: undefined,
  'Instruction-tuned': 'instruct',
  'Instruction-tuned, more steps': 'control',
  'Self-refined': 'self-refine',
};

/** The weights of an adapter among a run's artefacts; the group is its folder's name. */
export const ADAPTER_FILE = /^adapters\/(instruct|control|self-refine)\/adapter_model\.safetensors$/;

/** Where a run keeps what makes a system of its student; undefined for the untouched one. */
export function adapterFolder(system: SystemName): string | undefined {
  const name = ADAPTER_OF[system];
  return name === undefined ? undefined : `adapters/${name}`;
}

/**
 * An adapter's two PEFT files under `adapters/<name>/`, and the note that says over which weights it was trained. Leaves
 * the adapter holding these parameters.
 */
export async function writeAdapterFiles(
  book: RunBook,
  adapter: Adapter,
  parameters: Float32Array,
  name: AdapterName,
): Promise<void> {
  adapter.writeParameters(parameters);
  const { student } = book.state;
  const files = {
    ...writePeftAdapter(await adapter.toPeft(student.source)),
    ...writeAdapterNote({ runId: book.runId, student: { ...student, quantize: adapter.student.quantization } }),
  };
  for (const [file, bytes] of Object.entries(files)) {
    await book.store.saveArtefact(book.runId, `adapters/${name}/${file}`, bytes);
  }
  book.state.adapterFileBytes = Object.values(files).reduce((sum, bytes) => sum + bytes.byteLength, 0);
}

const REPORT_ROWS = 1000;
/** Questions shown with every system's answers: of a task that is trained on (and the first), and of one that is only tested. */
const TRAINED_SAMPLES = 10;
const TESTED_SAMPLES = 5;
const PAIR_SAMPLES = 6;

/** At most so many rows of each phase, evenly spread; first, last and all validated steps stay. */
export function thinRows(rows: readonly MetricsRow[], most = REPORT_ROWS): MetricsRow[] {
  const phases = [...new Set(rows.map((row) => row.phase))];
  return phases.flatMap((phase) => {
    const own = rows.filter((row) => row.phase === phase);
    const stride = Math.ceil(own.length / most);
    return own.filter((row, i) => i % stride === 0 || i === own.length - 1 || row.values['eval_loss'] !== undefined);
  });
}

interface ForSamples {
  tasks: readonly Pick<PreparedTask, 'config' | 'task' | 'items'>[];
  summaries: readonly Pick<DemonstrationSummary, 'taskId' | 'used'>[];
}

/** The first questions of each task in the order of its test split, never chosen by what was answered. */
export function samplesOf(
  predictions: readonly PredictionSet[],
  { tasks, summaries }: ForSamples,
  scorer: string,
): ReportSample[] {
  return tasks.flatMap((task, t) => {
    const isTrained = summaries.some(({ taskId, used }) => taskId === task.config.name && used > 0);
    return task.items.slice(0, isTrained || t === 0 ? TRAINED_SAMPLES : TESTED_SAMPLES).map((item, i) => ({
      taskId: task.config.name,
      itemId: item.id,
      question: task.task.plainPrompt(item),
      target: item.target,
      answers: predictions
        .filter((set) => set.taskId === task.config.name && set.predictions[i] !== undefined)
        .map((set) => {
          const { text, correct, stopped } = set.predictions[i]!;
          return { system: set.system, prompt: set.prompt, text, correct: correct[scorer] === true, stopped };
        }),
    }));
  });
}

function pairSamples(state: RunState): PairSample[] {
  return (state.pairs?.pairs ?? []).slice(0, PAIR_SAMPLES).map((pair) => ({
    taskId: pair.taskId,
    prompt: pair.prompt.text,
    chosen: pair.chosen.text,
    rejected: pair.rejected.text,
    target: pair.target,
    chosenFrom: pair.chosen.from,
  }));
}

/** report.json as it stands now. */
export async function makeReport(
  book: RunBook,
  experiment: Experiment,
  prepared: Prepared,
  outcome: RunReport['state'],
  error?: PlainError,
): Promise<RunReport> {
  const { state } = book;
  const written = await book.store.listArtefacts(book.runId);
  return {
    format: 'pupil-report',
    version: 1,
    runId: book.runId,
    name: book.name,
    state: outcome,
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    startedAt: state.startedAt,
    finishedAt: new Date().toISOString(),
    experiment,
    environment: state.environment,
    student: state.student,
    tasks: prepared.tasks.map((task) => task.summary),
    demonstrations: prepared.summaries,
    evaluations: state.evaluations,
    comparisons: compareSystems(state.predictions, state.votes),
    scorers: scorerRows(state.predictions, prepared.tasks),
    curves: thinRows(state.metrics),
    ...(state.pairs === undefined
      ? {}
      : { pairs: { counts: state.pairs.counts, meanings: PAIR_CASES, samples: pairSamples(state) } }),
    ...(state.kept === undefined ? {} : { kept: state.kept }),
    samples: samplesOf(state.predictions, prepared, experiment.evaluation.scorer),
    timings: state.timings,
    bytes: {
      gpuPeak: state.gpuPeak,
      gpuParts: Object.fromEntries(book.gpu.account.entries()),
      adapterFile: state.adapterFileBytes,
      checkpoint: state.checkpointBytes,
    },
    artefacts: [...new Set([...written, 'report.json', 'report.html'])].sort(),
    log: state.log,
  };
}

/** Writes report.json and report.html. */
export async function writeReport(book: RunBook, report: RunReport): Promise<void> {
  await book.store.saveArtefact(book.runId, 'report.json', encoder.encode(`${JSON.stringify(report, null, 2)}\n`));
  await book.store.saveArtefact(book.runId, 'report.html', encoder.encode(renderReport(report)));
}
