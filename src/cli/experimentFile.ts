// experimentFile.ts: from what was typed (`run EXPERIMENT|PRESET`) to a checked experiment, or to the experiments of a
// series, whose paths are those of this machine. It looks whether files are there; what is in them is the session's business.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { parseExperiment, type Experiment } from '../config/experiment';
import { isUrl, localPaths, mapPaths, resolvePaths } from '../config/paths';
import { preset, PRESET_NAMES } from '../config/presets';
import { expandSeries, isSeries, parseSeries, seriesCells } from '../config/series';
import type { Series, SeriesCell, SeriesRun } from '../config/series';
import { pathInRoot } from './host';
import { expectStudent } from './modelFolder';
import { experimentsFolder, gridsFolder, seriesFolder, studentsFolder } from './project';

export interface LoadedExperiment {
  /** Paths as {@link pathInRoot} writes them. */
  experiment: Experiment;
  /** Absolute paths of the files and folders it reads. */
  inputs: string[];
}

/** A series with all its runs, ready to be made. */
export interface LoadedSeries {
  series: Series;
  cells: SeriesCell[];
  runs: (SeriesRun & LoadedExperiment)[];
}

export interface LoadOptions {
  seed?: number;
  /** Makes a series of an experiment, or replaces the number of a series. */
  seeds?: number;
  /** What `{data}` stands for; PUPIL_DATA otherwise. */
  data?: string;
  /** Replaces the experiment's student; see modelFolder.ts. */
  student?: string;
  quantize?: string;
  tier?: string;
  /** Files and data that are not there are no error: for plans, which estimate them. */
  absentFiles?: boolean;
}

function namesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

/** The document named on the command line and the folder that its relative paths start from. */
function findDocument(name: string, from = '.'): { document: unknown; base: string } {
  const file = resolve(from, name);
  if (existsSync(file) && statSync(file).isFile()) return { document: readDocument(file), base: dirname(file) };
  if ((PRESET_NAMES as string[]).includes(name)) {
    return { document: structuredClone(preset(name)), base: experimentsFolder() };
  }
  for (const folder of [experimentsFolder(), seriesFolder(), gridsFolder()]) {
    const bundled = join(folder, `${name}.json`);
    if (/^[A-Za-z0-9._-]+$/.test(name) && existsSync(bundled)) return { document: readDocument(bundled), base: folder };
  }
  throw new PupilError(
    'usage',
    `run: expected an experiment file or a preset, there is no ${name}`,
    `Presets: ${PRESET_NAMES.join(', ')}. Experiments: ${namesIn(experimentsFolder()).join(', ')}. Series: ${namesIn(seriesFolder()).join(', ')}. Grids: ${namesIn(gridsFolder()).join(', ')}. Or the path of a JSON file.`,
  );
}

function readDocument(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new PupilError(
      'config',
      `${file}: expected JSON, ${(cause as Error).message}`,
      'Look at the position named; JSON has no comments and no trailing commas.',
      { cause },
    );
  }
}

type JsonObject = Record<string, unknown>;

/** Flags win over the document. They are put into the document before it is checked, so that one place checks all. */
function withFlags(document: unknown, options: LoadOptions): unknown {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return document;
  const changed: JsonObject = { ...(document as JsonObject) };
  if (options.seed !== undefined) changed['seed'] = options.seed;
  const student: JsonObject = { ...(changed['student'] as JsonObject | undefined) };
  if (options.student !== undefined) student['source'] = expectStudent('--student', options.student).source;
  if (options.quantize !== undefined) student['quantize'] = options.quantize;
  if (options.tier !== undefined) student['tier'] = options.tier;
  changed['student'] = student;
  return changed;
}

/**
 * Loads, changes by flags, checks, and resolves.
 *
 * @throws PupilError `usage` where nothing of that name exists, `config` for a bad document, `source` naming every file
 *   that is not there.
 */
