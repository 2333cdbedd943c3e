// liveProtocol.ts: what a page is told of a run while it goes on, beside its results: the work that lies before it, what it
// holds on the GPU, and what was there before an interruption. Types only; SessionApi extends LiveApi.
import type { EvaluationRow, PhaseName } from '../report/types';
import type { DemonstrationEvent, PairEvent } from './lessonProtocol';

/**
 * Work of one kind within a phase, counted as its progress is. A count may be an upper bound (pairs that are still to be
 * made): the totals of progress correct it.
 */
export interface PlannedWork {
  phase: PhaseName;
  /** The unit of `progress`: steps, answers, pairs, questions. */
  unit: string;
  count: number;
  /** Tokens that go through forward and backward, over all of it. */
  trainedTokens: number;
  /** Tokens that go through forward only: prompts, scoring, and at most so many generated ones. */
  forwardTokens: number;
}

/** Once, when the data has been read: what the phases will do, in order. */
export interface PlanEvent {
  type: 'plan';
  work: PlannedWork[];
}

/** Whenever buffers were made or given back. */
export interface MemoryEvent {
  type: 'memory';
  totalBytes: number;
  peakBytes: number;
  /** By arena of the GPU's account: student, adapter, training, generation, …; the largest first. */
  parts: [string, number][];
}

/** Of a resumed run, once, when it goes on: what happened before its checkpoint. */
export interface HistoryEvent {
  type: 'history';
  finished: PhaseName[];
  metrics: { phase: PhaseName; step: number; totalSteps: number; values: Record<string, number> }[];
  evaluations: EvaluationRow[];
  pairs?: Record<string, number>;
  log: { level: 'info' | 'warning'; message: string }[];
}

/** A stored run as its newest intact checkpoint knows it. */
export interface RunHistory {
  /** As it was parsed when the run began: what a resume must be given again. */
  experiment: unknown;
  phase: PhaseName;
  step: number;
  history: HistoryEvent;
  /** Texts of the run, as a listener is told them. */
  shown: (DemonstrationEvent | PairEvent)[];
}

export interface LiveApi {
  /**
   * The run ends after the present phase, with a checkpoint, as after a stop: it can be resumed. `false`
   * takes that back until then. Asked for while a run loads, it ends after the first phase that computes something; before
   * the report there is nothing to stop.
   */
  stopAtPhaseEnd(on: boolean): Promise<void>;
  /** Without resuming it, and while other work goes on; undefined where it has no checkpoint. */
  runHistory(runId: string): Promise<RunHistory | undefined>;
}
