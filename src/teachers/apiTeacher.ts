// apiTeacher.ts: the teacher behind an API: task items in, demonstrations out, in the order of the items whatever the order
// of the answers. Each request is asked at most once per answer: what the cache has is taken from there, and two items with
// the same prompt share a request (apiPlan.ts). Where items come from and demonstrations go is the caller's business.
import { RandomStream } from '../base/random';
import { wilsonInterval, type Interval } from '../base/statistics';
import type { ApiProvider, ApiTimeouts } from '../config/apiProviders';
import {
  EMPTY_ENTRY,
  entryUsage,
  LASTING_FAILURES,
  writeEntry,
  type AnswerCache,
  type CacheEntry,
  type KeptFailure,
  type LastingFailure,
} from './answerCache';
import { failure, type ApiAnswer, type ApiFailure, type FailureReason, type Usage } from './apiAnswer';
import { addUsage, boundedUsage, Budget, costOf, NO_USAGE, type BudgetLimits, type Prices } from './apiBudget';
import { QUEUE_RULES, runQueue, type QueueEnd, type QueueRules } from './apiQueue';
import { spentBefore, waitingJobs, type Job, type LessonPlan } from './apiPlan';
import { sendRequest, type Clock, type SendOnce } from './apiRequest';
import { makeDemonstration, type Demonstration, type TeacherItem } from './demonstration';

/** How far a lesson is. */
export interface LessonProgress {
  /** Requests with an outcome, of all. */
  done: number;
  total: number;
  failed: number;
  running: number;
  /** Answers that there are, for the items they are to, and how many give the target: the teacher's accuracy so far. */
  judged: number;
  correct: number;
  /** How many may run at once at the moment. */
  limit: number;
  /** All that these requests have cost, in this sitting and before. */
  spent: Usage;
  cost?: number;
  /** Absent until something has been answered. */
  secondsLeft?: number;
}

export interface LessonOptions {
  cache: AnswerCache;
  /** Ask again about failures that the cache remembers. */
  retryFailed?: boolean;
  prices?: Prices;
  /** Over all sittings: what these requests have cost before counts. */
  budget?: BudgetLimits;
  provider: Pick<ApiProvider, 'concurrency' | 'limitField' | 'timeouts'>;
  /** In place of the provider's. */
  timeouts?: ApiTimeouts;
  rules?: Partial<QueueRules>;
  key?: string | undefined;
  fetch: typeof fetch;
  /** A teacher that is not asked by HTTP; in place of key, fetch and timeouts. */
  sendOnce?: SendOnce;
  clock: Clock;
  /** Of the jitter; it has no part in what is asked. */
  seed?: number;
  signal: AbortSignal;
  /** Holds requests back during a pause; rejects once stopped. */
  gate?: () => Promise<void>;
  onProgress?: (progress: LessonProgress) => void;
  /** A failed attempt or an item given up, as it happens. */
  onTrouble?: (text: string) => void;
}

/** An answer that there is none of. */
export interface ItemFailure {
  itemId: string;
  sample: number;
  reason: FailureReason;
  message: string;
  /** Whether the cache remembers it: then only `retryFailed` asks again. */
  lasting: boolean;
}

export interface LessonResult {
  end: QueueEnd;
  /** In the order of items and samples. */
  demonstrations: Demonstration[];
  failures: ItemFailure[];
  /** Answers that were not come to: the run ended before. */
  notAsked: number;
  /** The teacher's own accuracy (Table 5), by the task's extractor. */
  correct: number;
  accuracy: number;
  interval: Interval;
  /** Requests sent in this sitting that were answered, and answers taken from the cache. */
  answered: number;
  fromCache: number;
  spent: Usage;
  /** The part of it of which nobody knows whether it was charged: requests that broke off, at their worst. */
  lost: Usage;
  cost?: number;
  /** Whether every answer's tokens were counted by the server. */
  counted: boolean;
  /** The models that answered, as they call themselves. */
  models: string[];
}

const isLasting = (reason: FailureReason): reason is LastingFailure =>
  (LASTING_FAILURES as readonly string[]).includes(reason);

/**
 * Asks what the cache does not know, and gives all demonstrations there are then. Rejects for nothing that a teacher does:
 * how the run ended is in `end`.
 */