export function loadExperiment(name: string, options: LoadOptions): LoadedExperiment {
  const { document, base } = findDocument(name);
  if (isSeries(document)) {
    throw new PupilError(
      'usage',
      `${name}: expected an experiment, it is a series of them`,
      'A series can be run. Here, name its experiment, or the experiment.json of one of its runs.',
    );
  }
  return locate(parseExperiment(withFlags(document, options)), base, options);
}

/** A bundled student is a folder of this installation. Throws `source` where there is none of that name. */
function withBundledStudent(experiment: Experiment): Experiment {
  const { source } = experiment.student;
  if (source.kind !== 'bundled') return experiment;
  const path = join(studentsFolder(), source.name);
  if (!existsSync(path)) {
    const known = existsSync(studentsFolder()) ? readdirSync(studentsFolder()) : [];
    throw new PupilError(
      'source',
      `student.source: expected a bundled student, there is no ${source.name} in ${studentsFolder()}`,
      known.length === 0 ? 'This installation has none.' : `There are: ${known.join(', ')}.`,
    );
  }
  return { ...experiment, student: { ...experiment.student, source: { kind: 'directory', path } } };
}

/** Where nothing lies: stands for a data root that nobody has set. */
const NO_DATA = '/data-of-the-plan';

/**
 * A checked experiment with the paths of this machine; relative ones start from the folder `base`.
 *
 * @throws PupilError `source` naming every file that is not there.
 */
export function locate(
  checked: Experiment,
  base: string,
  options: Pick<LoadOptions, 'data' | 'absentFiles'>,
): LoadedExperiment {
  const named = options.data ?? process.env['PUPIL_DATA'];
  const data = options.absentFiles === true && (named ?? '') === '' ? NO_DATA : named;
  if (data !== undefined && data !== '' && data !== NO_DATA && !existsSync(data)) {
    throw new PupilError('source', `--data: expected a folder, ${data} does not exist`, 'Check --data and PUPIL_DATA.');
  }
  const roots = { base, ...(data === undefined || data === '' ? {} : { data: resolve(data) }) };
  const absolute = withBundledStudent(resolvePaths(checked, roots));
  const inputs = localPaths(absolute).map((path) => resolve(path));
  const missing = inputs.filter((path) => !existsSync(path));
  if (missing.length > 0 && options.absentFiles !== true) {
    throw new PupilError(
      'source',
      `${checked.name}: expected ${missing.length} file${missing.length === 1 ? '' : 's'} that ${missing.length === 1 ? 'is' : 'are'} not there:\n` +
        missing.map((path) => `  ${path}`).join('\n'),
      'Check the paths in the experiment, --data and PUPIL_DATA.',
    );
  }
  return { experiment: mapPaths(absolute, (path) => (isUrl(path) ? path : pathInRoot(path))), inputs };
}

/**
 * What `run` is to make: a series, or undefined where the document is a plain experiment and no number of seeds was asked
 * for. All its experiments are checked, and their files looked for, before the first one runs.
 *
 * @throws PupilError as {@link loadExperiment}.
 */
export function loadSeries(name: string, options: LoadOptions): LoadedSeries | undefined {
  const { document, base } = findDocument(name);
  if (!isSeries(document)) {
    if (options.seeds === undefined) return undefined;
    const checked = parseExperiment(withFlags(document, options));
    return expanded(
      parseSeries({ name: checked.name, experiment: checked, seeds: options.seeds }),
      checked,
      base,
      options,
    );
  }
  const written = parseSeries(document);
  const series = { ...written, ...(options.seeds === undefined ? {} : { seeds: options.seeds }) };
  const { experiment } = series;
  const found = typeof experiment === 'string' ? findDocument(experiment, base) : { document: experiment, base };
  if (isSeries(found.document)) {
    throw new PupilError('config', `${name}: expected an experiment under "experiment", it is a series as well`);
  }
  return expanded(series, withFlags(found.document, options), found.base, options);
}

function expanded(series: Series, document: unknown, base: string, options: LoadOptions): LoadedSeries {
  const runs = expandSeries(series, document).map((run) => ({ ...run, ...locate(run.experiment, base, options) }));
  return { series, cells: seriesCells(series), runs };
}
