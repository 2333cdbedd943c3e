// experimentFile.ts: from what was typed (`run EXPERIMENT|PRESET`) to a checked experiment whose paths are those of this
// machine. It looks whether files are there; what is in them is the session's business.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { parseExperiment, type Experiment } from '../config/experiment';
import { localPaths, resolvePaths } from '../config/paths';
import { preset, PRESET_NAMES } from '../config/presets';
import { pathInRoot } from './host';
import { experimentsFolder } from './project';

export interface LoadedExperiment {
  /** Paths as {@link pathInRoot} writes them. */
  experiment: Experiment;
  /** Absolute paths of the files and folders it reads. */
  inputs: string[];
}

export interface LoadOptions {
  seed?: number;
  /** What `{data}` stands for; PUPIL_DATA otherwise. */
  data?: string;
  /** Replaces the experiment's student. */
  student?: string;
  quantize?: string;
  tier?: string;
}

function bundledNames(): string[] {
  const folder = experimentsFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

/** The document named on the command line and the folder that its relative paths start from. */
function findDocument(name: string): { document: unknown; base: string } {
  if (existsSync(name) && statSync(name).isFile())
    return { document: readDocument(name), base: dirname(resolve(name)) };
  if ((PRESET_NAMES as string[]).includes(name)) {
    return { document: structuredClone(preset(name)), base: experimentsFolder() };
  }
  const bundled = join(experimentsFolder(), `${name}.json`);
  if (/^[A-Za-z0-9._-]+$/.test(name) && existsSync(bundled)) {
    return { document: readDocument(bundled), base: experimentsFolder() };
  }
  throw new PupilError(
    'usage',
    `run: expected an experiment file or a preset, there is no ${name}`,
    `Presets: ${PRESET_NAMES.join(', ')}. Experiments: ${bundledNames().join(', ')}. Or the path of a JSON file.`,
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
  if (options.student !== undefined) student['source'] = { kind: 'directory', path: resolve(options.student) };
  if (options.quantize !== undefined) student['quantize'] = options.quantize;
  if (options.tier !== undefined) student['tier'] = options.tier;
  changed['student'] = student;
  return changed;
}

const isUrl = (path: string): boolean => /^[a-zA-Z][a-zA-Z0-9+.-]+:/.test(path);

function mapPaths(experiment: Experiment, map: (path: string) => string): Experiment {
  const one = (path: string): string => (isUrl(path) ? path : map(path));
  const { source, tokenizer } = experiment.student;
  return {
    ...experiment,
    student: {
      ...experiment.student,
      source: source.kind === 'directory' ? { ...source, path: one(source.path) } : source,
      tokenizer: tokenizer.kind === 'student' ? tokenizer : { ...tokenizer, path: one(tokenizer.path) },
    },
    demonstrations: experiment.demonstrations.map((entry) => ({
      ...entry,
      files: entry.files.map(one),
      ...(entry.alignedWith === undefined ? {} : { alignedWith: entry.alignedWith.map(one) }),
    })),
    tasks: experiment.tasks.map((task) => ({
      ...task,
      files:
        'all' in task.files
          ? { all: task.files.all.map(one) }
          : { train: task.files.train.map(one), test: task.files.test.map(one) },
    })),
  };
}

/**
 * Loads, changes by flags, checks, and resolves.
 *
 * @throws PupilError `usage` where nothing of that name exists, `config` for a bad document, `source` naming every file
 *   that is not there.
 */
export function loadExperiment(name: string, options: LoadOptions): LoadedExperiment {
  const { document, base } = findDocument(name);
  const data = options.data ?? process.env['PUPIL_DATA'];
  if (data !== undefined && data !== '' && !existsSync(data)) {
    throw new PupilError('source', `--data: expected a folder, ${data} does not exist`, 'Check --data and PUPIL_DATA.');
  }
  const checked = parseExperiment(withFlags(document, options));
  const roots = { base, ...(data === undefined || data === '' ? {} : { data: resolve(data) }) };
  const absolute = resolvePaths(checked, roots);
  const inputs = localPaths(absolute).map((path) => resolve(path));
  const missing = inputs.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    throw new PupilError(
      'source',
      `${checked.name}: expected ${missing.length} file${missing.length === 1 ? '' : 's'} that ${missing.length === 1 ? 'is' : 'are'} not there:\n` +
        missing.map((path) => `  ${path}`).join('\n'),
      'Check the paths in the experiment, --data and PUPIL_DATA.',
    );
  }
  return { experiment: mapPaths(absolute, pathInRoot), inputs };
}