export async function teachLesson(plan: LessonPlan, options: LessonOptions): Promise<LessonResult> {
  const { cache, clock, prices } = options;
  const jobs = waitingJobs(plan, options.retryFailed === true);
  const entries = new Map(plan.entries);
  const fromCache = [...entries.values()].filter(({ outcome }) => outcome?.kind === 'answer').length;
  // What is asked again has no outcome until it has a new one; what it cost stays.
  for (const { hash } of jobs) {
    const entry = entries.get(hash);
    if (entry?.outcome !== undefined) entries.set(hash, { wasted: entryUsage(entry) });
  }
  const budget = new Budget(options.budget, prices, spentBefore(plan));
  const passing = new Map<string, ApiFailure>();
  const durations = new Map<string, number>();
  const startedAt = clock.now();
  const kept = [...entries.values()].flatMap(({ outcome }) => outcome ?? []);
  let [done, failed] = [kept.length, kept.filter(({ kind }) => kind === 'failure').length];
  let answered = 0;
  let pace = { running: 0, limit: 0 };
  const tally = new Tally(plan);
  for (const [hash, { outcome }] of entries) if (outcome?.kind === 'answer') tally.add(hash, outcome.text);

  const save = async (hash: string, entry: CacheEntry): Promise<void> => {
    entries.set(hash, entry); // first: an answer that cannot be stored is still delivered
    await cache.saveAnswer(hash, writeEntry(entry));
  };
  const entryOf = (hash: string): CacheEntry => entries.get(hash) ?? EMPTY_ENTRY;
  const tell = (): void => {
    const perAnswer = (clock.now() - startedAt) / 1000 / Math.max(1, answered);
    options.onProgress?.({
      done,
      total: plan.jobs.length,
      failed,
      judged: tally.judged,
      correct: tally.correct,
      ...pace,
      spent: budget.spent,
      ...(prices === undefined ? {} : { cost: costOf(budget.spent, prices) }),
      ...(answered === 0 ? {} : { secondsLeft: perAnswer * (plan.jobs.length - done) }),
    });
  };

  const send = sender(options, durations, plan);
  const end = await runQueue<Job, CountedAnswer>({
    jobs,
    rules: { ...QUEUE_RULES, concurrency: options.provider.concurrency, ...options.rules },
    budget,
    clock,
    random: new RandomStream(options.seed ?? 0, 'teacher/back-off'),
    signal: options.signal,
    gate: options.gate ?? (() => Promise.resolve()),
    send,
    onAnswer: async ({ hash }, answer) => {
      answered++;
      done++;
      tally.add(hash, answer.text);
      await save(hash, {
        wasted: entryOf(hash).wasted,
        outcome: {
          kind: 'answer',
          text: answer.text,
          usage: answer.usage,
          counted: answer.counted,
          ...(answer.model === undefined ? {} : { model: answer.model }),
          ...(answer.identity === undefined ? {} : { identity: answer.identity }),
          durationMs: durations.get(hash) ?? 0,
        },
      });
    },
    onGivenUp: async ({ hash, worst }, { reason, message, spent, text }, attempts) => {
      done++;
      failed++;
      const again = attempts > 1 ? `, after ${attempts} attempts` : '';
      options.onTrouble?.(`given up: ${reason}: ${message}${again}`);
      if (!isLasting(reason)) {
        passing.set(hash, failure(reason, 'retry', message));
        return;
      }
      const usage = spent === 'nothing' ? NO_USAGE : spent === 'unknown' ? worst : spent;
      const outcome: KeptFailure = { kind: 'failure', reason, message, usage, ...(text === undefined ? {} : { text }) };
      await save(hash, { wasted: entryOf(hash).wasted, outcome });
    },
    onWaste: ({ hash }, cost) => save(hash, { wasted: addUsage(entryOf(hash).wasted, cost) }),
    onChange: (state) => {
      pace = state;
      tell();
    },
  });
  tell();
  return { ...collect(plan, entries, passing), end, answered, fromCache, ...account(budget, prices) };
}

/** How often a teacher was right so far: an answer counts for each item that it is to. */
class Tally {
  judged = 0;
  correct = 0;
  private readonly items = new Map<string, TeacherItem[]>();

  constructor(private readonly plan: LessonPlan) {
    for (const { item, hash } of plan.hashes) {
      const items = this.items.get(hash);
      if (items === undefined) this.items.set(hash, [item]);
      else items.push(item);
    }
  }

