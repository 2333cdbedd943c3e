// paperReport.ts: what `pupil report` builds from runs that were found: the paper's tables and figures for each student, teachers
// and judge over all of them, what the paper itself prints, and what is missing. It draws nothing and reads nothing.
import { slug } from '../base/slug';
import type { Experiment } from '../config/experiment';
import { factsOf, type CollectedRun } from './cells';
import type { GridProgress } from './gridProgress';
import type { JudgedRun, JudgeRow } from './judgeRows';
import { paperResults, type Missing, type PaperResults } from './paperResults';
import { paperTeachers, type GridBlock, type PaperView, type TeacherRow } from './paperTables';
import {
  paperTableOf,
  publishedAccuracy,
  publishedQuality,
  publishedTeacher,
  publishedTeacherQuality,
} from './published';
import type { EnvironmentReport } from './types';

/** A finished run and where it was found. */
export interface GatheredRun extends CollectedRun {
  from: string;
}

/** A run that has no finished report. */
export interface PendingRun {
  from: string;
  name: string;
  seed?: number;
  state: 'failed' | 'stopped' | 'unfinished';
  /** How far it got; of a failed one, its error as well. */
  how: string;
}

/** All that was found in the folders. */
export interface Gathered {
  runs: GatheredRun[];
  judged: JudgedRun[];
  pending: PendingRun[];
  /** The same run found again; it counts once. */
  again: { from: string; as: string }[];
  /** Files that could not be used, with the reason. */
  left: { from: string; reason: string }[];
  grids: GridProgress[];
}

/** A row of the paper's layout with what the paper prints there; null where it prints nothing that matches. */
export interface PublishedRow {
  /** Indices into `results.grid`. */
  block: number;
  row: number;
  /** Per cent, by task. */
  values: (number | null)[];
}

export interface PaperSection {
  /** The last part of where the student lies; with its fingerprint where two have the same. */
  student: string;
  parameters: number;
  fingerprint: string;
  /** Of the paper, where it has one of such a student. */
  paperTable?: 1 | 10 | 11;
  results: PaperResults;
  published: PublishedRow[];
  /** Of its table, without an ending. */
  fileName: string;
}

/** Table 5's row with the paper's number. */
export interface TeacherLine extends TeacherRow {
  published?: number;
}

/** A row of Tables 13 and 14. */
export interface QualityLine extends JudgeRow {
  student: string;
  published?: number;
}

