// preview.ts: what a run would read from files, shown before anything is trained: a teacher's demonstrations of a task, and a
// task of one's own. The same readers as a run's, with everything that is left out and why. It changes and keeps nothing.
import { PupilError } from '../base/errors';
import { wilsonInterval } from '../base/statistics';
import { parseExperiment, type Experiment } from '../config/experiment';
import type { SourceText } from '../formats/rows';
import type { OpenRoot } from '../sources/openRoot';
import { readCustomItems, tableRows } from '../tasks/custom';
import { guessMapping } from '../tasks/mapping';
import { splitItems } from '../tasks/split';
import type { LoadedItems } from '../tasks/task';
import { teacherWasRight } from '../teachers/demonstration';
import { readDemonstrations } from '../teachers/disk';
import { guessFormat, type FormatGuess } from '../teachers/diskGuess';
import { dataFiles } from './dataFiles';
import type {
  DemonstrationsPreview,
  DemonstrationsPreviewRequest,
  PickedContents,
  PreviewedItem,
  TaskPreview,
  TaskPreviewRequest,
} from './previewTypes';
import { findTask, readExperiment, splitTask, teacherTask } from './taskItems';

type ReadText = (path: string) => Promise<string>;

/** Picked files first, by their names; all others as a run reads them. */
function reader(files: OpenRoot, contents: PickedContents = {}): ReadText {
  const readBytes = async (path: string): Promise<Uint8Array> =>
    (Object.hasOwn(contents, path) ? contents[path] : undefined) ?? files.readBytes(path);
  return dataFiles({ readBytes }).readText;
}

/** The entry as a run would have it: checked with the experiment around it, which may lack it still. */
function completeEntry(
  experiment: Experiment,
  entry: DemonstrationsPreviewRequest['entry'],
  guess: FormatGuess,
): DemonstrationsPreview['entry'] {
  const format = entry.format ?? guess.format;
  const fields = format === 'fields' ? (entry.fields ?? guess.fields) : undefined;
  if (format === 'fields' && fields === undefined) return undefined;
  const { fields: _, ...rest } = entry;
  const document = {
    ...experiment,
    demonstrations: [{ ...rest, format, ...(fields === undefined ? {} : { fields }) }],
    // Of this task alone: phases that want other tasks' demonstrations do not matter here.
    phases: { baseline: true, instruct: false, selfRefine: false },
  };
  return parseExperiment(document).demonstrations[0];
}

/**
 * A teacher's demonstrations as a run would read them.
 *
 * @param files the request's, opened.
 * @throws PupilError `usage` for a task that the experiment does not have, `config` for an entry that no experiment may have,
 *   `source` for files that are not there, `format` and `data` for files that cannot be used at all.
 */
export async function previewDemonstrations(
  request: DemonstrationsPreviewRequest,
  files: OpenRoot,
): Promise<DemonstrationsPreview> {
  const experiment = readExperiment(request.experiment);
  const config = findTask(experiment, request.entry.task);
  const readText = reader(files, request.contents);
  const [first] = request.entry.files;
  if (first === undefined) throw new PupilError('usage', 'preview: expected at least one file, got none');
  const guess = guessFormat({ path: first, text: await readText(first) });
  const entry = completeEntry(experiment, request.entry, guess);
  const warnings: string[] = [];
  const { train, test } = await splitTask(config, { readText }, (text) => warnings.push(text));
  const training = new Set(train.map(({ id }) => id));
  const found =
    entry === undefined
      ? { demonstrations: [], rejected: [], unknownIds: [] }
      : await readDemonstrations(entry, teacherTask(config.name, config.id, [...train, ...test]), readText);
  const demonstrations = found.demonstrations.map((one) => ({ ...one, inTraining: training.has(one.itemId) }));
  const judged = demonstrations.filter(({ inTraining }) => inTraining);
  const correct = judged.filter(teacherWasRight).length;
  return {
    guess,
    ...(entry === undefined ? {} : { entry }),
    demonstrations,
    rejected: found.rejected,
    unknownIds: found.unknownIds,
    trainItems: training.size,
    covered: new Set(judged.map(({ itemId }) => itemId)).size,
    teacher: { n: judged.length, correct, ...wilsonInterval(correct, judged.length) },
    warnings,
  };
}

/** Rows that are shown as they stand. */
const FIRST_ROWS = 5;

/**
 * A task of one's own as a run would read and split it.
 *
 * @param files the request's, opened.
 * @throws PupilError `config` for a split that is not to be had, `source` and `format` for files that cannot be read.
 */
export async function previewTask({ task, contents }: TaskPreviewRequest, files: OpenRoot): Promise<TaskPreview> {
  const readText = reader(files, contents);
  const read = (paths: readonly string[]): Promise<SourceText[]> =>
    Promise.all(paths.map(async (path) => ({ path, text: await readText(path) })));
  const parts: { all: SourceText[] } | { train: SourceText[]; test: SourceText[] } =
    'all' in task.files
      ? { all: await read(task.files.all) }
      : { train: await read(task.files.train), test: await read(task.files.test) };
  const sources = 'all' in parts ? parts.all : [...parts.train, ...parts.test];
  const rows = tableRows(sources);
  const guess = guessMapping(rows);
  const mapping = task.mapping ?? guess.mapping;
  const looked = {
    columns: [...new Set(rows.flatMap((row) => Object.keys(row)))],
    firstRows: rows.slice(0, FIRST_ROWS),
    guess: guess.reason,
  };
  if (mapping === undefined) {
    return { ...looked, items: [], rejected: [], duplicates: 0, conflicting: [], trainInTest: 0 };
  }
  const itemsOf = (texts: readonly SourceText[]): LoadedItems => readCustomItems(texts, mapping);
  const loaded =
    'all' in parts
      ? { pool: itemsOf(parts.all) }
      : // Which option a number means is each side's own, as in a run.
        { train: itemsOf(parts.train), test: itemsOf(parts.test) };
  const split = splitItems(
    'pool' in loaded ? { pool: loaded.pool.items } : { train: loaded.train.items, test: loaded.test.items },
    { order: 'shuffled', seed: 0, balanceTargets: false, ...task.split },
  );
  const dropped = new Map(split.dropped.map(({ itemId, reason }) => [itemId, reason]));
  // By object: a file may give one id to several rows.
  const [training, testing] = [new Set(split.train), new Set(split.test)];
  const both = 'pool' in loaded ? [loaded.pool] : [loaded.train, loaded.test];
  const items = both
    .flatMap((one) => one.items)
    .map((item): PreviewedItem => {
      const { id, question, choices, target } = item;
      const shown = { id, question, ...(choices === undefined ? {} : { choices }), target };
      if (training.has(item)) return { ...shown, part: 'train' };
      if (testing.has(item)) return { ...shown, part: 'test' };
      const reason = dropped.get(id);
      return { ...shown, part: 'dropped', ...(reason === undefined ? {} : { reason }) };
    });
  return {
    ...looked,
    mapping,
    items,
    rejected: both.flatMap((one) => one.rejected),
    duplicates: split.duplicates,
    conflicting: split.conflicting,
    trainInTest: split.dropped.filter(({ reason }) => reason === 'question is in the test set too').length,
  };
}
