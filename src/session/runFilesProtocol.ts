// runFilesProtocol.ts: what a page says about stored runs: what is in them, what they take, how they leave this browser and come
// into it. Types only; part of protocol.ts, which re-exports them.
import type { Progress } from '../base/progress';
import type {
  EnvironmentReport,
  EvaluationRow,
  MetricsRow,
  PhaseName,
  PhaseTiming,
  PromptKind,
  RunReport,
  StudentReport,
  SystemName,
} from '../report/types';
import type { FileRoot } from '../sources/fileRoot';
import type { StoredFile } from '../storage/runStore';

/** One task in a word: the furthest system's accuracy, and that of the untouched student. */
export interface HeadlineRow {
  taskId: string;
  system: SystemName;
  prompt: PromptKind;
  scorer: string;
  correct: number;
  n: number;
  /** Wilson 95 %, as shares. */
  low: number;
  high: number;
  /** The untouched student's share of right answers, where it was evaluated the same way. */
  baseline?: number;
}

/** What a list shows of a run beside its record. */
export interface RunOverview {
  runId: string;
  seed?: number;
  /** ISO 8601. */
  startedAt?: string;
  environment?: EnvironmentReport;
  student?: StudentReport;
  headline: HeadlineRow[];
  /** Artefacts, together. */
  filesBytes: number;
  /** Checkpoints, together; what they share counts once. */
  checkpointBytes: number;
  /** Phases whose adapters are stored: `instruct`, `control`, `self-refine`. */
  adapters: string[];
}

export interface CheckpointRow {
  sequence: number;
  phase?: PhaseName;
  step?: number;
  /** ISO 8601; absent in checkpoints of earlier versions. */
  savedAt?: string;
  sizeBytes: number;
}

/** All that a run's page shows; of an unfinished run, as far as its last checkpoint got. */
export interface RunDetails extends RunOverview {
  /** Which document this was read from. */
  from: 'report' | 'checkpoint' | 'nothing';
  /** With every default filled in. */
  experiment?: unknown;
  evaluations: EvaluationRow[];
  curves: MetricsRow[];
  pairs?: { counts: Record<string, number>; meanings?: Record<string, string> };
  kept?: NonNullable<RunReport['kept']>;
  timings: PhaseTiming[];
  log: RunReport['log'];
  files: StoredFile[];
  /** Newest first. */
  checkpoints: CheckpointRow[];
  /** What cannot be read, a line each. */
  problems: string[];
}

/** What the stored files give by themselves. */
export type PlainExport =
  /** All files in one zip, laid out as a folder of the command line's `run --out`. */
  | { kind: 'everything'; /** With the newest checkpoint, so that `--resume` goes on from it. */ checkpoint?: boolean }
  /** One artefact as it is. */
  | { kind: 'file'; path: string }
  /** JSON lines as CSV, or `results.csv`: the accuracies of all systems. */
  | { kind: 'csv'; path: string }
  /** The experiment file, as the command line and the page read it. */
  | { kind: 'experiment' }
  /** PEFT's files of one phase, zipped. */
  | { kind: 'adapter'; phase: string };

/** One phase's adapter with its student's weights: merged safetensors (zipped), GGUF, or the adapter alone as GGUF. */
export interface MergedExport {
  kind: 'merged' | 'gguf' | 'gguf-adapter';
  phase: string;
  /** The run's, and where its student is. */
  experiment: unknown;
  files: FileRoot;
}

export type RunExport = PlainExport | MergedExport;

export interface ExportRunRequest {
  runId: string;
  what: RunExport;
}

export interface ExportedFile {
  fileName: string;
  blob: Blob;
  /** What a person should know of it, a sentence each. */
  notes: string[];
}

export interface ImportRunRequest {
  /** What was picked or dropped, in words. */
  from: string;
  /** One zip; or files by their paths: a folder, or a report.json alone. */
  source: { kind: 'zip'; blob: Blob } | { kind: 'files'; files: Record<string, Blob> };
  /** What to do where a run of that id is here: say so, or take it in under another id. */
  existing: 'ask' | 'copy';
}

export type ImportOutcome =
  | {
      state: 'imported';
      runId: string;
      name: string;
      /** How many files were not taken, since no run has such. */
      leftOut: number;
      notes: string[];
    }
  /** Nothing was stored. `same`: the run here has the same report, to the byte. */
  | { state: 'exists'; runId: string; name: string; same: boolean };

/** Part of SessionApi. None of it needs a GPU but the merging of `exportRun`. */
export interface RunFilesApi {
  /** Of all stored runs; those whose files did not change are not read again. */
  runOverviews(): Promise<RunOverview[]>;
  runDetails(runId: string): Promise<RunDetails>;
  /** What a person calls it; '' for its own name again. Its files stay as they are. */
  renameRun(runId: string, label: string): Promise<void>;
  /** The bytes that became free. The run's files stay; it cannot be resumed afterwards. */
  deleteCheckpoints(runId: string): Promise<number>;
  exportRun(request: ExportRunRequest, onProgress: (progress: Progress) => void): Promise<ExportedFile>;
  /** All of the run or nothing of it. Throws `format` or `data` for what is no run, or a hostile one. */
  importRun(request: ImportRunRequest, onProgress: (progress: Progress) => void): Promise<ImportOutcome>;
}
