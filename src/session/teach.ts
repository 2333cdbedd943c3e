// teach.ts: `pupil teach`, and the same from a page: a task's items read as for an experiment, a teacher behind an API asked
// about them, its demonstrations delivered. How a teacher is asked is apiWork.ts; nothing here needs a GPU.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { TASK_IDS } from '../config/experiment';
import { integer, nonEmptyText } from '../config/fields';
import { MappingSchema } from '../config/taskSchema';
import { openFileRoot } from '../sources/fileRoot';
import type { AnswerStore } from '../storage/answerStore';
import { chooseMapping, type ChosenMapping } from '../tasks/custom';
import { TASKS } from '../tasks/registry';
import { planLesson, type LessonPlan } from '../teachers/apiPlan';
import { API_ENTRIES, askPlan, estimateWork, openApi, readRequest, type ApiWorkOptions, type OpenApi } from './apiWork';
import { dataFiles } from './dataFiles';
import { jsonLines } from './jsonLines';
import type { TeachEstimate, TeachRequest, TeachSummary } from './protocol';
import { readTaskItems, teacherTask } from './taskItems';

/** All of a request but its files, which are opened, and its key, which no message may repeat. */
const RequestSchema = v.object({
  ...API_ENTRIES,
  task: v.picklist(TASK_IDS),
  paths: v.pipe(v.array(nonEmptyText), v.minLength(1)),
  samples: integer(1, 1000),
  limit: v.exactOptional(integer(1)),
  mapping: v.exactOptional(MappingSchema),
  family: v.picklist(['in-family', 'out-family']),
});

/** A request that has been checked, with its items. */
interface Opened {
  plan: LessonPlan;
  api: OpenApi;
  /** Of a task of one's own. */
  columns: ChosenMapping | undefined;
}

async function openRequest(request: TeachRequest, answers: AnswerStore): Promise<Opened> {
  const parsed = readRequest('teach', RequestSchema, request);
  const { task: id, paths, model, limit, samples, family, label = model } = parsed;
  if (parsed.mapping !== undefined && id !== 'custom') {
    throw new PupilError('usage', `teach: mapping: expected the task custom, whose columns it names, got ${id}`);
  }
  const api = openApi('teach', request);
  const task = TASKS[id];
  const files = dataFiles(openFileRoot(request.files));
  const columns =
    id === 'custom'
      ? chooseMapping(
          await Promise.all(paths.map(async (path) => ({ path, text: await files.readText(path) }))),
          parsed.mapping,
        )
      : undefined;
  const config = { name: id, ...(columns === undefined ? {} : { mapping: columns.mapping }) };
  const all = await readTaskItems(task, config, paths, files, (text) => api.warnings.push(text));
  const items = all.slice(0, limit ?? all.length);
  const plan = await planLesson(
    { task: teacherTask(id, id, items), items, chat: api.chat, samples, label, family },
    answers,
  );
  return { plan, api, columns };
}

/**
 * What a request would need, by its items and by what the store knows already. Sends nothing.
 *
 * @throws PupilError `usage` for the request, `source` and `data` for its files, `storage` of the store.
 */
export async function estimateForRequest(request: TeachRequest, answers: AnswerStore): Promise<TeachEstimate> {
  const { plan, api, columns } = await openRequest(request, answers);
  return { ...estimateWork(plan, api, request), ...(columns === undefined ? {} : { columns }) };
}

/**
 * Asks, and delivers what was answered, whatever the end.
 *
 * @throws PupilError as {@link estimateForRequest}, before anything is sent; and what writing `out` throws.
 */
export async function teachForRequest(request: TeachRequest, options: ApiWorkOptions): Promise<TeachSummary> {
  const { plan, api } = await openRequest(request, options.answers);
  const { result, summary } = await askPlan(plan, api, request, options);
  const { demonstrations, correct, accuracy, interval } = result;
  if (request.out !== undefined && demonstrations.length > 0) {
    await openFileRoot(request.out.root).write(request.out.path, jsonLines(demonstrations));
  }
  return { ...summary, demonstrations, correct, accuracy, interval };
}
