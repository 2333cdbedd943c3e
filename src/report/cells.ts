// cells.ts: runs that nobody planned as a series, as one: which of them are the same experiment but for the seed, what tells the
// others apart, and what of that the paper's tables ask for. It computes no accuracy (series.ts does) and lays nothing out.
import { WITHOUT_OPTIONS } from '../config/rules';
import type { Experiment, TaskId } from '../config/experiment';
import { parseSeries, type Series, type SeriesCell } from '../config/series';
import { slug } from '../base/slug';
import type { AnswerRow } from './answers';
import { summariseSeries, type SeriesReport } from './series';
import { settingWords, type ComparedSettings } from './settingWords';
import type { PromptKind, RunReport } from './types';

/** A finished run with what it answered. */
export interface CollectedRun {
  runId: string;
  report: RunReport;
  answers: readonly AnswerRow[];
}

/** What the paper's tables ask of a cell. */
export interface CellFacts {
  /** The last part of where the student was read from. */
  student: string;
  /** Tasks of phase 1 and of phase 2, by name. */
  trainedOn: string[];
  refinedOn: string[];
  way: 'none' | 'instruct' | 'refine' | 'both';
  /** Of the demonstrations, where all phases and teachers have the same. */
  share?: number;
  teachers: { taskId: string; label: string; family: 'in-family' | 'out-family' }[];
  /** Whatever else tells it from other cells, in words; '' where nothing does. */
  other: string;
  /** Of each task: the benchmark, and how it is answered. */
  tasks: Record<string, { benchmark: string; answers: 'choice' | 'number' | 'unknown' }>;
}

/** Runs as a series, with what each cell is. */
export interface Collection {
  report: SeriesReport;
  facts: CellFacts[];
  /** Left out: the same experiment with the same seed as another, newer run. */
  repeated: { runId: string; newer: string }[];
}

