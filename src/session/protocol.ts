// protocol.ts: what a page, a worker and the command line say to a session. Types only; everything here survives
// structured cloning, except the callbacks, which Comlink proxies.
import type { Progress } from '../base/progress';
import type { PlainError } from '../base/errors';
import type { EvaluationRow, PhaseName, SystemName } from '../report/types';
import type { FileRoot } from '../sources/fileRoot';
import type { StudentSourcesApi } from './studentSources';
import type { AnswerLocally } from '../teachers/localTeacher';
import type { JudgeRequest, JudgeSummary, TeachEstimate, TeachEvent, TeachRequest, TeachSummary } from './apiProtocol';
import type { DemonstrationEvent, PaceApi, PairEvent, SampledEvent } from './lessonProtocol';
import type { HistoryEvent, LiveApi, MemoryEvent, PlanEvent } from './liveProtocol';
import type { AskAnswer, AskRequest, ExampleQuestions } from './askProtocol';
import type { EngineApi } from './engineProtocol';
import type { ExportRequest, ExportSummary } from './exportProtocol';
import type { PairTokensApi } from './pairTokensProtocol';
import type { PlanApi } from './planProtocol';
import type {
  DemonstrationsPreview,
  DemonstrationsPreviewRequest,
  TaskPreview,
  TaskPreviewRequest,
} from './previewTypes';
import type { RunFilesApi } from './runFilesProtocol';
import type { ScoreApi } from './scoreProtocol';
import type { PretrainOutcome, PretrainRequest, PretrainStep } from './pretrainProtocol';
import type { ResultsApi } from './resultsProtocol';
import type { TalkApi } from './talkProtocol';
import type { CacheRequest, StudentApi } from './studentProtocol';

export type { EvaluationRow, PhaseName, PromptKind, SystemName } from '../report/types';
export type { DemonstrationEvent, PairEvent, SampledEvent } from './lessonProtocol';
export type { HistoryEvent, LiveApi, PlannedWork, RunHistory } from './liveProtocol';
export type {
  PairTokensEvent,
  PairTokensRequest,
  PairTokensSummary,
  ScoredPair,
  ScoredSequence,
  ScoredToken,
} from './pairTokensProtocol';
export type { PlannedStudent, PlanStudentRequest, Remedy, StudentSettings } from './planProtocol';
export type * from './askProtocol';
export type * from './engineProtocol';
export type * from './exportProtocol';
export type { PretrainOutcome, PretrainRequest, PretrainStep } from './pretrainProtocol';
export type { RejectedRow } from '../formats/rows';
export type {
  CheckpointRow,
  ExportedFile,
  ExportRunRequest,
  HeadlineRow,
  ImportOutcome,
  ImportRunRequest,
  RunDetails,
  RunExport,
  RunOverview,
} from './runFilesProtocol';
export type {
  DemonstrationsPreview,
  DemonstrationsPreviewRequest,
  PickedContents,
  PreviewedDemonstration,
  PreviewedItem,
  TaskPreview,
  TaskPreviewRequest,
} from './previewTypes';
export type { ScoreTextRequest, TextVerdict } from './scoreProtocol';
export type { CachedStudent, CacheUse, VerifiedStudent } from './studentProtocol';
export type { FileRoot } from '../sources/fileRoot';
export type { HubSettings } from './studentSources';
export type { ItemFailure } from '../teachers/apiTeacher';
export type { AnswerLocally } from '../teachers/localTeacher';
export type { Demonstration } from '../teachers/demonstration';
export type { FormatGuess } from '../teachers/diskGuess';
export type {
  ApiSettings,
  JudgedRating,
  JudgeRequest,
  JudgeSummary,
  JudgeTable,
  Quality,
  TeachEstimate,
  TeachEvent,
  TeachRequest,
  TeachSummary,
} from './apiProtocol';
export type * from './resultsProtocol';
export type {
  ChatMessage,
  TalkAdapter,
  TalkAnswer,
  TalkEvent,
  TalkRequest,
  TalkStudent,
  TalkStudentRequest,
  TalkToken,
} from './talkProtocol';
export type {
  LoadedTeacherModel,
  TeacherAnswer,
  TeacherAnswerRequest,
  TeacherModelApi,
  TeacherModelProgress,
  TeacherModelRequest,
} from '../teachers/browserModel';

