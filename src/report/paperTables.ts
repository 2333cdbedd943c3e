// paperTables.ts: the layouts of the paper's tables and figures (arXiv 2405.00402) for runs that there are: Table 1, 10 and 11
// (trained on × evaluated on), Figure 4 (share of the demonstrations), Figures 2, 3 and 5 (bars by the teacher's family),
// Table 5 (teachers). Every number is one that series.ts computed; nothing is drawn and nothing is said in words here.
import { mean, standardDeviation, wilsonInterval } from '../base/statistics';
import { matchesOneAnswer } from '../config/scorerNames';
import { isRepeated } from './baselines';
import { taskNames, type CellFacts, type CollectedRun, type Collection } from './cells';
import type { SeriesResult } from './series';
import type { PromptKind, SystemName } from './types';

/** Which numbers the tables show. */
export interface PaperView {
  /** Of trained students; the untouched one is shown with both. */
  prompt: PromptKind;
  scorer: string;
}

/** How a task that was tested stands to those that were trained on. */
export type Place = 'trained' | 'in-domain' | 'out-domain' | 'unknown';

export interface GridCell {
  result: SeriesResult;
  /** Absent for the untouched student. */
  place?: Place;
}

/** A row of Table 1; a cell for each task, null where no run has it. */
export interface GridRow {
  label: string;
  cells: (GridCell | null)[];
}

/** Rows of what was trained on the same demonstrations; the first block is the untouched student's. */
export interface GridBlock {
  trainedOn: string;
  /** What tells it from other blocks of the same tasks: share, teacher, student, settings. */
  detail: string;
  rows: GridRow[];
}

export interface PaperGrid {
  tasks: string[];
  blocks: GridBlock[];
}

/** Figure 4's three lines. */
export const SPLIT_LINES = ['Instruction-tuning only', 'Self-refine only', 'Both'] as const;
export const PAPER_SHARES = [0.25, 0.5, 0.75, 1];

export interface SplitFigure {
  trainedOn: string;
  detail: string;
  taskId: string;
  place: Place;
  /** Of the untouched student with the prompt that is shown. */
  baseline: SeriesResult | null;
  lines: { name: (typeof SPLIT_LINES)[number]; points: { share: number; result: SeriesResult }[] }[];
}

export interface FamilyBar {
  taskId: string;
  label: string;
  /** Of the demonstrations. */
  share?: number;
  result: SeriesResult;
}

/** Figure 2 (in-family), Figure 3 (out-family), or Figure 5 (the additional benchmarks). */
export interface FamilyFigure {
  family: 'in-family' | 'out-family';
  additional: boolean;
  teacher: string;
  student: string;
  /** Settings, where these tell figures apart. */
  detail: string;
  bars: FamilyBar[];
  /** Horizontal lines: the teachers' own accuracy on the training questions. */
  teachers: { taskId: string; accuracy: number }[];
}