/** paper.json. */
export interface PaperReport {
  format: 'pupil-paper';
  version: 1;
  view: Partial<PaperView>;
  sections: PaperSection[];
  teachers: TeacherLine[];
  quality: { tasks: string[]; rows: QualityLine[] };
  runs: { runId: string; from: string; name: string; seed: number; student: string; finishedAt: string }[];
  /** The same experiment with the same seed as another, newer run: not counted. */
  repeated: { runId: string; newer: string }[];
  environments: EnvironmentReport[];
  missing: { teachers: string[]; judge: string[] };
  pending: PendingRun[];
  again: Gathered['again'];
  left: Gathered['left'];
  grids: GridProgress[];
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Benchmarks by the names of tasks, over all experiments of these runs. */
const benchmarksOf = (runs: readonly CollectedRun[]): Map<string, string> =>
  new Map(
    runs.flatMap(({ report }) => (report.experiment as Experiment).tasks.map(({ name, id }) => [name, id] as const)),
  );

/**
 * What the paper prints for a block: it must be of one benchmark, of teachers of the student's family (as in its tables), and of
 * all demonstrations; the untouched student's rows have none of that.
 */
function publishedRows(student: string, { grid }: PaperResults, runs: readonly CollectedRun[]): PublishedRow[] {
  const benchmarks = benchmarksOf(runs);
  const inFamily = (trainedOn: string): boolean =>
    runs.some(({ report }) =>
      report.experiment.demonstrations.some(({ task, family }) => task === trainedOn && family === 'in-family'),
    );
  const isPapers = ({ trainedOn, detail }: GridBlock): boolean =>
    trainedOn === '' || (benchmarks.has(trainedOn) && inFamily(trainedOn) && !/\b(?!100 %)\d+(\.\d+)? %/.test(detail));
  const found = grid.blocks.flatMap((block, b) =>
    !isPapers(block)
      ? []
      : block.rows.map((row, r): PublishedRow => {
          const trainedOn = block.trainedOn === '' ? undefined : benchmarks.get(block.trainedOn);
          const values = grid.tasks.map(
            (task) => publishedAccuracy(student, trainedOn, row.label, benchmarks.get(task) ?? '') ?? null,
          );
          return { block: b, row: r, values };
        }),
  );
  return found.filter(({ values }) => values.some((value) => value !== null));
}

function sectionsOf(gathered: Gathered, view: Partial<PaperView>): { sections: PaperSection[]; judged: QualityLine[] } {
  const fingerprints = unique(gathered.runs.map(({ report }) => report.student.fingerprint));
  const named = fingerprints.map((fingerprint) => {
    const runs = gathered.runs.filter(({ report }) => report.student.fingerprint === fingerprint);
    const { experiment, student } = runs[0]!.report;
    return { fingerprint, runs, parameters: student.parameters, name: factsOf(experiment, student.source).student };
  });
  // The paper's own students first, in the order of its tables.
  named.sort((a, b) => (paperTableOf(a.name) ?? Infinity) - (paperTableOf(b.name) ?? Infinity) || 0);
  const taken = new Set<string>();
  const free = (wanted: string): string => {
    let name = wanted;
    for (let n = 2; taken.has(name); n++) name = `${wanted}-${n}`;
    taken.add(name);
    return name;
  };
  const judged: QualityLine[] = [];
  const sections = named.map(({ fingerprint, runs, parameters, name }): PaperSection => {
    const isAlone = named.filter((one) => one.name === name).length === 1;
    const student = isAlone ? name : `${name} (${fingerprint.slice(0, 8)})`;
    const ids = new Set(runs.map(({ runId }) => runId));
    const results = paperResults(
      runs,
      gathered.judged.filter(({ runId }) => ids.has(runId)),
      view,
    );
    const families = unique(runs.flatMap(({ report }) => report.demonstrations.map(({ family }) => family)));
    const labels = new Set(runs.flatMap(({ report }) => report.demonstrations.map(({ label }) => label)));
    for (const row of results.judge.rows) {
      const ofTeacher = labels.has(row.system) ? publishedTeacherQuality(row.system) : undefined;
      const published =
        ofTeacher ?? publishedQuality(name, row.system, families.length === 1 ? families[0] : undefined);
      judged.push({ ...row, student, ...(published === undefined ? {} : { published }) });
    }
    const paperTable = paperTableOf(name);
    return {
      student,
      parameters,
      fingerprint,
      ...(paperTable === undefined ? {} : { paperTable }),
      results,
      published: publishedRows(name, results, runs),
      fileName: free(`table-${paperTable ?? 1}-${slug(student)}`),
    };
  });
  return { sections, judged };
}

/**
 * All of it, a section for every student. Deterministic in its arguments.
 *
 * @param view which prompt and scorer the tables go by, as far as the runs have them.
 */
export function paperReport(gathered: Gathered, view: Partial<PaperView> = {}): PaperReport {
  const { runs } = gathered;
  const { sections, judged } = sectionsOf(gathered, view);
  const benchmarks = benchmarksOf(runs);
  const repeated = sections.flatMap(({ results }) => results.repeated);
  const left = new Set(repeated.map(({ runId }) => runId));
  const counting = runs.filter(({ runId }) => !left.has(runId));
  const missing = (of: keyof Missing): string[] => unique(sections.flatMap(({ results }) => results.missing[of]));
  const nameOf = new Map(sections.map(({ fingerprint, student }) => [fingerprint, student]));
  const environments = new Map(
    sections.flatMap(({ results }) =>
      results.series.environments.map(({ userAgent: _userAgent, ...same }, i) => [
        JSON.stringify(same),
        results.series.environments[i]!,
      ]),
    ),
  );
  return {
    format: 'pupil-paper',
    version: 1,
    view,
    sections,
    teachers: paperTeachers(counting).map((row) => {
      const published = publishedTeacher(row.label, benchmarks.get(row.taskId) ?? '');
      return { ...row, ...(published === undefined ? {} : { published }) };
    }),
    quality: { tasks: unique(sections.flatMap(({ results }) => results.judge.tasks)), rows: judged },
    runs: counting.map(({ runId, from, report }) => ({
      runId,
      from,
      name: report.name,
      seed: report.experiment.seed,
      student: nameOf.get(report.student.fingerprint)!,
      finishedAt: report.finishedAt,
    })),
    repeated,
    environments: [...environments.values()],
    missing: { teachers: missing('teachers'), judge: judged.length === 0 ? missing('judge') : [] },
    pending: gathered.pending,
    again: gathered.again,
    left: gathered.left,
    grids: gathered.grids,
  };
}
