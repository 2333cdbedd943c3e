// paths.ts: the placeholders of file paths in an experiment. It only rewrites text: whoever reads files (the CLI, the
// page) decides what the roots are. Paths use '/', also on Windows.
import { PupilError } from '../base/errors';
import type { Experiment } from './schema';

/** What placeholders stand for. `base` is the folder (or base URL) of the experiment file, `data` the data root. */
export interface PathRoots {
  base: string;
  data?: string;
}

/**
 * One path of an experiment made concrete: `{data}/…` under the data root, `{seed}` the seed, anything relative under
 * the experiment file's folder. Absolute paths and URLs stay.
 *
 * @throws PupilError `config` for an unknown placeholder, or `{data}` without a data root.
 */
export function resolvePath(path: string, roots: PathRoots, seed: number): string {
  const filled = path.replace(/\{([^}]*)\}/g, (whole, name: string) => {
    if (name === 'seed') return String(seed);
    if (name === 'data') {
      if (roots.data !== undefined) return roots.data.replace(/\/+$/, '');
      throw new PupilError(
        'config',
        `resolvePath: ${path} needs the data root, none is set`,
        'Say --data DIR or set the environment variable PUPIL_DATA.',
      );
    }
    throw new PupilError(
      'config',
      `resolvePath: expected {data} or {seed} in ${path}, got ${whole}`,
      'Write the path without it.',
    );
  });
  if (/^([a-zA-Z][a-zA-Z0-9+.-]*:|\/)/.test(filled)) return filled;
  return joinPath(roots.base, filled);
}

/** `base/relative` with `.` and `..` removed where possible. */
function joinPath(base: string, relative: string): string {
  const origin = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/]*/.exec(base)?.[0] ?? '';
  const rest = base.slice(origin.length);
  const rooted = rest.startsWith('/') || origin !== '';
  const parts: string[] = [];
  for (const part of `${rest}/${relative}`.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !rooted) parts.push(part);
  }
  return origin + (rooted ? '/' : '') + parts.join('/');
}

/** The same experiment with every path of a file or folder in it, URLs too, changed by `map`. */
export function mapPaths(experiment: Experiment, map: (path: string) => string): Experiment {
  const all = (paths: readonly string[]): string[] => paths.map(map);
  const { source, tokenizer } = experiment.student;
  return {
    ...experiment,
    student: {
      ...experiment.student,
      source: source.kind === 'directory' ? { ...source, path: map(source.path) } : source,
      tokenizer: tokenizer.kind === 'student' ? tokenizer : { ...tokenizer, path: map(tokenizer.path) },
    },
    demonstrations: experiment.demonstrations.map((entry) => ({
      ...entry,
      files: all(entry.files),
      ...(entry.alignedWith === undefined ? {} : { alignedWith: all(entry.alignedWith) }),
    })),
    tasks: experiment.tasks.map((task) => ({
      ...task,
      files:
        'all' in task.files
          ? { all: all(task.files.all) }
          : { train: all(task.files.train), test: all(task.files.test) },
    })),
  };
}

/** The same experiment with every file path made concrete; the seed in it is the one that `{seed}` stood for. */
export function resolvePaths(experiment: Experiment, roots: PathRoots): Experiment {
  return mapPaths(experiment, (path) => resolvePath(path, roots, experiment.seed));
}

/** Whether a path is a URL: of no folder of this place. */
export const isUrl = (path: string): boolean => /^[a-zA-Z][a-zA-Z0-9+.-]+:/.test(path);

const ofThisPlace = (paths: readonly string[]): string[] => [...new Set(paths)].filter((path) => !isUrl(path));

/** The files of tasks and demonstrations that an experiment names, once each; URLs are left out. */
export function dataPaths(experiment: Pick<Experiment, 'demonstrations' | 'tasks'>): string[] {
  return ofThisPlace([
    ...experiment.demonstrations.flatMap((entry) => [...entry.files, ...(entry.alignedWith ?? [])]),
    ...experiment.tasks.flatMap((task) =>
      'all' in task.files ? task.files.all : [...task.files.train, ...task.files.test],
    ),
  ]);
}

/** Every file and folder that an experiment names, once each; URLs are left out. */
export function localPaths(experiment: Experiment): string[] {
  const { source, tokenizer } = experiment.student;
  return ofThisPlace([
    ...(source.kind === 'directory' ? [source.path] : []),
    ...(tokenizer.kind === 'student' ? [] : [tokenizer.path]),
    ...dataPaths(experiment),
  ]);
}
