// experimentFiles.ts: where the files of an experiment come from: those served with the page, a picked folder, or an address; its
// student aside where that was picked by itself. It turns a checked experiment into what a session is given and reads nothing.
import { PupilError } from '../../base/errors';
import type { Experiment } from '../../config/experiment';
import { resolvePaths } from '../../config/paths';
import { isPicked, studentFolder } from '../../config/studentFolder';
import type { FileRoot } from '../../session/protocol';
import { readPicked, type PickedFile } from '../pickedFiles';

/** A checked experiment with concrete paths and the place they are in. */
export interface PreparedRun {
  experiment: Experiment;
  files: FileRoot;
}

/** What a person said of where files are. */
export interface FilePlaces {
  needsData: boolean;
  picked: readonly PickedFile[];
  dataAddress: string;
  /** By the folders of students as experiments name them. */
  pickedStudents: Readonly<Record<string, Record<string, Blob>>>;
}

export const NO_DATA = 'This experiment reads files of your own: pick its data folder, or give its address.';

/** The student that comes with the page, by its address: picked files and other servers do not have it. */
function bundledFrom(pageBase: string, experiment: Experiment): Experiment {
  const { source } = experiment.student;
  if (source.kind !== 'bundled') return experiment;
  const url = new URL(`students/${source.name}/`, pageBase).href;
  return { ...experiment, student: { ...experiment.student, source: { kind: 'url', url } } };
}

function withData(
  experiment: Experiment,
  { needsData, picked, dataAddress }: FilePlaces,
  pageBase: string,
  paths: (experiment: Experiment) => string[],
): PreparedRun {
  if (!needsData) {
    // The page serves the project's experiments/ and test/fixtures/lesson/ beside each other, as in the repository.
    return { experiment: resolvePaths(experiment, { base: 'experiments' }), files: { kind: 'http', base: pageBase } };
  }
  const resolved = bundledFrom(pageBase, resolvePaths(experiment, { base: '', data: '.' }));
  if (picked.length > 0) return { experiment: resolved, files: readPicked(resolved, picked, paths(resolved)) };
  const address = dataAddress.trim();
  if (address === '') throw new PupilError('source', NO_DATA);
  try {
    return {
      experiment: resolved,
      files: { kind: 'http', base: new URL(address.replace(/\/*$/, '/'), pageBase).href },
    };
  } catch (cause) {
    throw new PupilError('source', `data address: expected a URL, got ${address}`, undefined, { cause });
  }
}

/**
 * @param paths which of its files must be there.
 * @throws PupilError `source` where none can be.
 */
export function locate(
  experiment: Experiment,
  places: FilePlaces,
  pageBase: string,
  paths: (experiment: Experiment) => string[],
): PreparedRun {
  const prepared = withData(experiment, places, pageBase, paths);
  const { source } = prepared.experiment.student;
  const at = studentFolder(source);
  const student = isPicked(source) ? places.pickedStudents[at] : undefined;
  if (student === undefined) return prepared;
  return { ...prepared, files: { kind: 'mounted', at, root: { kind: 'blobs', files: student }, rest: prepared.files } };
}
