// paperResults.ts: the paper's tables and figures for runs that there are, in one object: its layouts, which of its orderings
// held, and what is missing and why. It draws nothing; a page and a report draw the same.
import { matchesOneAnswer } from '../config/scorerNames';
import { collectRuns, percentText, taskNames, type CollectedRun, type Collection } from './cells';
import { judgeRows, type JudgedRun, type JudgeRow } from './judgeRows';
import { orderings, type Ordering } from './orderings';
import {
  PAPER_SHARES,
  paperFamilies,
  paperGrid,
  paperSplits,
  paperTeachers,
  scorersOf,
  SPLIT_LINES,
  tasksOf,
  type FamilyFigure,
  type PaperGrid,
  type PaperView,
  type SplitFigure,
  type TeacherRow,
} from './paperTables';
import type { SeriesReport } from './series';
import type { PromptKind } from './types';

/** What each part lacks, a sentence each. */
export interface Missing {
  all: string[];
  grid: string[];
  splits: string[];
  families: string[];
  additional: string[];
  teachers: string[];
  judge: string[];
}

export interface PaperResults {
  view: PaperView;
  /** What the view may be: the prompts and scorers that these runs have. */
  prompts: PromptKind[];
  scorers: string[];
  grid: PaperGrid;
  splits: SplitFigure[];
  families: FamilyFigure[];
  teachers: TeacherRow[];
  judge: { tasks: string[]; rows: JudgeRow[] };
  orderings: Ordering[];
  missing: Missing;
  /** Every number, with all prompts and scorers, intervals, and every seed. */
  series: SeriesReport;
  repeated: Collection['repeated'];
}

/** The view that is wanted, as far as these runs have it. */
function viewOf(
  collection: Collection,
  wanted: Partial<PaperView>,
): { view: PaperView; prompts: PromptKind[]; scorers: string[] } {
  const { results } = collection.report;
  const prompts = (['cot', 'plain'] as const).filter((prompt) => results.some((result) => result.prompt === prompt));
  const scorers = scorersOf(collection);
  const prompt = prompts.find((one) => one === wanted.prompt) ?? prompts[0] ?? 'cot';
  const scorer = scorers.find((one) => one === wanted.scorer) ?? scorers[0] ?? 'strict';
  return { view: { prompt, scorer }, prompts, scorers };
}

/**
 * All of it. Deterministic in its arguments.
 *
 * @param runs finished runs; of runs with the same experiment and seed the newest counts.
 * @param judged what judges said of them.
 */
export function paperResults(
  runs: readonly CollectedRun[],
  judged: readonly JudgedRun[] = [],
  wanted: Partial<PaperView> = {},
): PaperResults {
  const collection = collectRuns(runs, wanted.prompt);
  return layPaper(collection, runs, judged, wanted);
}

/** The same of runs that are a series already. */
export function layPaper(
  collection: Collection,
  runs: readonly CollectedRun[],
  judged: readonly JudgedRun[],
  wanted: Partial<PaperView>,
): PaperResults {
  const { view, prompts, scorers } = viewOf(collection, wanted);
  const repeated = new Set(collection.repeated.map(({ runId }) => runId));
  const counting = runs.filter(({ runId }) => !repeated.has(runId));
  const parts = {
    grid: paperGrid(collection, view),
    splits: paperSplits(collection, view),
    families: paperFamilies(collection, view, counting),
    teachers: paperTeachers(counting),
    judge: judgeRows(collection, judged),
  };
  return {
    view,
    prompts,
    scorers,
    ...parts,
    orderings: orderings(collection, view),
    missing: missingOf(collection, view, parts),
    series: collection.report,
    repeated: collection.repeated,
  };
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

function missingOf(
  collection: Collection,
  view: PaperView,
  { splits, families, judge }: Pick<PaperResults, 'splits' | 'families' | 'judge'>,
): Missing {
  const { facts, report } = collection;
  const tasks = tasksOf(collection);
  const trained = new Set(facts.flatMap(({ trainedOn }) => trainedOn));
  const cross = facts.filter((own) => own.way === 'both' && taskNames(own.trainedOn) !== taskNames(own.refinedOn));
  const untrained = tasks.filter((task) => !trained.has(task));
  const oneSeed = report.cells.filter((_, cell) => report.runs.filter((run) => run.cell === cell).length === 1).length;
  const shares = [
    ...new Set(facts.flatMap(({ share, way }) => (way === 'none' || share === undefined ? [] : [share]))),
  ];
  const main = families.filter(({ additional }) => !additional);
  return {
    all: [
      ...(oneSeed > 0
        ? [
            `${oneSeed === report.cells.length ? 'Each experiment was' : `${oneSeed} of ${report.cells.length} experiments were`} run with one seed: nothing is known of the spread over seeds there.`,
          ]
        : []),
      ...(report.environments.length > 1
        ? [`The runs were made on ${report.environments.length} different devices or versions.`]
        : []),
      ...(matchesOneAnswer(view.scorer)
        ? []
        : ['Orderings are of generated answers only; this is another way of scoring.']),
    ],
    grid: [
      ...(untrained.length > 0 ? [`No run was instructed on ${list(untrained)}.`] : []),
      ...(cross.length === 0
        ? ['No run was instructed on one task and refined on another: there is no row Cross Self-refine.']
        : []),
    ],
    splits:
      splits.length === 0
        ? [
            shares.length === 0
              ? 'No run was trained on demonstrations.'
              : shares.length > 1
                ? `There are runs with ${list(shares.map(percentText))} of the demonstrations, but no two of one experiment that were tested with this prompt and scorer.`
                : `All runs have the same share of the demonstrations (${shares.map(percentText).join(', ')}): Figure 4 needs the same experiment with another share.`,
          ]
        : splits
            .filter(({ place }) => place === 'trained')
            .flatMap(({ trainedOn, detail, lines }) =>
              SPLIT_LINES.flatMap((name) => {
                const points = lines.find((line) => line.name === name)?.points ?? [];
                const what = `${name.toLowerCase()}, ${[trainedOn, detail].filter((text) => text !== '').join(', ')}`;
                if (points.length === 0) return [`No run of ${what}.`];
                const absent = PAPER_SHARES.filter(
                  (share) => !points.some((point) => Math.abs(point.share - share) < 1e-9),
                );
                return absent.length === 0
                  ? []
                  : [`No run with ${list(absent.map(percentText))} of the demonstrations (${what}).`];
              }),
            ),
    families: (['in-family', 'out-family'] as const)
      .filter((family) => !main.some((figure) => figure.family === family))
      .map((family) => `No run with an ${family} teacher alone, trained and tested on one task.`),
    additional: families.some(({ additional }) => additional) ? [] : ['No run was trained on MATH or MMLU.'],
    teachers: [
      'A run knows its teachers’ answers to training questions with the CoT prompt: the paper’s columns for the plain prompt and for test questions are not there.',
    ],
    judge: judge.rows.length === 0 ? ['No judge has been asked about these runs.'] : [],
  };
}
