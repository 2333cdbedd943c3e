// results.ts: stored runs read for their tables, for comparisons, and for a judge. What is in the tables is report/, how a judge
// is asked judge.ts; here is only where the bytes come from, and what to say where they are no use.
import { PupilError } from '../base/errors';
import { comparePaired, type PairedResult } from '../report/paired';
import { paperResults } from '../report/paperResults';
import type { CollectedRun } from '../report/cells';
import type { JudgedRun } from '../report/judgeRows';
import type { RunReport } from '../report/types';
import { expectRunId, type RunStore } from '../storage/runStore';
import { answersOf, PREDICTIONS } from './answerLines';
import type { ApiWorkOptions } from './apiWork';
import { estimateJudging, judgeForRequest } from './judge';
import { jsonLines } from './jsonLines';
import type {
  ComparedSide,
  JudgeRequest,
  JudgeRunsRequest,
  JudgeSummary,
  JudgeTable,
  PaperAnswer,
  PaperRequest,
  TeachEstimate,
} from './protocol';

const REPORT = 'report.json';
const DEMONSTRATIONS = 'demonstrations.jsonl';
const RATINGS = 'ratings.jsonl';
const JUDGE = 'judge.json';
/** Runs whose verdicts are kept read; a table asks for the same ones again and again. */
const KEPT_RUNS = 64;

const decoder = new TextDecoder();

/** A run as read, and until when that holds. */
interface Read {
  updatedAt: string;
  run: CollectedRun;
}

export class StoredResults {
  private readonly read = new Map<string, Read>();

  constructor(private readonly store: RunStore) {}

