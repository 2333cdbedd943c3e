// taskItems.ts: a task's files read into items, and the task as teachers need it: the same for an experiment, whose
// demonstrations lie on disk, and for a teacher that is asked anew. Splitting and encoding are prepare.ts's.
import type { TaskConfig, TaskId } from '../config/experiment';
import { TASKS } from '../tasks/registry';
import { judgeItem } from '../tasks/score';
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
