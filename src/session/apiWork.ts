// apiWork.ts: what all work with a model behind an API has in common, for a teacher and for a judge: the request checked, its
// cost said beforehand, everything asked, the end told in words. What is asked, and what becomes of it, is the caller's.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { findProvider, readBaseUrl, readKey, type ApiProvider } from '../config/apiProviders';
import { BROWSER_PROVIDER } from '../config/browserProvider';
import { integer, nonEmptyText, positive, real } from '../config/fields';
import { listProblems } from '../config/problems';
import type { AnswerStore } from '../storage/answerStore';
import { endInWords, nearnessOf } from '../teachers/apiAdvice';
import { estimateLesson, type LessonPlan } from '../teachers/apiPlan';
import { systemClock, type ChatSettings, type Clock, type SendOnce } from '../teachers/apiRequest';
import { teachLesson, type LessonResult } from '../teachers/apiTeacher';
import type { ApiSettings, ApiSummary, TeachEstimate, TeachEvent } from './apiProtocol';
import type { RunControl } from './control';
import { inBrowser } from './load';

const price = real(0, 1e6);

/** The part of a request's schema that is about the API; not the key, which no message may repeat. */
export const API_ENTRIES = {
  provider: nonEmptyText,
  baseUrl: v.exactOptional(v.string()),
  model: nonEmptyText,
  system: v.exactOptional(nonEmptyText),
  temperature: v.exactOptional(real(0, 2)),
  topP: v.exactOptional(real(0, 1)),
  maxTokens: integer(1, 1e6),
  label: v.exactOptional(nonEmptyText),
  concurrency: v.exactOptional(integer(1, 256)),
  timeoutSeconds: v.exactOptional(positive(86_400)),
  prices: v.exactOptional(v.strictObject({ inputPerMillion: price, outputPerMillion: price })),
  budget: v.exactOptional(v.strictObject({ tokens: v.exactOptional(integer(0)), cost: v.exactOptional(real(0, 1e9)) })),
  retryFailed: v.exactOptional(v.boolean()),
};

/**
 * A request's checked fields.
 *
 * @throws PupilError `usage` with the first that is wrong; `what` names the verb.
 */
export function readRequest<S extends v.GenericSchema>(what: string, schema: S, request: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, request);
  if (parsed.success) return parsed.output;
  const [first] = listProblems(parsed.issues);
  throw new PupilError('usage', `${what}: ${first!.path}: expected ${first!.expected}, got ${first!.value}`);
}

/** An API that can be asked. */
export interface OpenApi {
  provider: ApiProvider;
  baseUrl: string;
  key: string | undefined;
  chat: ChatSettings;
  warnings: string[];
}

/** @throws PupilError `usage` where provider, address, key, prices and budget do not go together. */
export function openApi(what: string, settings: ApiSettings): OpenApi {
  const provider = findProvider(settings.provider);
  const given = settings.baseUrl ?? provider.baseUrl;
  if (given === undefined) {
    throw new PupilError('usage', `${what}: expected a base URL for another server`, 'It usually ends with /v1.');
  }
  const baseUrl = readBaseUrl(given);
  const key = readKey(settings.key);
  if (settings.budget?.cost !== undefined && settings.prices === undefined) {
    throw new PupilError(
      'usage',
      `${what}: expected prices, since the budget is one of money`,
      'Give the prices of a million tokens in and out, or a budget of tokens.',
    );
  }
  const warnings: string[] = [];
  const target = new URL(baseUrl);
  if (key !== undefined && target.protocol === 'http:' && nearnessOf(target.hostname) === 'public') {
    warnings.push(`the key goes to ${target.host} without encryption: use https where the server has it`);
  }
  return { provider, baseUrl, key, chat: chatOf(settings, provider, baseUrl), warnings };
}