  /** @throws PupilError `usage` for ids that are none; what cannot be read is told in `left`. */
  async paper(request: PaperRequest): Promise<PaperAnswer> {
    const records = new Map((await this.store.listRuns()).map((record) => [record.runId, record]));
    const all = request.runs.length === 0;
    const wanted = all
      ? [...records.values()]
          .filter(({ state }) => state === 'finished')
          .map(({ runId }) => runId)
          .reverse()
      : request.runs;
    const left: PaperAnswer['left'] = [];
    const runs: CollectedRun[] = [];
    const judged: JudgedRun[] = [];
    for (const runId of new Set(wanted.map(expectRunId))) {
      const record = records.get(runId);
      try {
        if (record === undefined) throw new PupilError('storage', 'this browser does not have it');
        runs.push(await this.runOf(runId, record.updatedAt));
        judged.push(...(await this.judgedOf(runId)));
      } catch (error) {
        left.push({ runId, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    const results = paperResults(runs, judged, {
      ...(request.prompt === undefined ? {} : { prompt: request.prompt }),
      ...(request.scorer === undefined ? {} : { scorer: request.scorer }),
    });
    const { series } = results;
    return {
      ...results,
      left,
      runs: runs.map(({ runId, report }) => {
        const placed = series.runs.find(({ id }) => id === runId);
        return {
          runId,
          name: report.name,
          seed: report.experiment.seed,
          label: placed === undefined ? '' : series.cells[placed.cell]!.labels.join(', '),
          rows: report.evaluations
            .filter(({ n }) => n > 0)
            .map(({ system, taskId, prompt, scorer }) => ({ system, taskId, prompt, scorer })),
        };
      }),
    };
  }

  /** @throws PupilError `storage` and `format` for the runs, `usage` and `data` as report/paired.ts. */
  async compare(first: ComparedSide, second: ComparedSide): Promise<PairedResult> {
    const records = new Map((await this.store.listRuns()).map((record) => [record.runId, record]));
    const sideOf = async ({ runId, ...row }: ComparedSide) => {
      const record = records.get(expectRunId(runId));
      if (record === undefined) {
        throw new PupilError('storage', `compare: expected the run ${runId}, this browser does not have it`);
      }
      return { row, answers: (await this.runOf(runId, record.updatedAt)).answers };
    };
    return comparePaired(await sideOf(first), await sideOf(second));
  }

  async estimateJudging(request: JudgeRunsRequest, answers: ApiWorkOptions['answers']): Promise<TeachEstimate> {
    return estimateJudging(await this.judgeRequest(request), answers);
  }

  /** Asks, and stores what came with each run that has a reply; nothing is replaced by nothing. */
  async judge(request: JudgeRunsRequest, options: ApiWorkOptions): Promise<JudgeSummary> {
    const full = await this.judgeRequest(request);
    const summary = await judgeForRequest(full, options);
    for (const runId of request.runs) {
      const isOwn = ({ run }: { run: string }): boolean => run === runId || run === teachersOf(runId);
      const ratings = summary.ratings.filter(isOwn);
      if (!ratings.some(({ reply }) => reply !== undefined)) continue;
      const table: JudgeTable = {
        ...summary.table,
        predictions: summary.table.predictions.filter(isOwn),
        rows: summary.table.rows.filter(isOwn),
      };
      await this.store.saveArtefact(runId, RATINGS, jsonLines(ratings));
      const text = `${JSON.stringify(table, null, 2)}\n`;
      await this.store.saveArtefact(runId, JUDGE, new TextEncoder().encode(text));
    }
    return summary;
  }

  /** The request as judge.ts has it, the stored answers as its files. */
  private async judgeRequest({ runs, teachers = false, ...settings }: JudgeRunsRequest): Promise<JudgeRequest> {
    if (runs.length === 0) throw new PupilError('usage', 'judge: expected at least one run, got none');
    const files: Record<string, Uint8Array> = {};
    const predictions: JudgeRequest['predictions'] = [];
    const add = async (runId: string, run: string, path: string): Promise<void> => {
      const bytes = await this.store.loadArtefact(runId, path);
      if (bytes === undefined || bytes.byteLength === 0) {
        throw new PupilError(
          'storage',
          `judge: expected ${path} of the run ${runId}, it has none`,
          'Choose another run.',
        );
      }
      files[`${runId}/${path}`] = bytes;
      predictions.push({ run, path: `${runId}/${path}` });
    };
    for (const runId of runs.map(expectRunId)) {
      await add(runId, runId, PREDICTIONS);
      if (teachers) await add(runId, teachersOf(runId), DEMONSTRATIONS);
    }
    return { ...settings, predictions, files: { kind: 'memory', files } };
  }

  private async runOf(runId: string, updatedAt: string): Promise<CollectedRun> {
    const known = this.read.get(runId);
    if (known?.updatedAt === updatedAt) return known.run;
    const report = reportOf(await this.text(runId, REPORT));
    if (report.state !== 'finished') throw new PupilError('data', `it is not finished (${report.state})`);
    const run = { runId, report, answers: answersOf(await this.text(runId, PREDICTIONS)) };
    this.read.delete(runId);
    this.read.set(runId, { updatedAt, run });
    const [oldest] = this.read.keys();
    if (this.read.size > KEPT_RUNS && oldest !== undefined) this.read.delete(oldest);
    return run;
  }

  private async judgedOf(runId: string): Promise<JudgedRun[]> {
    const bytes = await this.store.loadArtefact(runId, JUDGE);
    if (bytes === undefined) return [];
    const table = JSON.parse(decoder.decode(bytes)) as JudgeTable;
    if (table.format !== 'pupil-judge' || !Array.isArray(table.rows)) return [];
    return [{ runId, judge: table.judge, rows: table.rows }];
  }

  private async text(runId: string, path: string): Promise<string> {
    const bytes = await this.store.loadArtefact(runId, path);
    if (bytes === undefined) throw new PupilError('storage', `it has no ${path}: it did not get to its end`);
    return decoder.decode(bytes);
  }
}

/** What the teachers of a run are called where its students are called by its id. */
const teachersOf = (runId: string): string => `${runId} (teachers)`;

/** @throws PupilError `format` for anything that is no report of this version. */
function reportOf(text: string): RunReport {
  let value: Partial<RunReport> | null;
  try {
    value = JSON.parse(text) as Partial<RunReport> | null;
  } catch {
    throw new PupilError('format', `its ${REPORT} is damaged`);
  }
  const { format, version, evaluations, comparisons, demonstrations, tasks, timings } = value ?? {};
  const lists = [evaluations, comparisons, demonstrations, tasks, timings];
  if (
    format !== 'pupil-report' ||
    version !== 1 ||
    !lists.every(Array.isArray) ||
    value?.experiment?.phases === undefined
  ) {
    throw new PupilError('format', `its ${REPORT} is none of this version of Pupil`);
  }
  return value as RunReport;
}