export interface RunRequest extends CacheRequest {
  /** Names the run in storage. The same id with `resume` continues from its last checkpoint. */
  runId: string;
  /** The experiment document as parsed JSON; the session validates it. */
  experiment: unknown;
  /** Where the experiment's paths are resolved. */
  files: FileRoot;
  /** Where artefacts and mirrored checkpoints go; kept in storage only when absent. */
  out?: FileRoot;
  resume?: boolean;
  /** Ends in order (state `stopped`) after this phase, with a checkpoint; the rest is a later sitting's. */
  until?: PhaseName;
  /**
   * A folder in which runs share what their phases computed, each result under the SHA-256 of all that it follows from: what is
   * there is not computed again, and a run that takes it gives the same bits as one that does not.
   */
  shared?: FileRoot;
  /** Resume although adapter, tier or student differ from the run's beginning; its numbers are then no longer exact. */
  force?: boolean;
}

export type SessionEvent =
  | HistoryEvent
  | PlanEvent
  | MemoryEvent
  | DemonstrationEvent
  | SampledEvent
  | PairEvent
  | { type: 'phase'; phase: PhaseName; state: 'start' | 'end' }
  | { type: 'progress'; progress: Progress }
  /** TRL's names: loss, grad_norm, learning_rate, rewards/chosen, … plus tokens_per_second and gpu_bytes. */
  | { type: 'metrics'; phase: PhaseName; step: number; totalSteps: number; values: Record<string, number> }
  | {
      type: 'sample';
      system: SystemName;
      taskId: string;
      prompt: string;
      text: string;
      target: string;
      correct: boolean;
    }
  | { type: 'pairs'; counts: Record<string, number> }
  | { type: 'evaluation'; row: EvaluationRow }
  | { type: 'checkpoint'; phase: PhaseName; step: number; sizeBytes: number }
  | { type: 'state'; state: RunState }
  | { type: 'log'; level: 'info' | 'warning'; message: string };

export type RunState = 'idle' | 'running' | 'paused' | 'finished' | 'failed' | 'stopped';

export interface RunSummary {
  runId: string;
  state: RunState;
  /** The same document as report.json. */
  report: unknown;
  /** Artefact paths written to `out`, or kept in storage. */
  artefacts: string[];
  error?: PlainError;
}

export interface DoctorReport {
  adapter: Record<string, unknown>;
  tier: string;
  tiers: string[];
  software: boolean;
  /** Absent where no device is open. */
  variants?: VariantsReport;
  storage: { quotaBytes?: number; usageBytes?: number; persisted?: boolean };
  crossOriginIsolated: boolean;
  userAgent: string;
  pupilVersion: string;
  problems: { problem: string; remedy: string }[];
}

/** What the session computes with. */
export interface VariantsReport {
  /** Measured when the device was opened, remembered from an earlier time, or the default, which is not measured. */
  source: 'measured' | 'remembered' | 'default';
  /** More of that, in words. */
  reason: string;
  /** The variant of each class of products. */
  choice: Readonly<Record<string, string>>;
  /** Milliseconds by class, then by variant; empty where nothing was measured. */
  milliseconds: Record<string, Record<string, number>>;
  /** What tier `auto` means here, and why. */
  autoTier: { tier: string; reason: string };
  /** Multiply-adds of one dispatch at the most, as measured; absent where it was not. */
  multiplyAddsPerDispatch?: number;
}

export interface CheckResult {
  /** Of kernels that are checked together. */
  family: string;
  /** Cases of the family that the filter lets through. */
  familyCases: number;
  kernel: string;
  name: string;
  status: 'passed' | 'failed' | 'skipped';
  detail?: string;
}

export interface CheckSummary {
  passed: number;
  failed: number;
  skipped: number;
  adapter: string;
}

/** `inspect` and the other one-shot verbs: named inputs and options in, named output files out. */
export type InspectKind = 'logits' | 'gradients' | 'dpo' | 'generate' | 'nf4';

export interface DeviceOptions {
  tier?: 'auto' | 'f32' | 'f16';
  requireHardware?: boolean;
  expectVendor?: string;
  /** Where the choice of kernel variants is remembered, in place of the session's own storage. */
  variantFiles?: FileRoot;
  /** Where students are cached, in place of the session's own storage. */
  studentFiles?: FileRoot;
  /** Measure the kernel variants, whatever is remembered; on a software adapter too. */
  measure?: boolean;
}

export interface InspectRequest extends CacheRequest {
  kind: InspectKind;
  files: FileRoot;
  out: FileRoot;
  /** Paths within `files` (student, adapter, …) and numbers, named as the command line's flags in camelCase. */
  options: Record<string, string | number | boolean | undefined>;
}