/** A model of this browser, as an API that can be asked; its name must say all that its answers depend on. */
export function openBrowserModel(settings: ApiSettings): OpenApi {
  const { baseUrl } = BROWSER_PROVIDER;
  const chat = chatOf(settings, BROWSER_PROVIDER, baseUrl);
  return { provider: BROWSER_PROVIDER, baseUrl, key: undefined, chat, warnings: [] };
}

function chatOf(settings: ApiSettings, { dialect }: ApiProvider, baseUrl: string): ChatSettings {
  const { model, system, temperature, topP, maxTokens } = settings;
  return {
    dialect,
    baseUrl,
    model,
    ...(system === undefined ? {} : { system }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    maxTokens,
  };
}

/** At once: as many as the provider bears, or as the request allows. */
function concurrencyOf({ concurrency }: ApiProvider, most: number | undefined): ApiProvider['concurrency'] {
  if (most === undefined) return concurrency;
  return { start: Math.min(concurrency.start, most), most };
}

/** What a plan would need. Sends nothing. */
export function estimateWork(
  plan: LessonPlan,
  { provider, baseUrl, warnings }: OpenApi,
  settings: ApiSettings,
): TeachEstimate {
  const estimate = estimateLesson(plan, {
    retryFailed: settings.retryFailed === true,
    concurrency: concurrencyOf(provider, settings.concurrency).start,
    prices: settings.prices,
  });
  return { ...estimate, model: settings.model, baseUrl, warnings };
}

export interface ApiWorkOptions {
  answers: AnswerStore;
  control: RunControl;
  onEvent: (event: TeachEvent) => void;
  /** A teacher that is not asked by HTTP. */
  sendOnce?: SendOnce;
  /** For tests. */
  fetch?: typeof fetch;
  clock?: Clock;
}

/** Progress is told at most this often, and at the end. */
const PROGRESS_MS = 250;
/** Failures of single attempts that are told in words: a server that is down says the same a thousand times. */
const TOLD_TROUBLES = 50;

/** Asks all of a plan that is not known yet, and tells how it goes. Rejects for nothing that the server does. */
export async function askPlan(
  plan: LessonPlan,
  { provider, baseUrl, key, warnings }: OpenApi,
  settings: ApiSettings,
  { control, onEvent, answers, clock = systemClock, fetch: ownFetch, sendOnce }: ApiWorkOptions,
): Promise<{ result: LessonResult; summary: ApiSummary }> {
  const startedAt = clock.now();
  const log = (level: 'info' | 'warning', message: string): void => onEvent({ type: 'log', level, message });
  for (const warning of warnings) log('warning', warning);
  const total = settings.timeoutSeconds === undefined ? undefined : settings.timeoutSeconds * 1000;
  let toldAt = -Infinity;
  let troubles = 0;
  onEvent({ type: 'state', state: 'running' });
  const result = await teachLesson(plan, {
    cache: answers,
    retryFailed: settings.retryFailed === true,
    ...(settings.prices === undefined ? {} : { prices: settings.prices }),
    ...(settings.budget === undefined ? {} : { budget: settings.budget }),
    provider: { ...provider, concurrency: concurrencyOf(provider, settings.concurrency) },
    ...(total === undefined ? {} : { timeouts: { firstByteMs: total, totalMs: total } }),
    key,
    fetch: ownFetch ?? ((input, init) => fetch(input, init)),
    ...(sendOnce === undefined ? {} : { sendOnce }),
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
  const origin = inBrowser() ? globalThis.location?.origin : undefined;
  const { end, failures, notAsked, answered, fromCache, spent, lost, cost, counted, models } = result;
  const summary: ApiSummary = {
    failures,
    notAsked,
    answered,
    fromCache,
    spent,
    lost,
    ...(cost === undefined ? {} : { cost }),
    counted,
    models,
    reason: end.reason,
    ...endInWords(end, provider, baseUrl, origin),
    label: plan.lesson.label,
    model: settings.model,
    seconds: (clock.now() - startedAt) / 1000,
  };
  return { result, summary };
}
