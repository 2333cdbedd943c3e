// resultsProtocol.ts: what is said to a session about what stored runs came to: the paper's tables, two systems compared question
// by question, a judge asked about stored answers. Types only, part of protocol.ts, which hands them on.
import type { Row } from '../report/answers';
import type { PairedResult } from '../report/paired';
import type { PaperResults } from '../report/paperResults';
import type { PromptKind } from '../report/types';
import type { JudgeRequest, JudgeSummary, TeachEstimate, TeachEvent } from './apiProtocol';

export type { PairedResult } from '../report/paired';
export type { Missing, PaperResults } from '../report/paperResults';
export type { JudgeCell, JudgeRow } from '../report/judgeRows';
export type { Ordering, OrderingCase } from '../report/orderings';
export type {
  FamilyBar,
  FamilyFigure,
  GridBlock,
  GridCell,
  GridRow,
  PaperGrid,
  Place,
  SplitFigure,
  TeacherRow,
} from '../report/paperTables';
export type { SeriesResult } from '../report/series';

export interface PaperRequest {
  /** Ids of stored runs; empty: all that are finished. */
  runs: string[];
  /** Of trained students, and which row of it; absent, or where these runs have none: CoT, and the experiment's scorer. */
  prompt?: PromptKind;
  scorer?: string;
}

/** A run that the tables count, and what can be compared of it. */
export interface PaperRun {
  runId: string;
  name: string;
  seed: number;
  /** What tells its experiment from the others; '' where there is one. */
  label: string;
  /** What it has answers of. */
  rows: Row[];
}

export interface PaperAnswer extends PaperResults {
  runs: PaperRun[];
  /** Asked for and not counted, with the reason. */
  left: { runId: string; reason: string }[];
}

/** One side of a comparison. */
export interface ComparedSide extends Row {
  runId: string;
}

/** A judge is asked about answers of stored runs; where the answers are is known. */
export interface JudgeRunsRequest extends Omit<JudgeRequest, 'predictions' | 'files' | 'out'> {
  runs: string[];
  /** The teachers' demonstrations as well, as in Table 13. */
  teachers?: boolean;
}

export interface ResultsApi {
  /** Reads reports and predictions; no GPU, also while a run goes on. */
  paperResults(request: PaperRequest): Promise<PaperAnswer>;
  /** McNemar's exact test and the difference with its interval, on the questions that both answered. */
  comparePaired(first: ComparedSide, second: ComparedSide): Promise<PairedResult>;
  /** Sends nothing. */
  estimateJudgingRuns(request: JudgeRunsRequest): Promise<TeachEstimate>;
  /** As `judge`; ratings and table are stored with each run as `ratings.jsonl` and `judge.json`. */
  judgeRuns(request: JudgeRunsRequest, onEvent: (event: TeachEvent) => void): Promise<JudgeSummary>;
}
