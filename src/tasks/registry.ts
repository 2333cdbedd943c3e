// registry.ts: the benchmarks by id. Adding one: write its file, name it here and in TASK_IDS of config/schema.ts.
import type { TaskId } from '../config/experiment';
import { csqa } from './csqa';
import { lesson, lessonKinds, lessonStories, lessonSums, lessonTools } from './lesson';
import { multiarith } from './multiarith';
import type { Task } from './task';

export const TASKS: Readonly<Record<TaskId, Task>> = {
  multiarith,
  csqa,
  lesson,
  'lesson-stories': lessonStories,
  'lesson-sums': lessonSums,
  'lesson-kinds': lessonKinds,
  'lesson-tools': lessonTools,
};
