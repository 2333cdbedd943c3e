// series.ts: a series of runs as data: a base experiment, axes of values that change named parts of it, how many seeds, and
// how its table is laid out. It expands into ordinary, complete experiments; it runs nothing and reads no files.
//
// Not a search: no value is chosen by its result, and seeds are consecutive, so that none can be picked.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { slug } from '../base/slug';
import { parseExperiment, type Experiment } from './experiment';
import { field, integer, nonEmptyText } from './fields';
import { jsonSchemaOf } from './jsonSchema';
import { listProblems, shortJson, type ConfigProblem } from './problems';
import { changed, formatPath, parsePath, type ConfigPath } from './seriesPaths';
import { SYSTEM_NAMES, type SystemName } from './systems';

const system = v.picklist(SYSTEM_NAMES);

const ChangesSchema = v.optional(
  field(
    v.record(v.string(), v.unknown()),
    'Changes',
    'From a path in the experiment, such as phases.selfRefine.maxSteps or tasks[0].split.trainCount, to its new value; null takes the key away.',
  ),
  {},
);

const ValueSchema = v.strictObject({
  label: field(nonEmptyText, 'Label', 'What the value is called in tables and in the names of folders.'),
  set: ChangesSchema,
  systems: v.optional(
    field(
      v.strictObject(v.entriesFromList(SYSTEM_NAMES, v.exactOptional(nonEmptyText))),
      'Names of systems',
      'What systems are called where this value holds, e.g. "Self-refined": "Self-refine only".',
    ),
    {},
  ),
});

const AxisSchema = v.strictObject({
  name: field(nonEmptyText, 'Axis', 'What is varied, e.g. "demonstrations".'),
  values: field(v.pipe(v.array(ValueSchema), v.minLength(1)), 'Values', 'In the order of the table.'),
});

const TableSchema = v.strictObject({
  layout: v.optional(
    field(
      v.picklist(['list', 'curve', 'grid']),
      'Layout',
      'list: a row for every cell and system. curve: accuracy over the values of one axis, a line for each other cell and system (Figure 4). grid: cells and systems × tasks they were tested on (Table 1).',
      { origin: 'paper' },
    ),
    'list',
  ),
  axis: v.exactOptional(
    field(nonEmptyText, 'Axis of the curve', 'The name of the axis that runs from left to right; absent: the first.'),
  ),
  prompt: v.optional(
    field(v.picklist(['plain', 'cot']), 'Prompt', 'Of the table; all others are listed below it.', { origin: 'ours' }),
    'cot',
  ),
  compare: v.optional(
    field(
      v.array(v.strictTuple([system, system])),
      'Comparisons',
      'Pairs of systems of one run that are tested against each other. Every test counts in Holm’s correction, so name those that matter.',
      { origin: 'ours' },
    ),
    [
      ['Baseline', 'Instruction-tuned'],
      ['Instruction-tuned', 'Self-refined'],
      ['Instruction-tuned, more steps', 'Self-refined'],
    ],
  ),
});

export const SeriesSchema = v.strictObject({
  $schema: v.exactOptional(v.string()),
  name: field(nonEmptyText, 'Name', 'What the series is called.'),
  notes: v.exactOptional(field(v.string(), 'Notes', 'Free text; the report shows it.')),
  experiment: field(
    v.union([nonEmptyText, v.looseObject({})]),
    'Base experiment',
    'The experiment that the axes change: the path of its file, relative to this one, a preset, or the document itself. Paths within it are relative to its own file.',
  ),
  /** Before the axes: what all runs have and the base experiment has not. */
  set: ChangesSchema,
  seeds: v.optional(
    field(
      integer(1, 10_000),
      'Seeds',
      'How often each cell runs: with the experiment’s seed and the following ones. A number and no list, so that no seed is picked.',
      { origin: 'ours' },
    ),
    1,
  ),
  axes: v.optional(
    field(v.array(AxisSchema), 'Axes', 'Every value of each is combined with every value of the others.'),
    [],
  ),
  table: v.optional(TableSchema, {}),
});

/** A series as written in a file: defaults may be left out. */
export type SeriesInput = v.InferInput<typeof SeriesSchema>;
/** A checked series, every default filled in. */
export type Series = v.InferOutput<typeof SeriesSchema>;
export type SeriesAxis = Series['axes'][number];
export type SeriesTable = Series['table'];

/** One combination of values: what its runs share but for the seed. */
export interface SeriesCell {
  /** For folders: `demonstrations-25-phases-both`. */
  id: string;
  /** The value's label on each axis. */
  labels: string[];
  /** Names of systems, where a value gives them another. */
  systems: Partial<Record<SystemName, string>>;
}

/** One run of a series: an ordinary experiment that can be run alone. */
export interface SeriesRun {
  /** `<cell>-seed<k>`, the name of its folder. */
  id: string;
  cell: SeriesCell;
  seed: number;
  experiment: Experiment;
}

/** Whether a document is a series; every other one is taken for an experiment. */
export function isSeries(document: unknown): boolean {
  return typeof document === 'object' && document !== null && 'experiment' in document;
}

function refuse(what: string, problems: readonly ConfigProblem[]): never {
  throw new PupilError(
    'config',
    `${what}: ${problems.length} problem${problems.length === 1 ? '' : 's'} in the series\n` +
      problems.map((p) => `  ${p.path}: expected ${p.expected}, got ${p.value}`).join('\n'),
    'Every key and its default are in docs/series.schema.json.',
  );
}

/**
 * Checks a series and fills in its defaults. The changes that it makes are checked by {@link expandSeries}, which has the
 * base experiment.
 *
 * @throws PupilError `config` naming every problem as `path: expected …, got …`.
 */
