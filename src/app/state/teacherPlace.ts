// teacherPlace.ts: what the parts of the section Teachers share: the session, the experiment they change, and how an entry of
// demonstrations is put into it. It shows nothing.
import type { ExperimentInput } from '../../config/experiment';
import type { PickedContents, RejectedRow, SessionApi, TeacherModelApi } from '../../session/protocol';
import type { PreparedRun } from './experimentFiles';
import type { Experiments } from './experiments.svelte';
import type { KeyValue } from './keyValue';

/** A model in a worker of its own. */
export type LocalModel = TeacherModelApi & {
  /** Ends the worker at once. */
  terminate(): void;
};

export interface TeacherPlace {
  session: SessionApi;
  experiments: Experiments;
  memory: KeyValue;
  /** The chosen experiment with its data files, without its student. */
  prepareData: () => Promise<PreparedRun>;
  /** Starts a worker for a model; none is loaded yet. */
  teacherModel: () => LocalModel;
  /** Hands a file to the person. */
  save: (name: string, bytes: Uint8Array) => void;
}

export type DemonstrationsInput = NonNullable<ExperimentInput['demonstrations']>[number];

/** Picked files by their names; two of one name are told apart. */
export async function contentsOf(files: Iterable<File>): Promise<PickedContents> {
  const contents: PickedContents = {};
  for (const file of files) {
    let name = file.name;
    for (let n = 2; Object.hasOwn(contents, name); n++) name = `${n}-${file.name}`;
    contents[name] = new Uint8Array(await file.arrayBuffer());
  }
  return contents;
}

/** Keeps picked files; their paths by their names. */
export async function keepAll(session: SessionApi, contents: PickedContents): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const [name, bytes] of Object.entries(contents)) paths[name] = await session.keepFile(name, bytes);
  return paths;
}

/** A name without its folder and ending. */
export const stemOf = (name: string): string => name.replace(/^.*\//, '').replace(/\.[^.]*$/, '');

/** A teacher's label that no other entry of this task has: ids of demonstrations begin with it. */
export function freeLabel(document: ExperimentInput, task: string, wanted: string): string {
  const taken = new Set((document.demonstrations ?? []).filter((one) => one.task === task).map(({ label }) => label));
  let label = wanted;
  for (let n = 2; taken.has(label); n++) label = `${wanted} (${n})`;
  return label;
}

/** The experiment with one more teacher; its task is trained on from now on, in the phases that there are. */
export function withTeacher(
  document: ExperimentInput,
  entry: DemonstrationsInput,
  how: { alone: boolean },
): ExperimentInput {
  const { instruct, selfRefine } = document.phases;
  const others = (document.demonstrations ?? []).filter((one) => !(how.alone && one.task === entry.task));
  const phases = [
    ...(instruct === false ? [] : (['instruct'] as const)),
    ...(selfRefine === false ? [] : (['selfRefine'] as const)),
  ];
  return {
    ...document,
    demonstrations: [...others, entry],
    tasks: document.tasks.map((task) => {
      const { use } = task;
      if (task.name !== entry.task || use === undefined || use.some((what) => what !== 'evaluate')) return task;
      return { ...task, use: [...phases, ...use] };
    }),
  };
}

export const asJsonText = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;

/** An experiment's text with kept files named as files beside it, as the command line reads it; and which files these are. */
export function withPlainNames(text: string): { text: string; files: { path: string; name: string }[] } {
  const found = new Set([...text.matchAll(/"(kept:[^"\\]+)"/g)].map((match) => match[1]!));
  const files = [...found].map((path) => ({ path, name: path.slice('kept:'.length) }));
  return {
    text: files.reduce((so, { path, name }) => so.replaceAll(JSON.stringify(path), JSON.stringify(name)), text),
    files,
  };
}

/** Rows that were left out, as a text file: a line each. */
export const rejectedText = (rows: readonly RejectedRow[]): Uint8Array =>
  new TextEncoder().encode(rows.map(({ path, line, reason }) => `${path}:${line}\t${reason}\n`).join(''));