  add(hash: string, text: string): void {
    for (const item of this.items.get(hash) ?? []) {
      this.judged++;
      if (this.plan.lesson.task.isCorrect(item, text)) this.correct++;
    }
  }
}

function account(budget: Budget, prices: Prices | undefined): Pick<LessonResult, 'spent' | 'lost' | 'cost'> {
  const { spent, lost } = budget;
  return { spent, lost, ...(prices === undefined ? {} : { cost: costOf(spent, prices) }) };
}

type CountedAnswer = ApiAnswer & { usage: Usage; counted: boolean };

/** Sends a job's request once; refuses an answer that was given to another request before. */
function sender(
  { fetch, clock, key, provider, timeouts = provider.timeouts, onTrouble, sendOnce }: LessonOptions,
  durations: Map<string, number>,
  { jobs, entries }: LessonPlan,
): (job: Job, signal: AbortSignal) => Promise<CountedAnswer | ApiFailure> {
  const { limitField } = provider;
  const once: SendOnce =
    sendOnce ?? ((request, signal) => sendRequest(request, { fetch, clock, key, limitField, timeouts, signal }));
  // By response, the prompt that it answered. Several samples of one prompt may well be equal.
  const seen = new Map<string, string>();
  const nameOf = (identity: string, text: string): string => `${identity}\n${text}`;
  for (const { hash, request } of jobs) {
    const outcome = entries.get(hash)?.outcome;
    if (outcome?.kind !== 'answer' || outcome.identity === undefined) continue;
    seen.set(nameOf(outcome.identity, outcome.text), request.prompt);
  }
  return async ({ hash, request, worst }, signal) => {
    const sentAt = clock.now();
    const outcome = await once(request, signal);
    durations.set(hash, Math.max(0, clock.now() - sentAt));
    if (outcome.kind === 'failure') {
      if (outcome.reason !== 'stopped') onTrouble?.(`${outcome.reason}: ${outcome.message}`);
      return outcome;
    }
    if (outcome.identity !== undefined) {
      const name = nameOf(outcome.identity, outcome.text);
      // A proxy that keeps answers without looking at the question gives one to many.
      if ((seen.get(name) ?? request.prompt) !== request.prompt) {
        const message = 'the same response came for another question before';
        return failure('duplicate', 'retry', message, { spent: 'unknown' });
      }
      seen.set(name, request.prompt);
    }
    return {
      ...outcome,
      counted: outcome.usage !== undefined,
      usage: outcome.usage ?? boundedUsage(worst, outcome.text),
    };
  };
}

/** Demonstrations and failures in the order of the items. */
function collect(
  { lesson, hashes }: LessonPlan,
  entries: ReadonlyMap<string, CacheEntry>,
  passing: ReadonlyMap<string, ApiFailure>,
): Omit<LessonResult, 'end' | 'answered' | 'fromCache' | 'spent' | 'lost' | 'cost'> {
  const { task, label, family } = lesson;
  const demonstrations: Demonstration[] = [];
  const failures: ItemFailure[] = [];
  const counts = new Map<string, number>();
  const models = new Set<string>();
  let notAsked = 0;
  let counted = true;
  for (const { item, sample, hash } of hashes) {
    const outcome = entries.get(hash)?.outcome;
    if (outcome?.kind === 'answer') {
      const nth = counts.get(item.id) ?? 0;
      counts.set(item.id, nth + 1);
      // As the disk teacher names them when it reads these again.
      const id = `${label}/${item.id}${nth === 0 ? '' : `/${nth}`}`;
      demonstrations.push(makeDemonstration(task, item, outcome.text, { teacher: label, family }, id));
      if (outcome.model !== undefined) models.add(outcome.model);
      counted &&= outcome.counted;
      continue;
    }
    const failed = outcome ?? passing.get(hash);
    if (failed === undefined) notAsked++;
    else {
      const { reason, message } = failed;
      failures.push({ itemId: item.id, sample, reason, message, lasting: outcome !== undefined });
    }
  }
  const correct = demonstrations.filter((demonstration) => demonstration.correct).length;
  return {
    demonstrations,
    failures,
    notAsked,
    correct,
    accuracy: correct / demonstrations.length,
    interval: wilsonInterval(correct, demonstrations.length),
    counted,
    models: [...models].sort(),
  };
}
