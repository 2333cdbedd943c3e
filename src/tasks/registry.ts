// registry.ts: the benchmarks by id. Adding one: write its file, name it here and in TASK_IDS of config/taskSchema.ts.
import type { TaskId } from '../config/experiment';
import { addsub } from './addsub';
import { csqa } from './csqa';
import { custom } from './custom';
import { gsm8k } from './gsm8k';
import { lesson, lessonKinds, lessonStories, lessonSums, lessonTools } from './lesson';
import { math } from './math';
import { mmlu } from './mmlu';
import { multiarith } from './multiarith';
import { obqa } from './obqa';
import { piqa } from './piqa';
import { singleeq } from './singleeq';
import { siqa } from './siqa';
import { strategyqa } from './strategyqa';
import { svamp } from './svamp';
import type { Task } from './task';

export const TASKS: Readonly<Record<TaskId, Task>> = {
  obqa,
  csqa,
  piqa,
  siqa,
  gsm8k,
  multiarith,
  math,
  mmlu,
  strategyqa,
  svamp,
  addsub,
  singleeq,
  custom,
  lesson,
  'lesson-stories': lessonStories,
  'lesson-sums': lessonSums,
  'lesson-kinds': lessonKinds,
  'lesson-tools': lessonTools,
};
