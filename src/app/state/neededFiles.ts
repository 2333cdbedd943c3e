// neededFiles.ts: which files the experiment of a stored run names, and where this page finds each: served with the page, among files
// that a person picked, or nowhere. A run of the command line names folders of its machine; a resume compares what they hold, so
// it does not matter where they lie. It reads nothing.
import type { Experiment } from '../../config/experiment';
import { localPaths } from '../../config/paths';
import { isPicked, studentFolder } from '../../config/studentFolder';
import type { FileRoot } from '../../session/protocol';
import { findPicked, type PickedFile } from '../pickedFiles';

export interface NeededFile {
  /** A file, or the folder of a student, as the experiment names it. */
  path: string;
  what: 'student' | 'tokenizer' | 'data';
  from: 'page' | 'picked' | 'nowhere';
  /** What stands for a folder of the experiment's names; absent where nothing does. */
  mount?: Mount;
}

interface Mount {
  at: string;
  root: FileRoot;
}

/** What this page has. */
export interface Places {
  files: readonly PickedFile[];
  /** By the folders of students as experiments name them. */
  pickedStudents: Readonly<Record<string, Record<string, Blob>>>;
  /** The folder that the page was served from. */
  pageBase: string;
}

/** What comes with the page, by the ends of the paths under which the command line knows it. */
const STUDENT_HERE = /(?:^|\/)(students\/lesson)\/?$/;
const DATA_HERE = /(?:^|\/)(test\/fixtures\/lesson)\/[^/]+$/;

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/**
 * Files and folders that an experiment names, the student first. What lies on a server, is generated (the lesson's), or kept in this
 * browser is none.
 */
export function neededFiles(experiment: Experiment, places: Places): NeededFile[] {
  const { source, tokenizer } = experiment.student;
  const byPath = new Map(places.files.map(({ path, blob }) => [path, blob]));
  // The path of a picked folder looks like an address.
  const paths = [...(isPicked(source) ? [studentFolder(source)] : []), ...localPaths(experiment)];
  return paths.map((path) => {
    const what = source.kind === 'directory' && path === source.path ? 'student' : 'data';
    const isTokenizer = tokenizer.kind !== 'student' && path === tokenizer.path;
    const student = places.pickedStudents[path];
    const found: Pick<NeededFile, 'from' | 'mount'> =
      student === undefined
        ? find(path, what, byPath, places.pageBase)
        : { from: 'picked', mount: { at: path, root: { kind: 'blobs', files: student } } };
    return { path, ...found, what: isTokenizer ? 'tokenizer' : what };
  });
}

function find(
  path: string,
  what: 'student' | 'data',
  picked: ReadonlyMap<string, Blob>,
  pageBase: string,
): Pick<NeededFile, 'from' | 'mount'> {
  const at = what === 'student' ? path.replace(/\/+$/, '') : folderOf(path);
  const served = (what === 'student' ? STUDENT_HERE : DATA_HERE).exec(path)?.[1];
  if (served !== undefined) {
    return { from: 'page', mount: { at, root: { kind: 'http', base: new URL(`${served}/`, pageBase).href } } };
  }
  const paths = [...picked.keys()];
  // A student's folder may be called anything: with a config.json at its top it is one.
  const whole = what === 'student' && picked.has('config.json');
  const places =
    findPicked(path, paths) ?? (whole ? paths.map((one) => ({ picked: one, as: `${at}/${one}` })) : undefined);
  if (places === undefined) return { from: 'nowhere' };
  const files = Object.fromEntries(places.map((place) => [place.as.slice(at.length + 1), picked.get(place.picked)!]));
  return { from: 'picked', mount: { at, root: { kind: 'blobs', files } } };
}

/** The files as a session is given them: under the names that the experiment has for them. */
export function filesHere(needed: readonly NeededFile[], pageBase: string): FileRoot {
  const roots = new Map<string, FileRoot>();
  for (const { mount } of needed) {
    if (mount === undefined) continue;
    const { at, root } = mount;
    const known = roots.get(at);
    const both = known?.kind === 'blobs' && root.kind === 'blobs';
    roots.set(at, both ? { kind: 'blobs', files: { ...known.files, ...root.files } } : root);
  }
  let files: FileRoot = { kind: 'http', base: pageBase };
  for (const [at, root] of roots) files = { kind: 'mounted', at, root, rest: files };
  return files;
}
