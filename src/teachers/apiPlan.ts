// apiPlan.ts: which requests a lesson of a teacher behind an API consists of, what the cache knows of them, and what the rest
// would need. It sends nothing; apiTeacher.ts does.
import { PupilError } from '../base/errors';
import { entryUsage, readEntry, type AnswerCache, type CacheEntry } from './answerCache';
import type { Usage } from './apiAnswer';
import { addUsage, costOf, likelyPromptTokens, NO_USAGE, worstUsage, type Prices } from './apiBudget';
import { requestHash, type ChatRequest, type ChatSettings } from './apiRequest';
import type { Demonstration, TeacherItem, TeacherTask } from './demonstration';

/** What is to be asked. */
export interface Lesson {
  task: TeacherTask;
  /** In their order; the task's own, or some of them. */
  items: readonly TeacherItem[];
  chat: ChatSettings;
  /** Answers to each item. */
  samples: number;
  /** The teacher's name in tables and files. */
  label: string;
  family: Demonstration['family'];
}

/** One request and the answers that it stands for. */
export interface Job {
  hash: string;
  request: ChatRequest;
  worst: Usage;
}

/** A lesson with its requests, and what the cache knows of them. */
export interface LessonPlan {
  lesson: Lesson;
  /** In the order of the items, each request once. */
  jobs: Job[];
  /** The request of each item's n-th answer. */
  hashes: { item: TeacherItem; sample: number; hash: string }[];
  entries: Map<string, CacheEntry>;
}

/**
 * Works out the requests and looks them up.
 *
 * @throws PupilError `data` where two items have one id: an answer would be given to the wrong one when it is read again.
 */
export async function planLesson(lesson: Lesson, cache: AnswerCache): Promise<LessonPlan> {
  const { task, items, chat, samples } = lesson;
  const ids = new Set<string>();
  for (const { id } of items) {
    if (ids.has(id)) {
      throw new PupilError(
        'data',
        `teacher: expected items of ${task.id} with ids of their own, ${JSON.stringify(id)} occurs twice`,
        'Files of one name in several folders give such ids: name one file at a time, or rename one.',
      );
    }
    ids.add(id);
  }
  const jobs = new Map<string, Job>();
  const wanted = items.flatMap((item) => {
    const prompt = task.cotPrompt(item);
    return Array.from({ length: samples }, (_, sample) => ({ item, sample, request: { ...chat, prompt, sample } }));
  });
  const names = await Promise.all(wanted.map(({ request }) => requestHash(request)));
  const hashes = wanted.map(({ item, sample, request }, i) => {
    const hash = names[i]!;
    if (!jobs.has(hash)) jobs.set(hash, { hash, request, worst: worstUsage(request) });
    return { item, sample, hash };
  });
  const entries = new Map<string, CacheEntry>();
  for (const [hash, text] of await cache.loadAnswers([...jobs.keys()])) {
    const entry = readEntry(text);
    if (entry !== undefined) entries.set(hash, entry);
  }
  return { lesson, jobs: [...jobs.values()], hashes, entries };
}

/** The requests that are still to be sent. */
export function waitingJobs({ jobs, entries }: LessonPlan, retryFailed: boolean): Job[] {
  return jobs.filter(({ hash }) => {
    const outcome = entries.get(hash)?.outcome;
    return outcome === undefined || (retryFailed && outcome.kind === 'failure');
  });
}

/** What a lesson would need, before anything is sent. */
export interface LessonEstimate {
  items: number;
  /** Answers wanted: items × samples. */
  answers: number;
  /** Requests behind them, and those of which the cache has the answer or a lasting failure. */
  requests: number;
  cached: number;
  cachedFailures: number;
  /** Still to be sent. */
  toSend: number;
  /** Expected; answers as long as those in the cache, or a guess. */
  likely: Usage;
  /** At most, each request sent once: answers as long as the limit allows. */
  worst: Usage;
  likelyCost?: number;
  worstCost?: number;
  /** What all of these requests have cost so far. */
  spent: Usage;
  likelySeconds: number;
  /** Whether lengths and times are those of answers in the cache, or a guess. */
  basis: 'measured' | 'guessed';
}

/** Of a chain of thought, where none has been seen. */
const GUESSED_ANSWER_TOKENS = 200;
const GUESSED_TOKENS_PER_SECOND = 40;

export function estimateLesson(
  plan: LessonPlan,
  { retryFailed, concurrency, prices }: { retryFailed: boolean; concurrency: number; prices?: Prices | undefined },
): LessonEstimate {
  const jobs = waitingJobs(plan, retryFailed);
  const outcomes = plan.jobs.map(({ hash }) => plan.entries.get(hash)?.outcome);
  const known = outcomes.flatMap((outcome) => (outcome?.kind === 'answer' ? [outcome] : []));
  const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const { maxTokens } = plan.lesson.chat;
  const answerTokens =
    known.length > 0
      ? Math.ceil(meanOf(known.map(({ usage }) => usage.completion)))
      : Math.min(maxTokens, GUESSED_ANSWER_TOKENS);
  const secondsEach =
    known.length > 0
      ? meanOf(known.map(({ durationMs }) => durationMs)) / 1000
      : answerTokens / GUESSED_TOKENS_PER_SECOND;
  const likely = jobs.reduce(
    (sum, { request }) => addUsage(sum, { prompt: likelyPromptTokens(request), completion: answerTokens }),
    NO_USAGE,
  );
  const worst = jobs.reduce((sum, job) => addUsage(sum, job.worst), NO_USAGE);
  return {
    items: plan.lesson.items.length,
    answers: plan.hashes.length,
    requests: plan.jobs.length,
    cached: known.length,
    cachedFailures: outcomes.filter((outcome) => outcome?.kind === 'failure').length,
    toSend: jobs.length,
    likely,
    worst,
    ...(prices === undefined ? {} : { likelyCost: costOf(likely, prices), worstCost: costOf(worst, prices) }),
    spent: spentBefore(plan),
    likelySeconds: (jobs.length * secondsEach) / Math.max(1, Math.min(concurrency, jobs.length)),
    basis: known.length > 0 ? 'measured' : 'guessed',
  };
}

export const spentBefore = ({ entries }: LessonPlan): Usage =>
  [...entries.values()].map(entryUsage).reduce(addUsage, NO_USAGE);