const baseName = (path: string): string => path.replace(/\/+$/, '').replace(/^.*\//, '') || path;
const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
export const percentText = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** As the paper tells question answering from math problems; yes or no is question answering, `lesson` and `custom` may be both. */
function answersOf(id: TaskId): 'choice' | 'number' | 'unknown' {
  if (id === 'custom' || id === 'lesson') return 'unknown';
  return WITHOUT_OPTIONS.has(id) && id !== 'strategyqa' ? 'number' : 'choice';
}

/** What an experiment does, in the paper's terms. */
export function factsOf(experiment: Experiment, studentSource: string): CellFacts {
  const { tasks, demonstrations, phases } = experiment;
  const demonstrated = new Set(demonstrations.map(({ task }) => task));
  const usedFor = (phase: 'instruct' | 'selfRefine'): string[] =>
    phases[phase] === false
      ? []
      : tasks.filter(({ name, use }) => demonstrated.has(name) && use.includes(phase)).map(({ name }) => name);
  const [trainedOn, refinedOn] = [usedFor('instruct'), usedFor('selfRefine')];
  const shares = unique(
    demonstrations.flatMap(({ task, fraction }) => [
      ...(phases.instruct !== false && trainedOn.includes(task) ? [fraction * phases.instruct.fraction] : []),
      ...(phases.selfRefine !== false && refinedOn.includes(task) ? [fraction * phases.selfRefine.fraction] : []),
    ]),
  );
  const used = demonstrations.filter(({ task }) => trainedOn.includes(task) || refinedOn.includes(task));
  return {
    student: baseName(studentSource),
    trainedOn,
    refinedOn,
    way: trainedOn.length > 0 ? (refinedOn.length > 0 ? 'both' : 'instruct') : refinedOn.length > 0 ? 'refine' : 'none',
    ...(shares.length === 1 ? { share: shares[0]! } : {}),
    teachers: used.map(({ task, label, family }) => ({ taskId: task, label, family })),
    other: '',
    tasks: Object.fromEntries(
      tasks.map(({ id, name }) => [
        name,
        {
          benchmark: id,
          answers: answersOf(id),
        },
      ]),
    ),
  };
}

/** An experiment without what may differ within a cell: seed, names, where the student lay. */
function settingsOf({ experiment, student }: RunReport): ComparedSettings {
  const {
    name: _name,
    notes: _notes,
    limits: _limits,
    $schema: _schema,
    seed,
    ...same
  } = experiment as Experiment & {
    $schema?: string;
  };
  // The lesson's files are generated, from the run's own seed unless the experiment says another.
  const seeded = new RegExp(`^(lesson:.*[?&]seed=)${seed}(?=&|$)`);
  const text = JSON.stringify(
    { ...same, student: { ...same.student, source: student.fingerprint } },
    (_, value: unknown) => (typeof value === 'string' ? value.replace(seeded, '$1{seed}') : value),
  );
  return JSON.parse(text) as ComparedSettings;
}

const WAYS: Record<CellFacts['way'], string> = {
  none: 'untrained',
  instruct: 'instruction-tuning only',
  refine: 'self-refine only',
  both: 'both phases',
};

const teacherNames = ({ teachers }: CellFacts): string =>
  unique(teachers.map(({ label }) => label)).join(' + ') || 'no teacher';
export const taskNames = (tasks: readonly string[]): string => (tasks.length === 0 ? 'nothing' : tasks.join(' + '));

/** What a cell may be told by, in the order of the tables' columns. */
const AXES: readonly (readonly [name: string, of: (facts: CellFacts) => string])[] = [
  ['student', ({ student }) => student],
  [
    'trained on',
    ({ trainedOn, refinedOn, way }) =>
      way === 'both' && taskNames(trainedOn) !== taskNames(refinedOn)
        ? `${taskNames(trainedOn)}, refined on ${taskNames(refinedOn)}`
        : taskNames(way === 'refine' ? refinedOn : trainedOn),
  ],
  ['teacher', teacherNames],
  ['demonstrations', ({ share }) => (share === undefined ? 'mixed' : percentText(share))],
  ['way', ({ way }) => WAYS[way]],
];

interface Group {
  settings: ComparedSettings;
  facts: CellFacts;
  runs: CollectedRun[];
}

function groupsOf(runs: readonly CollectedRun[]): Group[] {
  const groups = new Map<string, Group>();
  for (const run of runs) {
    const settings = settingsOf(run.report);
    const key = JSON.stringify(settings);
    const facts = factsOf(run.report.experiment, run.report.student.source);
    const group = groups.get(key) ?? { settings, facts, runs: [] };
    group.runs.push(run);
    groups.set(key, group);
  }
  return nameOthers([...groups.values()]);
}

/** Where the axes do not tell groups apart, their other settings do. */
function nameOthers(groups: readonly Group[]): Group[] {
  const labels = groups.map(({ facts }) => JSON.stringify(AXES.map(([, of]) => of(facts))));
  return groups.map((group, g) => {
    const alike = groups.filter((_, i) => labels[i] === labels[g]);
    if (alike.length === 1) return group;
    const other = settingWords(alike.map(({ settings }) => settings))[alike.indexOf(group)]!;
    return { ...group, facts: { ...group.facts, other } };
  });
}

/** Of runs with one seed the newest; the others are no further evidence. */
function newestBySeed(runs: readonly CollectedRun[]): { kept: CollectedRun[]; repeated: Collection['repeated'] } {
  const bySeed = new Map<number, CollectedRun>();
  for (const run of runs) {
    const { seed } = run.report.experiment;
    const known = bySeed.get(seed);
    if (known === undefined || known.report.finishedAt < run.report.finishedAt) bySeed.set(seed, run);
  }
  const kept = [...bySeed.values()].sort((a, b) => a.report.experiment.seed - b.report.experiment.seed);
  const repeated = runs
    .filter((run) => !kept.includes(run))
    .map((run) => ({ runId: run.runId, newer: bySeed.get(run.report.experiment.seed)!.runId }));
  return { kept, repeated };
}

/**
 * Finished runs as a series: a cell for every experiment (alike but for the seed, names, limits and where files of the student
 * lay), with all its seeds. Deterministic in its arguments; cells in the order in which their first runs come.
 */
export function collectRuns(runs: readonly CollectedRun[], prompt: PromptKind = 'cot'): Collection {
  const groups = groupsOf(runs);
  const axes = [...AXES, ['settings', ({ other }: CellFacts) => other || 'as the others'] as const].filter(
    ([, of]) => new Set(groups.map(({ facts }) => of(facts))).size > 1,
  );
  const cells = groups.map(({ facts }, g): SeriesCell => {
    const labels = axes.map(([, of]) => of(facts));
    return {
      id: `${g + 1}-${slug(labels.join(' ') || 'runs')}`,
      labels,
      systems: facts.way === 'refine' ? { 'Self-refined': 'Self-refine only' } : {},
    };
  });
  const newest = groups.map((group) => newestBySeed(group.runs));
  const series: Series = parseSeries({
    name: 'Chosen runs',
    experiment: 'experiment.json',
    axes: axes.map(([name, of]) => ({
      name,
      values: unique(groups.map(({ facts }) => of(facts))).map((label) => ({ label })),
    })),
    table: { layout: 'list', prompt },
  });
  const report = summariseSeries(
    series,
    cells,
    newest.flatMap(({ kept }, cell) =>
      kept.map(({ runId, report: { experiment, state }, report: own, answers }) => ({
        id: runId,
        cell,
        seed: experiment.seed,
        state,
        report: own,
        answers,
      })),
    ),
  );
  return { report, facts: groups.map(({ facts }) => facts), repeated: newest.flatMap(({ repeated }) => repeated) };
}
