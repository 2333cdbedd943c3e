// settingWords.ts: in what experiments differ that are otherwise alike, in words that a table has room for: tasks by their names,
// splits as one would say them, teachers by theirs, any other setting by its path and value. It compares documents as they are.
import type { Experiment, TaskId } from '../config/experiment';
import { TASKS } from '../tasks/registry';

/** An experiment without what never tells two apart (seed, names); sources and files may have been replaced. */
export type ComparedSettings = Pick<Experiment, 'tasks' | 'demonstrations'> & Record<string, unknown>;

/** Whose setting it is, '' for the experiment's own; where; its value as JSON. */
interface Leaf {
  owner: string;
  path: string;
  value: string;
}

/** Differences that the other columns of a table speak of already. */
const SPOKEN_OF = /^(use\[|files|fraction$|phases\.(instruct|selfRefine|control|baseline)\.fraction|student\.source)/;
/** Likewise, and who has such an entry at all. */
const SPOKEN_OF_WHOLE = /^(phases\.(instruct|selfRefine))$/;
const SHOWN_DIFFERENCES = 3;

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Every value of a document by its path. */
function leaves(value: unknown, owner: string, path = ''): Leaf[] {
  if (typeof value !== 'object' || value === null) return [{ owner, path, value: JSON.stringify(value) }];
  const entries = Object.entries(value);
  if (entries.length === 0) return [{ owner, path, value: Array.isArray(value) ? '[]' : '{}' }];
  return entries.flatMap(([key, one]) =>
    leaves(one, owner, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`),
  );
}

const tested = ({ tasks }: ComparedSettings): string =>
  tasks
    .filter(({ use }) => use.includes('evaluate'))
    .map(({ name }) => name)
    .join(' + ') || 'nothing';

/** `scripted on A`; a teacher's second entry for a task is another one. */
function teacherNames({ demonstrations }: ComparedSettings): string[] {
  const names = demonstrations.map(({ label, task }) => `${label} on ${task}`);
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((one) => one === name).length;
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}

function leavesOf(settings: ComparedSettings): Leaf[] {
  const { tasks, demonstrations, ...own } = settings;
  const teachers = teacherNames(settings);
  return [
    ...tasks.flatMap(({ name, ...task }) => leaves(task, name)),
    ...demonstrations.flatMap(({ label: _, task: _task, ...entry }, i) => leaves(entry, teachers[i]!)),
    ...leaves(own, ''),
  ];
}

const ALL_TRAIN = 'all training questions';
/** Of which an experiment has one or none. */
const TRAINING = ['split.trainCount', 'split.trainFraction'];

/** By path; a value as JSON, undefined where it is not there. */
const SPLIT_WORDS: Readonly<Record<string, (value: string | undefined) => string>> = {
  'split.trainCount': (count) => (count === undefined ? ALL_TRAIN : `${count} training questions`),
  'split.trainFraction': (share) =>
    share === undefined ? ALL_TRAIN : `${Number((100 * Number(share)).toFixed(1))} % of the questions to train`,
  'split.testLimit': (count) => (count === undefined ? 'all test questions' : `${count} test questions`),
  'split.seed': (seed = '0') => `split seed ${seed}`,
  'split.order': (order) => (order === '"file"' ? 'in the order of the file' : 'in shuffled order'),
  'split.balanceTargets': (balanced) => (balanced === 'true' ? 'targets balanced' : 'targets as they come'),
  id: (id) => (id === undefined ? 'not there' : (TASKS[JSON.parse(id) as TaskId]?.title ?? id)),
};

/** Of a path no more than the name of the file: cells are not told by where somebody keeps their data. */
const withoutFolders = (path: string, value: string | undefined): string =>
  value === undefined ? 'absent' : /^(files|alignedWith)\b/.test(path) ? value.replace(/^".*[/\\]/, '"') : value;

/** A difference in words, and whose it is. */
interface Said {
  of: string;
  text: string;
}

/** `400 training questions` is said of all tasks at once of which it is true. */
function wordsOf(own: readonly Leaf[], differing: readonly Pick<Leaf, 'owner' | 'path'>[]): Said[] {
  const owners = new Map<string, string[]>();
  for (const { owner, path } of differing) {
    const has = (paths: readonly string[]): boolean =>
      own.some((leaf) => leaf.owner === owner && paths.includes(leaf.path));
    const value = own.find((leaf) => leaf.owner === owner && leaf.path === path)?.value;
    if (value === undefined && TRAINING.includes(path) && has(TRAINING)) continue; // the other one says it
    const said = owner === '' ? undefined : SPLIT_WORDS[path];
    const text =
      path === ''
        ? own.some((leaf) => leaf.owner === owner) // a task or a teacher as a whole
          ? 'with'
          : 'without'
        : said === undefined
          ? `${path} ${withoutFolders(path, value)}`
          : said(value);
    owners.set(text, unique([...(owners.get(text) ?? []), owner]));
  }
  return [...owners].map(([text, of]) => {
    const names = of.join(' + ');
    return /^with(out)?$/.test(text) ? { of: '', text: `${text} ${names}` } : { of: names, text };
  });
}

/** `tested on OBQA; OBQA: 400 training questions, 100 test questions`; some of it, where it is much. */
function sentence(said: readonly Said[]): string {
  const shown = said.slice(0, SHOWN_DIFFERENCES);
  const parts = unique(shown.map(({ of }) => of)).map((name) => {
    const texts = shown.flatMap(({ of, text }) => (of === name ? [text] : [])).join(', ');
    return name === '' ? texts : `${name}: ${texts}`;
  });
  const more = said.length - shown.length;
  return `${parts.join('; ')}${more > 0 ? `, and ${more} more` : ''}`;
}

/** Of experiments that are alike in all that a table has columns for: what is left, one text each. */
export function settingWords(alike: readonly ComparedSettings[]): string[] {
  const all = alike.map(leavesOf);
  const keyOf = ({ owner, path }: Pick<Leaf, 'owner' | 'path'>): string => JSON.stringify([owner, path]);
  const values = all.map((own) => new Map(own.map((leaf) => [keyOf(leaf), leaf.value])));
  const owners = all.map((own) => new Set(own.map(({ owner }) => owner)));
  const places = new Map(all.flat().map((leaf) => [keyOf(leaf), leaf]));
  const differing = [...places].flatMap(([key, leaf]) =>
    unique(values.map((own) => own.get(key))).length > 1 ? [leaf] : [],
  );
  const tests = alike.map(tested);
  const testsDiffer = unique(tests).length > 1;
  const inAll = differing.filter(({ owner }) => owners.every((own) => own.has(owner)));
  const onlyInSome = unique(differing.filter((leaf) => !inAll.includes(leaf)).map(({ owner }) => owner));
  // A difference within what has its own column counts where there is no other; so does a task that not all of them have.
  const telling = inAll.filter(
    ({ owner, path }) => !SPOKEN_OF.test(path) && !(owner === '' && SPOKEN_OF_WHOLE.test(path)),
  );
  const rest = [...onlyInSome.map((owner) => ({ owner, path: '' })), ...inAll];
  const shown = telling.length > 0 || testsDiffer ? telling : rest;
  return alike.map(({ tasks }, i) => {
    if (differing.length === 0) return `tasks in the order ${tasks.map(({ name }) => name).join(', ')}`;
    const test = testsDiffer ? [{ of: '', text: `tested on ${tests[i]}` }] : [];
    return sentence([...test, ...wordsOf(all[i]!, shown)]);
  });
}
