// runState.ts: everything a run must remember to continue as if it had never been interrupted. Randomness needs no state of
// its own: it follows from the experiment's seed and the counters here. Its bytes are stateParts.ts.
import type { Experiment } from '../config/experiment';
import type { JsonObject } from '../formats/jsonText';
import type { Generation } from '../model/generator';
import type { ProbedBy } from '../config/scorerNames';
import type { Prediction, ProbedLetters, VotePrediction } from '../recipes/evaluate';
import type { PairCounts, PreferencePair } from '../recipes/pairs';
import type { KeptCheckpoint } from '../recipes/selfRefine';
import type {
  EnvironmentReport,
  EvaluationRow,
  MetricsRow,
  PhaseName,
  PhaseTiming,
  PromptKind,
  StudentReport,
  SystemName,
} from '../report/types';

/** Phases that a run can go through after loading, in order. */
export const PHASES: readonly PhaseName[] = [
  'baseline',
  'instruct',
  'control',
  'generate-pairs',
  'self-refine',
  'evaluate',
  'report',
];

/** The phases of one run. The control is there only where it is asked for; the others may be there and do nothing. */
export function phasesOf(experiment: Pick<Experiment, 'phases'>): readonly PhaseName[] {
  const { control = false } = experiment.phases;
  return control === false ? PHASES.filter((phase) => phase !== 'control') : PHASES;
}

/** The answers of one system to one task with one prompt; the lines of predictions.jsonl. */
export interface PredictionSet {
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  predictions: Prediction[];
  /** Letters by probing, where the experiment asks for them: question i's. Replaced, never written to. */
  probed?: Partial<Record<ProbedBy, ProbedLetters[]>>;
}

/** Self-consistency of one system on one task, by the CoT prompt; lines of predictions.jsonl, too. */
export interface VoteSet {
  system: SystemName;
  taskId: string;
  predictions: VotePrediction[];
}

/** Generation under way: answers of the batches done so far. */
export interface PendingAnswers {
  /** Which job they belong to; answers of another job are of no use. */
  job: string;
  answers: Generation[];
}

/** Adapters and optimiser state, as flat arrays in the adapter's layout. */
export interface RunTensors {
  /** The parameters being trained, and AdamW's or RMSprop's moments. */
  adapter?: Float32Array;
  m?: Float32Array;
  v?: Float32Array;
  /** After phase 1; also the reference of phase 2. */
  instructed?: Float32Array;
  /** After the control. */
  control?: Float32Array;
  /** The best of phase 2 so far. */
  best?: Float32Array;
  /** After phase 2. */
  refined?: Float32Array;
  /** Reference log-probabilities of the pairs scored so far. */
  reference?: Float32Array;
}

export interface RunState {
  startedAt: string;
  /** The experiment as parsed, paths included. */
  experiment: JsonObject;
  environment: EnvironmentReport;
  student: StudentReport;
  /** Of what the files hold (dataFingerprint.ts). */
  data: string;
  phase: PhaseName;
  /** Optimiser steps done in the present training phase; 0 elsewhere. */
  step: number;
  /** Checkpoints written. */
  sequence: number;
  /** When the last of them was; ISO 8601. Absent in those of earlier versions. */
  savedAt?: string;
  metrics: MetricsRow[];
  evaluations: EvaluationRow[];
  predictions: PredictionSet[];
  /** Where the experiment asks for self-consistency. */
  votes?: VoteSet[];
  pending?: PendingAnswers;
  /** Letters probed so far in the present job. */
  pendingLetters?: { job: string; letters: ProbedLetters[] };
  /** y, once all are there; ŷ is then pending. */
  plainAnswers?: Generation[];
  pairs?: { pairs: PreferencePair[]; counts: PairCounts; training: number[]; validation: number[] };
  best?: KeptCheckpoint;
  kept?: KeptCheckpoint & { rule: string };
  timings: PhaseTiming[];
  checkpointBytes: number;
  adapterFileBytes: number;
  gpuPeak: number;
  log: { level: 'info' | 'warning'; message: string }[];
  tensors: RunTensors;
}

/** Adds a metrics row, replacing one of the same step: a step may be done again after a resume. */
export function addMetrics(state: RunState, row: MetricsRow): void {
  const at = state.metrics.findIndex((known) => known.phase === row.phase && known.step === row.step);
  if (at >= 0) state.metrics[at] = row;
  else state.metrics.push(row);
}

/** Adds work to a phase's timing. */
export function addTiming(state: RunState, phase: PhaseName, seconds: number, tokens = 0, steps = 0): void {
  let row = state.timings.find((known) => known.phase === phase);
  if (row === undefined) {
    row = { phase, seconds: 0 };
    state.timings.push(row);
  }
  row.seconds += seconds;
  if (tokens > 0) row.tokens = (row.tokens ?? 0) + tokens;
  if (steps > 0) row.steps = (row.steps ?? 0) + steps;
}

/** What must agree for a resumed run to give the same numbers; in words, empty where all agrees. */
export function differences(
  before: Pick<RunState, 'environment' | 'student' | 'data'>,
  now: Pick<RunState, 'environment' | 'student' | 'data'>,
): string[] {
  const out: string[] = [];
  const compare = (what: string, a: unknown, b: unknown): void => {
    const [was, is] = [JSON.stringify(a), JSON.stringify(b)];
    if (was !== is) out.push(`${what} was ${was}, is ${is}`);
  };
  for (const key of ['vendor', 'architecture', 'device', 'description', 'tier', 'variants'] as const) {
    compare(key, before.environment[key], now.environment[key]);
  }
  compare('student', before.student.fingerprint, now.student.fingerprint);
  compare('data', before.data, now.data);
  return out;
}
