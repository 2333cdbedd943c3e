// apiProtocol.ts: what is said to a session about models behind an API: a teacher's demonstrations, a judge's ratings. Types
// only, part of protocol.ts, which hands them on.
import type { ColumnMapping, TaskId } from '../config/experiment';
import type { PromptKind } from '../report/types';
import type { FileRoot } from '../sources/fileRoot';
import type { ChosenMapping } from '../tasks/custom';
import type { BudgetLimits, Prices } from '../teachers/apiBudget';
import type { LessonEstimate } from '../teachers/apiPlan';
import type { LessonProgress, LessonResult } from '../teachers/apiTeacher';
import type { Quality, Rating, Unparsable } from '../teachers/judge';

export type { Quality } from '../teachers/judge';

/** A model behind an API, how it is asked, and what it may cost. */
export interface ApiSettings {
  /** Of config/apiProviders.ts; of a teacher, `browser` as well (config/browserProvider.ts). */
  provider: string;
  /** In place of the provider's own; needed for `other`. */
  baseUrl?: string;
  model: string;
  /** Held in memory as long as the call lasts, and written nowhere. */
  key?: string;
  system?: string;
  /** Absent: the server's own. */
  temperature?: number;
  topP?: number;
  /** Of an answer. */
  maxTokens: number;
  /** The model's name in tables and files; absent: as the server calls it. */
  label?: string;
  /** Most requests at once. */
  concurrency?: number;
  /** Until an answer must be there whole. */
  timeoutSeconds?: number;
  /** In any currency, per million tokens. */
  prices?: Prices;
  /** Over all sittings; `cost` needs prices. */
  budget?: BudgetLimits;
  /** Ask again about what failed for a reason that lasts (a content filter, an answer cut off). */
  retryFailed?: boolean;
}

/**
 * `pupil teach`: a teacher behind an API answers a task's items: all of a benchmark's files, or the training part of a task
 * of an experiment. One of the two is named.
 */
export interface TeachRequest extends ApiSettings {
  task?: TaskId;
  /** Within `files`; paths of the lesson's generated files (`lesson:kinds/train?count=40`) as well. */
  paths?: string[];
  /** The experiment's document, and the name of the task in it. */
  trainingOf?: { experiment: unknown; task: string };
  files: FileRoot;
  /** Where the columns are, for a task of one's own; absent: guessed. */
  mapping?: ColumnMapping;
  /** Answers to each item. */
  samples: number;
  /** The first so many items. */
  limit?: number;
  family: 'in-family' | 'out-family';
  /** Where the demonstrations go as JSON lines, in the form that an experiment reads as `jsonl`. */
  out?: { root: FileRoot; path: string };
}

export type TeachEvent =
  | ({ type: 'teach-progress' } & LessonProgress)
  | { type: 'state'; state: 'running' | 'paused' }
  | { type: 'log'; level: 'info' | 'warning'; message: string };

export interface TeachEstimate extends LessonEstimate {
  model: string;
  baseUrl: string;
  warnings: string[];
  /** Of a task of one's own: which columns are read, and in words how they were guessed where nobody named them. */
  columns?: ChosenMapping;
}

/** How asking ended. Numbers are of all sittings unless they say otherwise. */
export interface ApiSummary extends Pick<
  LessonResult,
  'failures' | 'notAsked' | 'answered' | 'fromCache' | 'spent' | 'lost' | 'cost' | 'counted' | 'models'
> {
  /** `finished`: everything is answered or has failed. With any other, starting again goes on. */
  reason: LessonResult['end']['reason'];
  /** Why it ended before, and what to do. */
  message?: string;
  advice?: string;
  label: string;
  model: string;
  seconds: number;
}

/** How teaching ended, and everything that there is. */
export interface TeachSummary
  extends ApiSummary, Pick<LessonResult, 'demonstrations' | 'correct' | 'accuracy' | 'interval'> {}

/** `pupil judge`: a model behind an API rates answers of students from 1 to 3. */
export interface JudgeRequest extends ApiSettings {
  /** Files of predictions within `files` (a run's predictions.jsonl), and what each run is called in tables. */
  predictions: { run: string; path: string }[];
  files: FileRoot;
  /**
   * Rows of the table, by their names there. Absent: all, but of tuned students asked with both prompts the CoT prompt only,
   * as in Table 14.
   */
  systems?: string[];
  /** Absent: all. */
  tasks?: string[];
  /** So many questions of each task, the same for every system that answered them; absent: all. */
  limit?: number;
  /** Of the choice of questions. */
  seed: number;
  /** Rate the targets as well, as in Table 13. */
  targets?: boolean;
  /** Where the ratings go as JSON lines, and the table as JSON. */
  out?: { root: FileRoot; ratings: string; table: string };
}

/** A line of ratings.jsonl: one of `rating`, `unparsable` and `missing` is there. */
export interface JudgedRating {
  run: string;
  /** As the table's rows are called. */
  system: string;
  /** Absent for a target. */
  prompt?: PromptKind;
  taskId: string;
  itemId: string;
  target: string;
  answer: string;
  judge: string;
  rating?: Rating;
  unparsable?: Unparsable;
  /** Why there is no reply; `not asked` where the end came before. */
  missing?: string;
  /** The judge's whole text. */
  reply?: string;
}

/** judge.json: average ratings as in Tables 13 and 14. */
export interface JudgeTable {
  format: 'pupil-judge';
  version: 1;
  /** The judge's name, what it was asked for, and what it called itself. */
  judge: string;
  model: string;
  models: string[];
  predictions: { run: string; path: string }[];
  limit?: number;
  seed: number;
  tasks: string[];
  /** A row each system of each run; `tasks` has the tasks that it answered. */
  rows: { run: string; system: string; tasks: Record<string, Quality>; all: Quality }[];
}

export interface JudgeSummary extends ApiSummary {
  table: JudgeTable;
  ratings: JudgedRating[];
}
