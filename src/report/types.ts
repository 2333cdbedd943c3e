// types.ts: report.json as types: everything a finished (or stopped) run can say about itself. It draws nothing and
// computes nothing; session/ fills it in, report/ turns it into pages, and protocol.ts hands the same rows to the page.
import type { Experiment, ScorerName } from '../config/experiment';
import type { SystemName } from '../config/systems';

/** The parts of a run, in order. */
export type PhaseName =
  'load' | 'baseline' | 'instruct' | 'control' | 'generate-pairs' | 'self-refine' | 'evaluate' | 'report';

export type { SystemName } from '../config/systems';

/** The two prompts of the paper: x (Table 2) and x̂ = x + "Let's think step by step" (Table 3). */
export type PromptKind = 'plain' | 'cot';

export interface EvaluationRow {
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  /**
   * `strict`, `literal` or `paper-compat` for string matching of one answer; the option with the highest probability, or the
   * vote of several answers, as config/scorerNames.ts calls them.
   */
  scorer: string;
  correct: number;
  n: number;
  /** Wilson 95 %, as shares in [0, 1]. */
  low: number;
  high: number;
  /** Answers cut off by max-new-tokens; of a vote, samples. */
  cutOff: number;
}

/**
 * The same answers judged by every scorer: how much of an accuracy is the scorer's. The answers of one system to one task
 * and prompt; which scorer the run goes by is its experiment's business.
 */
export interface ScorerRow {
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  n: number;
  /** Answers that each scorer calls right. */
  correct: Record<ScorerName, number>;
  /** Right by literal (lenient) matching and wrong by strict, and the other way round: equal sums may hide both. */
  literalOnly: number;
  strictOnly: number;
}

/**
 * McNemar's exact test of two systems on the same questions, same prompt and scorer; or of one system's single answers against
 * the votes of its samples, where `secondScorer` says so.
 */
export interface ComparisonRow {
  taskId: string;
  prompt: PromptKind;
  scorer: string;
  first: SystemName;
  second: SystemName;
  secondScorer?: string;
  /** Questions that only the first (only the second) answered correctly. */
  onlyFirst: number;
  onlySecond: number;
  /** Two-sided p-value; 1 where the two never differ. */
  p: number;
}

/** One row of metrics.jsonl. Names are TRL's (`loss`, `rewards/margins`, `eval_loss`, …); units in the names of ours. */
export interface MetricsRow {
  phase: PhaseName;
  /** Optimiser steps done, from 1; 0 for what was measured before the first. */
  step: number;
  totalSteps: number;
  values: Record<string, number>;
}

/** One teacher's demonstrations of one task: Table 5's accuracy and what was left out. */
export interface DemonstrationSummary {
  label: string;
  taskId: string;
  family: 'in-family' | 'out-family';
  format: string;
  files: string[];
  /** Lines read and understood. */
  read: number;
  /** Lines that could not be used, with the first reasons. */
  rejectedLines: number;
  rejectedExamples: string[];
  /** Read, but their question is not in the training split (or is not known). */
  notInTraining: number;
  /** In the training split, but beyond the share or the limit that the experiment asks for. */
  beyondShare?: number;
  /** Left out because prompt or answer is longer than the experiment allows. */
  tooLong: number;
  /** Left out because a student of whole words lacks some of theirs; absent where there are none. */
  unknownWords?: number;
  /** Left out because the answer misses the target (only with `keepWrong: false`). */
  droppedWrong: number;
  /** Left out by hand (`exclude`), and used with an answer that was edited by hand (`edits`); absent without these. */
  excludedByHand?: number;
  editedByHand?: number;
  /** Demonstrations used. */
  used: number;
  /** The teacher's own accuracy on the training questions it answered, before anything was dropped. */
  teacherCorrect: number;
  teacherN: number;
  teacherLow: number;
  teacherHigh: number;
}

export interface TaskSummary {
  taskId: string;
  benchmark: string;
  trainItems: number;
  testItems: number;
  /** Test items left out because their prompt is longer than `maxPromptTokens`. */
  tooLong: number;
  notes: string[];
}

/** An answer of one student; a question and what each system said to it make one sample. */
export interface SampleAnswer {
  system: SystemName;
  prompt: PromptKind;
  text: string;
  correct: boolean;
  stopped: 'eos' | 'length';
}

export interface ReportSample {
  taskId: string;
  itemId: string;
  /** The bare plain prompt. */
  question: string;
  target: string;
  answers: SampleAnswer[];
}

/** One preference pair as an example for readers; all pairs are in pairs.jsonl. */
export interface PairSample {
  taskId: string;
  prompt: string;
  chosen: string;
  rejected: string;
  target: string;
  /** Where y_w came from. */
  chosenFrom: 'student' | 'teacher';
}

export interface PhaseTiming {
  phase: PhaseName;
  /** Wall time, over all sittings of the run; pauses are not counted. */
  seconds: number;
  /** Optimiser steps of a training phase. */
  steps?: number;
  /** Tokens trained on or generated. */
  tokens?: number;
}

export interface EnvironmentReport {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  software: boolean;
  tier: string;
  /** Kernel choices made on this device; part of what "same numbers" depends on. */
  variants: Record<string, string>;
  /** Where the session ran: `browser` or `node`. */
  host: 'browser' | 'node';
  userAgent: string;
  pupilVersion: string;
}

export interface StudentReport {
  /** Path or URL as resolved. */
  source: string;
  parameters: number;
  layers: number;
  hiddenSize: number;
  vocabSize: number;
  quantize: string;
  /** First 16 hex digits of SHA-256 over config.json and the tensor table; tells two checkpoints apart. */
  fingerprint: string;
}

/** report.json. */
export interface RunReport {
  format: 'pupil-report';
  version: 1;
  runId: string;
  name: string;
  state: 'finished' | 'stopped' | 'failed';
  /** Of a failed run, what ended it; absent in reports of earlier versions. */
  error?: { code: string; message: string };
  /** ISO 8601. */
  startedAt: string;
  finishedAt: string;
  /** The whole experiment with every default filled in. */
  experiment: Experiment;
  environment: EnvironmentReport;
  student: StudentReport;
  tasks: TaskSummary[];
  demonstrations: DemonstrationSummary[];
  evaluations: EvaluationRow[];
  comparisons: ComparisonRow[];
  /** Absent in reports of earlier versions. */
  scorers?: ScorerRow[];
  /** Every row of metrics.jsonl, thinned to at most 1000 rows a phase. */
  curves: MetricsRow[];
  /**
   * Counts of the preference pairs by case; names are those of the run log, and `meanings` says what each counts (absent in
   * reports of earlier versions). Absent without phase 2.
   */
  pairs?: { counts: Record<string, number>; meanings?: Record<string, string>; samples: PairSample[] };
  /** Which checkpoint of phase 2 was kept, by what rule. Absent without phase 2. */
  kept?: { rule: string; step: number; validationLoss?: number; validationChosenLogp?: number };
  samples: ReportSample[];
  timings: PhaseTiming[];
  bytes: { gpuPeak: number; gpuParts: Record<string, number>; adapterFile: number; checkpoint: number };
  artefacts: string[];
  log: { level: 'info' | 'warning'; message: string }[];
}
