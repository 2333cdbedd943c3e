// teach.ts: `pupil teach`, and the same from a page: a task's items read as for an experiment, a teacher behind an API asked
// about them, its demonstrations delivered. How a teacher is asked is apiWork.ts; nothing here needs a GPU.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { TASK_IDS } from '../config/experiment';
import { BROWSER_PROVIDER } from '../config/browserProvider';
import { integer, nonEmptyText } from '../config/fields';
import { MappingSchema } from '../config/taskSchema';
import { openFileRoot, type FileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import type { AnswerStore } from '../storage/answerStore';
import { chooseMapping, type ChosenMapping } from '../tasks/custom';
import { TASKS } from '../tasks/registry';
import type { TaskItem } from '../tasks/task';
import { planLesson, type LessonPlan } from '../teachers/apiPlan';
import type { TeacherTask } from '../teachers/demonstration';
import { sendLocally, type AnswerLocally } from '../teachers/localTeacher';
import {
  API_ENTRIES,
  askPlan,
  estimateWork,
  openApi,
  openBrowserModel,
  readRequest,
  type ApiWorkOptions,
  type OpenApi,
} from './apiWork';
import { dataFiles, type DataFiles } from './dataFiles';
import { jsonLines } from './jsonLines';
import type { TeachEstimate, TeachRequest, TeachSummary } from './protocol';
import { findTask, readExperiment, readTaskItems, splitTask, teacherTask } from './taskItems';

/** All of a request but its files, which are opened, and its key, which no message may repeat. */
const RequestSchema = v.object({
  ...API_ENTRIES,
  task: v.exactOptional(v.picklist(TASK_IDS)),
  paths: v.exactOptional(v.pipe(v.array(nonEmptyText), v.minLength(1))),
  trainingOf: v.exactOptional(v.object({ experiment: v.unknown(), task: nonEmptyText })),
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

/** What a session has that a request needs. */
export interface TeachPlaces {
  answers: AnswerStore;
  /** How a root is opened; absent: as it is, without kept files. */
  open?: (root: FileRoot) => OpenRoot;
}

type Wanted = Pick<v.InferOutput<typeof RequestSchema>, 'task' | 'paths' | 'trainingOf' | 'mapping'>;

/** The items that are to be answered, and the task as the teacher needs it. */
async function readWanted(
  { task: id, paths, trainingOf, mapping }: Wanted,
  files: DataFiles,
  warn: (text: string) => void,
): Promise<{ task: TeacherTask; items: TaskItem[]; columns: ChosenMapping | undefined }> {
  if (mapping !== undefined && id !== 'custom') {
    throw new PupilError(
      'usage',
      `teach: mapping: expected the task custom, whose columns it names, got ${id ?? 'a task of an experiment'}`,
    );
  }
  if (trainingOf !== undefined && id === undefined && paths === undefined) {
    const config = findTask(readExperiment(trainingOf.experiment), trainingOf.task);
    const { train } = await splitTask(config, files, warn);
    return { task: teacherTask(config.name, config.id, train), items: train, columns: undefined };
  }
  if (trainingOf !== undefined || id === undefined || paths === undefined) {
    throw new PupilError('usage', 'teach: expected a task with its files, or a task of an experiment, and not both');
  }
  const columns =
    id === 'custom'
      ? chooseMapping(
          await Promise.all(paths.map(async (path) => ({ path, text: await files.readText(path) }))),
          mapping,
        )
      : undefined;
  const config = { name: id, ...(columns === undefined ? {} : { mapping: columns.mapping }) };
  const items = await readTaskItems(TASKS[id], config, paths, files, warn);
  return { task: teacherTask(id, id, items), items, columns };
}

async function openRequest(request: TeachRequest, { answers, open = openFileRoot }: TeachPlaces): Promise<Opened> {
  const parsed = readRequest('teach', RequestSchema, request);
  const { model, limit, samples, family, label = model } = parsed;
  const api = parsed.provider === BROWSER_PROVIDER.id ? openBrowserModel(request) : openApi('teach', request);
  const wanted = await readWanted(parsed, dataFiles(open(request.files)), (text) => api.warnings.push(text));
  const items = wanted.items.slice(0, limit ?? wanted.items.length);
  const plan = await planLesson({ task: wanted.task, items, chat: api.chat, samples, label, family }, answers);
  return { plan, api, columns: wanted.columns };
}

/**
 * What a request would need, by its items and by what the store knows already. Sends nothing.
 *
 * @throws PupilError `usage` for the request, `source` and `data` for its files, `storage` of the store.
 */
export async function estimateForRequest(request: TeachRequest, places: TeachPlaces): Promise<TeachEstimate> {
  const { plan, api, columns } = await openRequest(request, places);
  return { ...estimateWork(plan, api, request), ...(columns === undefined ? {} : { columns }) };
}

/**
 * Asks, and delivers what was answered, whatever the end.
 *
 * @throws PupilError as {@link estimateForRequest}, before anything is sent; and what writing `out` throws.
 */
export async function teachForRequest(
  request: TeachRequest,
  { answer, ...options }: ApiWorkOptions & TeachPlaces & { answer?: AnswerLocally | undefined },
): Promise<TeachSummary> {
  if ((request.provider === BROWSER_PROVIDER.id) !== (answer !== undefined)) {
    throw new PupilError(
      'usage',
      `teach: expected a model to answer for the provider ${BROWSER_PROVIDER.id} and for no other, got ${request.provider}`,
      'The page has one in its section Teachers; the command line asks models behind an API.',
    );
  }
  const { plan, api } = await openRequest(request, options);
  const { result, summary } = await askPlan(plan, api, request, {
    ...options,
    ...(answer === undefined ? {} : { sendOnce: sendLocally(answer) }),
  });
  const { demonstrations, correct, accuracy, interval } = result;
  if (request.out !== undefined && demonstrations.length > 0) {
    await openFileRoot(request.out.root).write(request.out.path, jsonLines(demonstrations));
  }
  return { ...summary, demonstrations, correct, accuracy, interval };
}