export function parseSeries(document: unknown): Series {
  const result = v.safeParse(SeriesSchema, document);
  const problems = result.success ? seriesProblems(result.output) : listProblems(result.issues);
  if (problems.length > 0 || !result.success) refuse('parseSeries', problems);
  return result.output;
}

/** In place of an axis' index: what is set for all cells. */
const FOR_ALL = -1;

/** Rules between the fields of a series. */
function seriesProblems({ set: ofAll, axes, table }: Series): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: string, expected: string, value: unknown): void => {
    problems.push({ path, expected, value: shortJson(value) });
  };
  const names = axes.map(({ name }) => name);
  const setBy = new Map<string, number>();
  const readChanges = (set: Record<string, unknown>, where: string, owner: number): void => {
    for (const text of Object.keys(set)) {
      const keys = parsePath(text);
      if (keys === undefined) add(where, 'a path such as phases.selfRefine.maxSteps or tasks[0].split', text);
      else if (keys[0] === 'seed' || keys[0] === 'name') {
        add(where, `no change of ${keys[0]}: the series gives each run its own`, text);
      } else {
        const known = [...setBy].find(([other, axis]) => axis !== owner && overlap(text, other));
        if (known !== undefined) {
          add(where, `a part that ${names[known[1]] ?? 'the whole series'} does not change as well`, text);
        }
        setBy.set(text, owner);
      }
    }
  };
  readChanges(ofAll, 'set', FOR_ALL);
  axes.forEach(({ name, values }, a) => {
    const path = `axes[${a}]`;
    if (names.indexOf(name) !== a) add(`${path}.name`, 'a name that no other axis has', name);
    const slugs = values.map(({ label }) => slug(label));
    values.forEach(({ label, set }, i) => {
      // Labels name folders: "25 %" and "25" would share one.
      if (slugs.indexOf(slugs[i]!) !== i) {
        add(
          `${path}.values[${i}].label`,
          'a label that differs from the others of its axis in letters or digits',
          label,
        );
      }
      readChanges(set, `${path}.values[${i}].set`, a);
    });
  });
  if (table.axis !== undefined && !names.includes(table.axis)) {
    add('table.axis', `the name of an axis (${names.join(', ')})`, table.axis);
  }
  if (table.layout === 'curve' && axes.length === 0) add('table.layout', 'an axis, for a curve to run along', 'curve');
  return problems;
}

/** Whether one path is the other, or lies in it. */
function overlap(a: string, b: string): boolean {
  const inside = (whole: string, part: string): boolean =>
    part === whole || part.startsWith(`${whole}.`) || part.startsWith(`${whole}[`);
  return inside(a, b) || inside(b, a);
}

/** Every combination of values, the first axis slowest. Without axes there is one cell, named as the series. */
export function seriesCells({ name, axes }: Pick<Series, 'name' | 'axes'>): SeriesCell[] {
  return combinations(axes).map((values) => ({
    id: values.length === 0 ? slug(name) : values.map(({ label }, a) => slug(`${axes[a]!.name} ${label}`)).join('-'),
    labels: values.map(({ label }) => label),
    systems: Object.assign({}, ...values.map(({ systems }) => systems)) as SeriesCell['systems'],
  }));
}

function combinations(axes: readonly SeriesAxis[]): SeriesAxis['values'][] {
  return axes.reduce<SeriesAxis['values'][]>(
    (before, { values }) => before.flatMap((chosen) => values.map((value) => [...chosen, value])),
    [[]],
  );
}

/**
 * All runs in the order in which they are made: every cell with the first seed, then every cell with the next, so that a
 * whole table is there early and its spread comes after.
 *
 * @param base the base experiment: a document as in a file, its seed the first one.
 * @throws PupilError `config` where the base or a cell is no valid experiment, naming the cell, or a change leads nowhere.
 */
export function expandSeries(series: Series, base: unknown): SeriesRun[] {
  // Whole, so that a path may lead to a default that the file leaves out.
  const whole = parseExperiment(base);
  const cells = seriesCells(series);
  const problems: ConfigProblem[] = [];
  const documents = combinations(series.axes).map((values, c) => {
    let document: unknown = whole;
    const change = (set: Record<string, unknown>, owner: string): void => {
      for (const [text, value] of Object.entries(set)) {
        const path = parsePath(text) as ConfigPath;
        const next = changed(document, path, value);
        if ('document' in next) document = next.document;
        else problems.push({ path: `${owner}: ${formatPath(path)}`, expected: next.expected, value: next.value });
      }
    };
    change(series.set, 'set');
    values.forEach(({ set }, a) => change(set, `axes[${a}] (${cells[c]!.labels[a]})`));
    return document;
  });
  if (problems.length > 0) refuse('expandSeries', unique(problems));
  return Array.from({ length: series.seeds }, (_, k) => whole.seed + k).flatMap((seed) =>
    cells.map((cell, c) => {
      const labels = cell.labels.join(', ');
      const name = labels === '' ? series.name : `${series.name}: ${labels}`;
      return { id: `${cell.id}-seed${seed}`, cell, seed, experiment: parseCell(documents[c], name, seed, labels) };
    }),
  );
}

/** One change is part of many cells and would be told as often. */
function unique(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...new Map(problems.map((problem) => [problem.path, problem])).values()];
}

function parseCell(document: unknown, name: string, seed: number, labels: string): Experiment {
  try {
    return parseExperiment({ ...(document as object), name, seed });
  } catch (error) {
    if (!(error instanceof PupilError) || labels === '') throw error;
    throw new PupilError(error.code, `cell "${labels}": ${error.message}`, error.hint, { cause: error });
  }
}

/** The JSON Schema of a series file, for editors and readers. */
export const seriesJsonSchema = (): Record<string, unknown> => jsonSchemaOf(SeriesSchema, 'Pupil series');