/** Table 5: a teacher's own accuracy on the training questions that it answered. */
export interface TeacherRow {
  taskId: string;
  label: string;
  family: 'in-family' | 'out-family';
  runs: { seed: number; correct: number; n: number }[];
  mean: number;
  sd?: number;
  /** Wilson's, where all runs have the same questions; other seeds may draw other ones. */
  interval?: { low: number; high: number };
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const equal = (a: readonly string[], b: readonly string[]): boolean => JSON.stringify(a) === JSON.stringify(b);
/** Benchmarks of Figure 5. */
const ADDITIONAL: ReadonlySet<string> = new Set(['math', 'mmlu']);

/** Tasks in the order in which the runs name them. */
export const tasksOf = ({ facts }: Pick<Collection, 'facts'>): string[] =>
  unique(facts.flatMap(({ tasks }) => Object.keys(tasks)));

/** The scorers of single answers that the results have; the first is the one that tables go by. */
export const scorersOf = ({ report }: Pick<Collection, 'report'>): string[] => {
  const all = unique(report.results.map(({ scorer }) => scorer));
  return [...all.filter(matchesOneAnswer), ...all.filter((scorer) => !matchesOneAnswer(scorer))];
};

/** In-domain is answered in the same way (options, or a number), as the paper tells question answering from math. */
export function placeOf(facts: CellFacts, taskId: string, system: SystemName = 'Self-refined'): Place {
  const trained = unique([...facts.trainedOn, ...(system === 'Self-refined' ? facts.refinedOn : [])]);
  if (trained.includes(taskId)) return 'trained';
  const kinds = unique(trained.map((task) => facts.tasks[task]?.answers ?? 'unknown'));
  const own = facts.tasks[taskId]?.answers ?? 'unknown';
  if (own === 'unknown' || kinds.length !== 1 || kinds[0] === 'unknown') return 'unknown';
  return own === kinds[0] ? 'in-domain' : 'out-domain';
}

/** The results of one cell by task, of one system as the view shows it. */
function finder({ report }: Collection, view: PaperView) {
  return (cell: number, system: SystemName, taskId: string, prompt = view.prompt): SeriesResult | undefined =>
    report.results.find(
      (result) =>
        result.cell === cell &&
        result.system === system &&
        result.taskId === taskId &&
        result.prompt === prompt &&
        result.scorer === view.scorer &&
        result.runs.length > 0,
    );
}

/** What a cell has beside its tasks, in words, as far as cells differ in it. */
function detailOf({ facts, report }: Collection, cell: number, without: readonly string[] = []): string {
  const left = report.series.axes.flatMap(({ name }, a) =>
    name === 'trained on' ||
    name === 'way' ||
    without.includes(name) ||
    (name === 'settings' && facts[cell]!.other === '')
      ? []
      : [report.cells[cell]!.labels[a]!],
  );
  return left.join(' · ');
}

const isCross = ({ way, trainedOn, refinedOn }: CellFacts): boolean => way === 'both' && !equal(trainedOn, refinedOn);

/** Rows of the untouched student: plain and CoT, once where cells agree. */
function baselineBlock(collection: Collection, view: PaperView, tasks: readonly string[]): GridBlock {
  const { report } = collection;
  const own = report.results.filter(
    ({ system, scorer, runs }) => system === 'Baseline' && scorer === view.scorer && runs.length > 0,
  );
  const repeated = isRepeated(report, own, () => '');
  const rows = (['plain', 'cot'] as const).flatMap((prompt) => {
    const label = prompt === 'cot' ? 'Baseline CoT' : 'Baseline';
    const shown = own.filter((result) => result.prompt === prompt && !repeated(result));
    // Other questions, or another student: rows of their own, each with its cell's name.
    const taken: { cell?: number; byTask: Map<string, SeriesResult> }[] = [];
    for (const result of shown) {
      const free = taken.find(({ byTask }) => !byTask.has(result.taskId));
      if (free !== undefined && taken.length === 1) free.byTask.set(result.taskId, result);
      else {
        const same = taken.find(({ cell }) => cell === result.cell);
        if (same === undefined) taken.push({ cell: result.cell, byTask: new Map([[result.taskId, result]]) });
        else same.byTask.set(result.taskId, result);
      }
    }
    return taken.map(({ cell, byTask }, i) => ({
      label: i === 0 || cell === undefined ? label : `${label} (${report.cells[cell]!.labels.join(', ')})`,
      cells: tasks.map((task) => {
        const result = byTask.get(task);
        return result === undefined ? null : { result };
      }),
    }));
  });
  return { trainedOn: '', detail: '', rows };
}

/**
 * Table 1, 10 and 11. In the row Cross Self-refine a cell is of the student that was instructed on the block's task and refined
 * on the task that is tested; its own task has none.
 */
export function paperGrid(collection: Collection, view: PaperView): PaperGrid {
  const { facts } = collection;
  const find = finder(collection, view);
  const tasks = tasksOf(collection).filter((task) =>
    collection.report.results.some(({ taskId, scorer }) => taskId === task && scorer === view.scorer),
  );
  const blocks = new Map<string, { trainedOn: readonly string[]; detail: string; cells: number[] }>();
  facts.forEach((own, cell) => {
    if (own.way === 'none') return;
    const trainedOn = own.way === 'refine' ? own.refinedOn : own.trainedOn;
    // A cross cell has a second teacher for its second task: it belongs to the block of its first.
    const detail = detailOf(collection, cell, isCross(own) ? ['teacher'] : []);
    const key = JSON.stringify([trainedOn, detailOf(collection, cell, ['teacher']), teacherOn(own, trainedOn)]);
    const block = blocks.get(key) ?? { trainedOn, detail, cells: [] };
    if (!isCross(own)) block.detail = detail;
    block.cells.push(cell);
    blocks.set(key, block);
  });
  const row = (
    label: string,
    of: (taskId: string) => { cell: number; result: SeriesResult } | undefined,
  ): GridRow[] => {
    const cells = tasks.map((taskId): GridCell | null => {
      const found = of(taskId);
      return found === undefined
        ? null
        : { result: found.result, place: placeOf(facts[found.cell]!, taskId, found.result.system) };
    });
    return cells.some((cell) => cell !== null) ? [{ label, cells }] : [];
  };
  const laid = [...blocks.values()].map(({ trainedOn, detail, cells }): GridBlock => {
    const first =
      (wanted: (own: CellFacts, cell: number) => boolean, system: SystemName) =>
      (taskId: string): { cell: number; result: SeriesResult } | undefined => {
        for (const cell of cells) {
          if (!wanted(facts[cell]!, cell)) continue;
          const result = find(cell, system, taskId);
          if (result !== undefined) return { cell, result };
        }
        return undefined;
      };
    const straight = (own: CellFacts): boolean => own.way !== 'refine' && !isCross(own);
    const instructed = (system: SystemName) => (taskId: string) =>
      first(straight, system)(taskId) ?? first(isCross, system)(taskId);
    return {
      trainedOn: taskNames(trainedOn),
      detail,
      rows: [
        ...row('Instruction-tuning', instructed('Instruction-tuned')),
        ...row('Instruction-tuning, more steps', instructed('Instruction-tuned, more steps')),
        ...row(
          '+ Self-refine',
          first((own) => own.way === 'both' && !isCross(own), 'Self-refined'),
        ),
        ...row(
          'Self-refine only',
          first((own) => own.way === 'refine', 'Self-refined'),
        ),
        ...row('Cross Self-refine', (taskId) =>
          first((own) => isCross(own) && equal(own.refinedOn, [taskId]), 'Self-refined')(taskId),
        ),
      ],
    };
  });
  return { tasks, blocks: [baselineBlock(collection, view, tasks), ...laid.filter(({ rows }) => rows.length > 0)] };
}

const teacherOn = ({ teachers }: CellFacts, tasks: readonly string[]): string =>
  unique(teachers.filter(({ taskId }) => tasks.includes(taskId)).map(({ label }) => label)).join(' + ');

/** Figure 4: one for each task, teacher and student with more than one share, or more than one way, to show. */
export function paperSplits(collection: Collection, view: PaperView): SplitFigure[] {
  const { facts } = collection;
  const find = finder(collection, view);
  const groups = new Map<string, { trainedOn: readonly string[]; detail: string; cells: number[] }>();
  facts.forEach((own, cell) => {
    if (own.way === 'none' || own.share === undefined || isCross(own)) return;
    const trainedOn = own.way === 'refine' ? own.refinedOn : own.trainedOn;
    const detail = detailOf(collection, cell, ['demonstrations']);
    const key = JSON.stringify([trainedOn, detail]);
    const group = groups.get(key) ?? { trainedOn, detail, cells: [] };
    group.cells.push(cell);
    groups.set(key, group);
  });
  return [...groups.values()].flatMap(({ trainedOn, detail, cells }) => {
    if (new Set(cells.map((cell) => facts[cell]!.share)).size < 2) return [];
    return tasksOf(collection).flatMap((taskId): SplitFigure[] => {
      const points = (system: SystemName, ways: readonly CellFacts['way'][]) => {
        const byShare = new Map<number, SeriesResult>();
        for (const way of ways) {
          for (const cell of cells) {
            const own = facts[cell]!;
            const result = own.way === way ? find(cell, system, taskId) : undefined;
            if (result !== undefined && !byShare.has(own.share!)) byShare.set(own.share!, result);
          }
        }
        return [...byShare].map(([share, result]) => ({ share, result })).sort((a, b) => a.share - b.share);
      };
      const lines = [
        { name: SPLIT_LINES[0], points: points('Instruction-tuned', ['instruct', 'both']) },
        { name: SPLIT_LINES[1], points: points('Self-refined', ['refine']) },
        { name: SPLIT_LINES[2], points: points('Self-refined', ['both']) },
      ].filter(({ points: own }) => own.length > 0);
      if (lines.length === 0) return [];
      const baselines = cells.flatMap((cell) => find(cell, 'Baseline', taskId) ?? []);
      const baseline = baselines.sort((a, b) => b.runs.length - a.runs.length)[0] ?? null;
      return [
        { trainedOn: taskNames(trainedOn), detail, taskId, place: placeOf(facts[cells[0]!]!, taskId), baseline, lines },
      ];
    });
  });
}

/** Figures 2, 3 and 5: each task tested after training on itself with the largest share that there is. */
export function paperFamilies(collection: Collection, view: PaperView, runs: readonly CollectedRun[]): FamilyFigure[] {
  const { facts } = collection;
  const find = finder(collection, view);
  const figures = new Map<string, FamilyFigure & { cells: number[] }>();
  const shown = facts
    .map((own, cell) => ({ own, cell }))
    .filter(({ own }) => (own.way === 'both' || own.way === 'instruct') && !isCross(own) && own.trainedOn.length === 1)
    .sort((a, b) => (b.own.share ?? 0) - (a.own.share ?? 0) || a.cell - b.cell);
  for (const { own, cell } of shown) {
    const [taskId] = own.trainedOn as [string];
    const families = unique(own.teachers.map(({ family }) => family));
    if (families.length !== 1) continue;
    const [family] = families as [FamilyFigure['family']];
    const teacher = teacherOn(own, own.trainedOn);
    const additional = ADDITIONAL.has(own.tasks[taskId]?.benchmark ?? '');
    const key = JSON.stringify([family, additional, teacher, own.student, own.other]);
    const figure = figures.get(key) ?? {
      family,
      additional,
      teacher,
      student: own.student,
      detail: own.other,
      bars: [],
      teachers: [],
      cells: [],
    };
    figures.set(key, figure);
    if (figure.bars.some((bar) => bar.taskId === taskId)) continue; // a larger share is there
    const bar = (label: string, result: SeriesResult | undefined): FamilyBar[] =>
      result === undefined ? [] : [{ taskId, label, ...(own.share === undefined ? {} : { share: own.share }), result }];
    const bars = [
      ...bar('Baseline', find(cell, 'Baseline', taskId, 'plain')),
      ...bar('Baseline CoT', find(cell, 'Baseline', taskId, 'cot')),
      ...bar('Instruction-tuning', find(cell, 'Instruction-tuned', taskId)),
      ...bar('+ Self-refine', find(cell, 'Self-refined', taskId)),
    ];
    if (bars.length === 0) continue;
    figure.bars.push(...bars);
    figure.cells.push(cell);
    const row = paperTeachers(runs).find((one) => one.label === teacher && one.taskId === taskId);
    if (row !== undefined) figure.teachers.push({ taskId, accuracy: row.mean });
  }
  return [...figures.values()]
    .filter(({ bars }) => bars.length > 0)
    .map(({ cells: _cells, ...figure }) => figure)
    .sort(
      (a, b) => Number(a.additional) - Number(b.additional) || (a.family < b.family ? -1 : a.family > b.family ? 1 : 0),
    );
}

/** Table 5, from what the runs' demonstrations say; a seed counts once for a teacher and a task. */
export function paperTeachers(runs: readonly CollectedRun[]): TeacherRow[] {
  const rows = new Map<string, Omit<TeacherRow, 'mean'>>();
  for (const { report } of runs) {
    for (const { label, taskId, family, teacherCorrect, teacherN } of report.demonstrations) {
      if (teacherN === 0) continue;
      const key = JSON.stringify([taskId, label, family]);
      const row = rows.get(key) ?? { taskId, label, family, runs: [] };
      const { seed } = report.experiment;
      // Other shares of one seed are subsets: the largest says most.
      const known = row.runs.find((run) => run.seed === seed);
      if (known === undefined) row.runs.push({ seed, correct: teacherCorrect, n: teacherN });
      else if (known.n < teacherN) Object.assign(known, { correct: teacherCorrect, n: teacherN });
      rows.set(key, row);
    }
  }
  return [...rows.values()].map((row): TeacherRow => {
    const accuracies = row.runs.map(({ correct, n }) => correct / n);
    const [one, ...others] = unique(row.runs.map(({ correct, n }) => `${correct} ${n}`));
    const [correct, n] = one!.split(' ').map(Number) as [number, number];
    return {
      ...row,
      runs: [...row.runs].sort((a, b) => a.seed - b.seed),
      mean: mean(accuracies),
      ...(accuracies.length > 1 ? { sd: standardDeviation(accuracies) } : {}),
      ...(others.length === 0 ? { interval: wilsonInterval(correct, n) } : {}),
    };
  });
}
