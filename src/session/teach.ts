// teach.ts: `pupil teach`, and the same from a page: a task's items read as for an experiment, a teacher behind an API asked
// about them, its demonstrations delivered. How a teacher is asked is teachers/apiTeacher.ts; nothing here needs a GPU.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { findProvider, readBaseUrl, readKey, type ApiProvider } from '../config/apiProviders';
import { TASK_IDS } from '../config/experiment';
import { integer, nonEmptyText, positive, real } from '../config/fields';
import { listProblems } from '../config/problems';
import { openFileRoot, type FileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import type { AnswerStore } from '../storage/answerStore';
import { TASKS } from '../tasks/registry';
import type { TaskItem } from '../tasks/task';
import { endInWords, nearnessOf } from '../teachers/apiAdvice';
import { systemClock, type Clock } from '../teachers/apiRequest';
import { estimateLesson, planLesson, type LessonPlan } from '../teachers/apiPlan';
import { teachLesson } from '../teachers/apiTeacher';
import type { TeacherTask } from '../teachers/demonstration';
import { jsonLines } from './artefacts';
import type { RunControl } from './control';
import { withLessonFiles } from './lessonFiles';
import { inBrowser } from './load';
import type { TeachEstimate, TeachEvent, TeachRequest, TeachSummary } from './protocol';
import { findTask, readExperiment, readTaskItems, splitTask, teacherTask } from './taskItems';

const price = real(0, 1e6);

/** All of a request but its files, which are opened, and its key, which no message may repeat. */
const RequestSchema = v.object({
  task: v.exactOptional(v.picklist(TASK_IDS)),
  paths: v.exactOptional(v.pipe(v.array(nonEmptyText), v.minLength(1))),
  trainingOf: v.exactOptional(v.object({ experiment: v.unknown(), task: nonEmptyText })),
  provider: nonEmptyText,
  baseUrl: v.exactOptional(v.string()),
  model: nonEmptyText,
  system: v.exactOptional(nonEmptyText),
  temperature: v.exactOptional(real(0, 2)),
  topP: v.exactOptional(real(0, 1)),
  maxTokens: integer(1, 1e6),
  samples: integer(1, 1000),
  limit: v.exactOptional(integer(1)),
  label: v.exactOptional(nonEmptyText),
  family: v.picklist(['in-family', 'out-family']),
  concurrency: v.exactOptional(integer(1, 256)),
  timeoutSeconds: v.exactOptional(positive(86_400)),
  prices: v.exactOptional(v.strictObject({ inputPerMillion: price, outputPerMillion: price })),
  budget: v.exactOptional(v.strictObject({ tokens: v.exactOptional(integer(0)), cost: v.exactOptional(real(0, 1e9)) })),
  retryFailed: v.exactOptional(v.boolean()),
});

/** What a session has that a request needs. */
export interface TeachPlaces {
  answers: AnswerStore;
  /** How a root is opened; absent: as it is, without kept files. */
  open?: (root: FileRoot) => OpenRoot;
}

/** A request that has been checked, with its items. */
interface Opened {
  plan: LessonPlan;
  provider: ApiProvider;
  baseUrl: string;
  key: string | undefined;
  warnings: string[];
}

type Wanted = Pick<v.InferOutput<typeof RequestSchema>, 'task' | 'paths' | 'trainingOf'>;

/** The items that are to be answered, and the task as the teacher needs it. */
async function readWanted(
  { task: id, paths, trainingOf }: Wanted,
  files: OpenRoot,
  warn: (text: string) => void,
): Promise<{ task: TeacherTask; items: TaskItem[] }> {
  const both = id !== undefined && paths !== undefined;
  if (both === (trainingOf !== undefined)) {
    throw new PupilError('usage', 'teach: expected a task with its files, or a task of an experiment, and not both');
  }
  if (trainingOf !== undefined) {
    const config = findTask(readExperiment(trainingOf.experiment), trainingOf.task);
    const { train } = await splitTask(config, files, warn);
    return { task: teacherTask(config.name, config.id, train), items: train };
  }
  const items = await readTaskItems(TASKS[id!], { name: id! }, paths!, files, warn);
  return { task: teacherTask(id!, id!, items), items };
}

async function openRequest(request: TeachRequest, { answers, open = openFileRoot }: TeachPlaces): Promise<Opened> {
  const parsed = v.safeParse(RequestSchema, request);
  if (!parsed.success) {
    const [first] = listProblems(parsed.issues);
    throw new PupilError('usage', `teach: ${first!.path}: expected ${first!.expected}, got ${first!.value}`);
  }
  const { model, limit, samples, family, label = model, budget, prices } = parsed.output;
  const provider = findProvider(parsed.output.provider);
  const given = parsed.output.baseUrl ?? provider.baseUrl;
  if (given === undefined) {
    throw new PupilError('usage', 'teach: expected a base URL for another server', 'It usually ends with /v1.');
  }
  const baseUrl = readBaseUrl(given);
  const key = readKey(request.key);
  if (budget?.cost !== undefined && prices === undefined) {
    throw new PupilError(
      'usage',
      'teach: expected prices, since the budget is one of money',
      'Give the prices of a million tokens in and out, or a budget of tokens.',
    );
  }
  const warnings: string[] = [];
  const target = new URL(baseUrl);
  if (key !== undefined && target.protocol === 'http:' && nearnessOf(target.hostname) === 'public') {
    warnings.push(`the key goes to ${target.host} without encryption: use https where the server has it`);
  }
  const files = withLessonFiles(open(request.files));
  const wanted = await readWanted(parsed.output, files, (text) => warnings.push(text));
  const items = wanted.items.slice(0, limit ?? wanted.items.length);
  const { system, temperature, topP, maxTokens } = parsed.output;
  const plan = await planLesson(
    {
      task: wanted.task,
      items,
      chat: {
        dialect: provider.dialect,
        baseUrl,
        model,
        ...(system === undefined ? {} : { system }),
        ...(temperature === undefined ? {} : { temperature }),
        ...(topP === undefined ? {} : { topP }),
        maxTokens,
      },
      samples,
      label,
      family,
    },
    answers,
  );
  return { plan, provider, baseUrl, key, warnings };
}

/** At once: as many as the provider bears, or as the request allows. */
function concurrencyOf({ concurrency }: ApiProvider, most: number | undefined): ApiProvider['concurrency'] {
  if (most === undefined) return concurrency;
  return { start: Math.min(concurrency.start, most), most };
}

/**
 * What a request would need, by its items and by what the store knows already. Sends nothing.
 *
 * @throws PupilError `usage` for the request, `source` and `data` for its files, `storage` of the store.
 */
export async function estimateForRequest(request: TeachRequest, places: TeachPlaces): Promise<TeachEstimate> {
  const { plan, provider, baseUrl, warnings } = await openRequest(request, places);
  const estimate = estimateLesson(plan, {
    retryFailed: request.retryFailed === true,
    concurrency: concurrencyOf(provider, request.concurrency).start,
    prices: request.prices,
  });
  return { ...estimate, model: request.model, baseUrl, warnings };
}

export interface TeachOptions extends TeachPlaces {
  control: RunControl;
  onEvent: (event: TeachEvent) => void;
  /** For tests. */
  fetch?: typeof fetch;
  clock?: Clock;
}

/** Progress is told at most this often, and at the end. */
const PROGRESS_MS = 250;
/** Failures of single attempts that are told in words: a server that is down says the same a thousand times. */
const TOLD_TROUBLES = 50;

/**
 * Asks, and delivers what was answered, whatever the end.
 *
 * @throws PupilError as {@link estimateForRequest}, before anything is sent; and what writing `out` throws.
 */
export async function teachForRequest(request: TeachRequest, options: TeachOptions): Promise<TeachSummary> {
  const { control, onEvent, answers, clock = systemClock } = options;
  const startedAt = clock.now();
  const { plan, provider, baseUrl, key, warnings } = await openRequest(request, options);
  const log = (level: 'info' | 'warning', message: string): void => onEvent({ type: 'log', level, message });
  for (const warning of warnings) log('warning', warning);
  const total = request.timeoutSeconds === undefined ? undefined : request.timeoutSeconds * 1000;
  let toldAt = -Infinity;
  let troubles = 0;
  onEvent({ type: 'state', state: 'running' });
  const { end, ...result } = await teachLesson(plan, {
    cache: answers,
    retryFailed: request.retryFailed === true,
    ...(request.prices === undefined ? {} : { prices: request.prices }),
    ...(request.budget === undefined ? {} : { budget: request.budget }),
    provider: { ...provider, concurrency: concurrencyOf(provider, request.concurrency) },
    ...(total === undefined ? {} : { timeouts: { firstByteMs: total, totalMs: total } }),
    key,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    clock,
    signal: control.signal,
    gate: () =>
      control.pass({
        beforePause: () => Promise.resolve(), // answers are kept as they come
        onPaused: () => onEvent({ type: 'state', state: 'paused' }),
        onResumed: () => onEvent({ type: 'state', state: 'running' }),
      }),
    onProgress: (progress) => {
      const now = clock.now();
      if (now - toldAt < PROGRESS_MS && progress.running > 0) return;
      toldAt = now;
      onEvent({ type: 'teach-progress', ...progress });
    },
    onTrouble: (text) => {
      if (++troubles <= TOLD_TROUBLES) log('info', text);
      else if (troubles === TOLD_TROUBLES + 1) log('info', 'more of this is not told');
    },
  });
  if (request.out !== undefined && result.demonstrations.length > 0) {
    await openFileRoot(request.out.root).write(request.out.path, jsonLines(result.demonstrations));
  }
  const origin = inBrowser() ? globalThis.location?.origin : undefined;
  return {
    ...result,
    reason: end.reason,
    ...endInWords(end, provider, baseUrl, origin),
    label: plan.lesson.label,
    model: request.model,
    seconds: (clock.now() - startedAt) / 1000,
  };
}
