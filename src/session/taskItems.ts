// taskItems.ts: a task's files read into items, and the task as teachers need it: the same for an experiment, whose
// demonstrations lie on disk, and for a teacher that is asked anew. Splitting and encoding are prepare.ts's.
import { PupilError } from '../base/errors';
import type { Once } from '../base/once';
import { parseExperiment, type Experiment, type TaskConfig, type TaskId } from '../config/experiment';
import { resolvePaths } from '../config/paths';
import { TASKS } from '../tasks/registry';
import { judgeItem } from '../tasks/score';
import { splitItems, type Split } from '../tasks/split';
import type { Task, TaskItem } from '../tasks/task';
import type { TeacherTask } from '../teachers/demonstration';
import type { DataFiles } from './dataFiles';

/**
 * Items in the order of the files. Rows that cannot be used are told as one warning.
 * @param config the task's name, for the warning, and where its columns are, for files of one's own.
 */
export async function readTaskItems(
  task: Task,
  config: Pick<TaskConfig, 'name' | 'mapping'>,
  paths: readonly string[],
  files: DataFiles,
  warn: (text: string) => void,
): Promise<TaskItem[]> {
  const sources = await Promise.all(paths.map(async (path) => ({ path, text: await files.readText(path) })));
  const { items, rejected } = task.load(sources, config.mapping);
  const [first] = rejected;
  if (first !== undefined) {
    warn(
      `${config.name}: ${rejected.length} rows of ${paths.join(', ')} cannot be used, first ${first.path}:${first.line}: ${first.reason}`,
    );
  }
  return items;
}

/** A request's experiment, checked, with `{seed}` filled in. Relative paths stay relative to the request's files. */
export function readExperiment(document: unknown): Experiment {
  return resolvePaths(parseExperiment(document), { base: '' });
}

/** @throws PupilError `usage` where the experiment has no task of this name. */
export function findTask({ tasks }: Experiment, name: string): TaskConfig {
  const found = tasks.find((task) => task.name === name);
  if (found !== undefined) return found;
  const names = tasks.map((task) => task.name).join(', ');
  throw new PupilError('usage', `task: expected one of this experiment (${names}), got ${JSON.stringify(name)}`);
}

/** Training and test items of a task of an experiment. Warnings as of {@link readTaskItems}. */
export async function splitTask(
  config: Omit<TaskConfig, 'use'>,
  files: DataFiles,
  warn: (text: string) => void,
): Promise<Split> {
  const load = async (paths: readonly string[]): Promise<TaskItem[]> =>
    paths.length === 0 ? [] : readTaskItems(TASKS[config.id], config, paths, files, warn);
  return splitItems(
    'all' in config.files
      ? { pool: await load(config.files.all) }
      : { train: await load(config.files.train), test: await load(config.files.test) },
    config.split,
  );
}

/** A split, with what was said of its rows. */
export interface ReadSplit {
  split: Split;
  warnings: string[];
}

/** As {@link splitTask}; of tasks that differ in their use only, once. */
export function readSplit({ use: _, ...config }: TaskConfig, files: DataFiles, once: Once): Promise<ReadSplit> {
  return once.of('split', config, async () => {
    const warnings: string[] = [];
    const split = await splitTask(config, files, (text) => warnings.push(text));
    return { split, warnings };
  });
}

/** A task of an experiment with its items, for teachers. */
export function teacherTask(name: string, id: TaskId, items: readonly TaskItem[]): TeacherTask {
  const task = TASKS[id];
  return {
    id: name,
    items,
    plainPrompt: (item) => task.plainPrompt(item),
    cotPrompt: (item) => task.cotPrompt(item),
    isCorrect: (item, text) => judgeItem(task.kind, item, text).correct,
  };
}
