// symbolicPaths.ts: an experiment as it travels between machines: paths below the data root as `{data}/…`, those of this
// installation relative to its experiments, a bundled student by its name. The inverse is experimentFile.ts `locate`.
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { dataPaths, isUrl, localPaths, mapPaths } from '../../config/paths';
import type { Experiment } from '../../config/experiment';
import { experimentsFolder, projectRoot, studentsFolder } from '../project';

/** `path` seen from `folder`, with forward slashes; undefined where it does not lie in it. */
function within(folder: string, path: string): string | undefined {
  const found = relative(folder, resolve(path));
  if (found.startsWith('..') || isAbsolute(found)) return undefined;
  return found.split(sep).join('/');
}

/**
 * The same experiment without this machine's paths, as far as that goes.
 * @param data the data root of this machine, where there is one
 */
export function withoutPlaces(experiment: Experiment, data: string | undefined): Experiment {
  const root = data === undefined || data === '' ? undefined : resolve(data);
  const named = mapPaths(experiment, (path) => {
    if (isUrl(path)) return path;
    const inData = root === undefined ? undefined : within(root, path);
    if (inData !== undefined) return inData === '' ? '{data}' : `{data}/${inData}`;
    if (within(projectRoot(), path) === undefined) return path;
    return relative(experimentsFolder(), resolve(path)).split(sep).join('/');
  });
  const { source } = experiment.student;
  const bundled =
    source.kind === 'directory' && !isUrl(source.path) ? within(studentsFolder(), source.path) : undefined;
  if (bundled === undefined || bundled === '' || bundled.includes('/')) return named;
  return { ...named, student: { ...named.student, source: { kind: 'bundled', name: bundled } } };
}

/** Paths that every worker must find at the same place as this machine. */
export function placesOf(experiment: Experiment): string[] {
  return [...new Set([...localPaths(experiment), ...dataPaths(experiment)])].filter((path) => isAbsolute(path));
}