/** One session: one GPU device, at most one run at a time. */
export interface SessionApi
  extends
    EngineApi,
    LiveApi,
    PaceApi,
    PairTokensApi,
    PlanApi,
    ResultsApi,
    RunFilesApi,
    ScoreApi,
    StudentApi,
    StudentSourcesApi,
    TalkApi {
  open(options: DeviceOptions): Promise<void>;
  doctor(): Promise<DoctorReport>;
  /** Ended by {@link SessionApi.stop} with `cancelled`; a case that is being checked is finished first. */
  check(filter: string | undefined, onResult: (result: CheckResult) => void): Promise<CheckSummary>;
  /** Resolves when the run has finished, failed or been stopped. Rejects only for requests that cannot start. */
  run(request: RunRequest, onEvent: (event: SessionEvent) => void): Promise<RunSummary>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** While paused: one optimiser step (or one generated batch), then paused again. */
  step(): Promise<void>;
  /** Checkpoints and ends the run; it can be resumed later. */
  stop(): Promise<void>;
  inspect(request: InspectRequest): Promise<void>;
  evaluate(request: EvaluateRequest, onEvent: (event: SessionEvent) => void): Promise<EvaluationRow[]>;
  /** Ends with `cancelled` after {@link SessionApi.stop}, the checkpoint written. */
  pretrain(request: PretrainRequest, onStep: (step: PretrainStep) => void): Promise<PretrainOutcome>;
  /** Sends nothing. */
  estimateTeaching(request: TeachRequest): Promise<TeachEstimate>;
  /**
   * Resolves whatever the teacher does; rejects only for requests that cannot start. {@link SessionApi.pause} holds requests
   * back, {@link SessionApi.stop} ends it; the same request again goes on, since answers are kept by what was asked.
   */
  teach(
    request: TeachRequest,
    onEvent: (event: TeachEvent) => void,
    /** For the provider `browser` alone: the model that answers. */
    answer?: AnswerLocally,
  ): Promise<TeachSummary>;
  /** Sends nothing. */
  estimateJudging(request: JudgeRequest): Promise<TeachEstimate>;
  /** As {@link SessionApi.teach}: pause, stop and the same request again. */
  judge(request: JudgeRequest, onEvent: (event: TeachEvent) => void): Promise<JudgeSummary>;
  /** Keeps what it loaded until other work begins. */
  ask(request: AskRequest): Promise<AskAnswer>;
  /** Reads the student's tokenizer and the test questions; no weights, no GPU. */
  exampleQuestions(request: Pick<AskRequest, 'experiment' | 'files' | 'cache'>): Promise<ExampleQuestions>;
  /** What a run would read as a teacher's demonstrations of a task. No GPU, no student. */
  previewDemonstrations(request: DemonstrationsPreviewRequest): Promise<DemonstrationsPreview>;
  /** What a run would read as a task of one's own. No GPU, no student. */
  previewTask(request: TaskPreviewRequest): Promise<TaskPreview>;
  /** Keeps a file for experiments; its path is resolved whatever their other files are in. The name says the contents. */
  keepFile(fileName: string, bytes: Uint8Array): Promise<string>;
  keptFiles(): Promise<{ path: string; sizeBytes: number }[]>;
  keptFile(path: string): Promise<Uint8Array>;
  deleteKeptFile(path: string): Promise<void>;
  exportStudent(request: ExportRequest): Promise<ExportSummary>;
  listRuns(): Promise<StoredRun[]>;
  deleteRun(runId: string): Promise<void>;
  /** The paths of a stored run's artefacts; those of an unfinished one are there as far as it got. */
  listArtefacts(runId: string): Promise<string[]>;
  /** One artefact of a stored run. */
  artefact(runId: string, path: string): Promise<Uint8Array>;
}

export interface StoredRun {
  runId: string;
  name: string;
  state: RunState;
  phase: PhaseName;
  step: number;
  updatedAt: string;
  /** Of its last checkpoint; 0 where there is none any more. */
  sizeBytes: number;
  /** What a person calls it, in place of its name. */
  label?: string;
  /** Of a run that was made elsewhere: what it was read from, and when (ISO 8601). */
  imported?: { from: string; at: string };
}

/** `pupil eval`: one student (and adapter) on the tasks of an experiment document. */
export interface EvaluateRequest extends CacheRequest {
  experiment: unknown;
  files: FileRoot;
  out?: FileRoot;
  adapter?: string;
}
