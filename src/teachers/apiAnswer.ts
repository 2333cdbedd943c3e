// apiAnswer.ts: what came back, judged: an answer, or a failure with a name, what it may have cost, and whether asking again
// can help. Both dialects, and everything that stands in for them on the way (proxies, login pages). It sends nothing.
import * as v from 'valibot';
import type { ApiDialect } from '../config/apiProviders';

/** Tokens, as the server counts them. */
export interface Usage {
  prompt: number;
  completion: number;
}

export interface ApiAnswer {
  kind: 'answer';
  text: string;
  /** Absent where the server does not say. */
  usage?: Usage;
  /** The model's own name for itself, often more exact than the one that was asked for. */
  model?: string;
  /** With the text, tells this response from every other; absent where the server gives none. */
  identity?: string;
}

export type FailureReason =
  | 'network'
  | 'timeout'
  | 'stopped'
  | 'rate-limit'
  | 'server'
  | 'html'
  | 'too-large'
  | 'garbled'
  | 'empty'
  | 'duplicate'
  | 'cut-off'
  | 'content-filter'
  | 'refusal'
  | 'rejected'
  | 'unauthorised'
  | 'not-found'
  | 'payment'
  | 'redirect'
  | 'model'; // one beside us could not answer

export interface ApiFailure {
  kind: 'failure';
  reason: FailureReason;
  /** `retry`: it may pass. `item`: this request will fail again. `run`: every request will. */
  scope: 'retry' | 'item' | 'run';
  message: string;
  /** The server asks for less: fewer requests at once from now on. */
  throttled: boolean;
  /** Its `retry-after`, where it can be seen. */
  retryAfterMs?: number;
  /** What the provider will charge for: known, surely nothing, or not to be told. */
  spent: Usage | 'nothing' | 'unknown';
  /** What there is of an answer that was cut off. */
  text?: string;
}

export function failure(
  reason: FailureReason,
  scope: ApiFailure['scope'],
  message: string,
  more: Partial<Pick<ApiFailure, 'throttled' | 'retryAfterMs' | 'spent' | 'text'>> = {},
): ApiFailure {
  return { kind: 'failure', reason, scope, message, throttled: false, spent: 'nothing', ...more };
}

/** What is of no use counts as not there: null, and anything of another type. */
function loose<const S extends v.GenericSchema>(schema: S) {
  return v.pipe(
    v.fallback(v.optional(v.nullable(schema)), undefined),
    v.transform((value) => value ?? undefined),
  );
}
const looseText = loose(v.string());
const looseNumber = loose(v.number());
const identity = { id: loose(v.union([v.pipe(v.string(), v.nonEmpty()), v.number()])), model: looseText };
const count = loose(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9)));
/** Texts come whole or in parts; parts of other kinds (thoughts, tools) are no text. */
const Parts = v.array(v.looseObject({ type: v.optional(v.string()), text: looseText }));

const OpenAiAnswer = v.looseObject({
  ...identity,
  created: looseNumber,
  choices: v.array(
    v.looseObject({
      finish_reason: looseText,
      message: v.looseObject({
        content: loose(v.union([v.string(), Parts])),
        refusal: looseText,
      }),
    }),
  ),
  usage: loose(v.object({ prompt_tokens: count, completion_tokens: count })),
});

const AnthropicAnswer = v.looseObject({
  ...identity,
  content: Parts,
  stop_reason: looseText,
  usage: loose(
    v.object({
      input_tokens: count,
      output_tokens: count,
      cache_creation_input_tokens: count,
      cache_read_input_tokens: count,
    }),
  ),
});

/** An error in a body: `{"error": {"message", "code"}}`, `{"error": "…"}`, `{"message"}` or `{"detail"}`. */
const ErrorBody = v.looseObject({
  error: v.optional(
    v.union([
      v.string(),
      v.looseObject({ message: looseText, type: looseText, code: loose(v.union([v.string(), v.number()])) }),
    ]),
  ),
  message: looseText,
  detail: looseText,
});

interface ServerError {
  message: string;
  code: string;
}

/** White space and control characters of a foreign text without a key as single spaces, and no more of it than a message needs. */
function excerpt(foreign: string): string {
  // eslint-disable-next-line no-control-regex
  const line = foreign.replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

const isHtml = (body: string): boolean => /^[\s\ufeff]*<(!doctype|html|head|body|\?xml|!--)/i.test(body);

/**
 * The value of a JSON text, or undefined. The key is taken out of the texts in it, not out of the JSON: there any character
 * may be written as \u and a number, and texts are shortened later, after which a part of a key could not be found.
 */
function parseJson(body: string, clean: (text: string) => string): unknown {
  try {
    return JSON.parse(body, (_, value: unknown) => (typeof value === 'string' ? clean(value) : value)) as unknown;
  } catch {
    return undefined;
  }
}

function errorIn(value: unknown): ServerError | undefined {
  const parsed = v.safeParse(ErrorBody, value);
  if (!parsed.success) return undefined;
  const { error, message, detail } = parsed.output;
  if (typeof error === 'string') return { message: error, code: '' };
  if (error !== undefined) {
    return {
      message: error.message ?? '',
      code: [error.code, error.type].filter((one) => one !== undefined).join(' '),
    };
  }
  const said = message ?? detail;
  return said === undefined ? undefined : { message: said, code: '' };
}

/**
 * The failure that a status stands for. Retried: 408, 409, 425, 429, 5xx. Never: any other 4xx.
 *
 * @param body its text as far as it was read.
 * @param clean takes the key out of a text.
 */
export function failureOfStatus(
  status: number,
  body: string,
  retryAfterMs: number | undefined,
  clean: (text: string) => string,
): ApiFailure {
  const told = errorIn(parseJson(body, clean));
  const said = isHtml(body) ? 'an HTML page' : excerpt(told?.message ?? clean(body));
  const message = `status ${status}${said === '' ? '' : `: ${said}`}`;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status === 0 || (status >= 300 && status < 400)) {
    return failure('redirect', 'run', `the server sends the request elsewhere (${message})`);
  }
  if (status === 401 || status === 403) return failure('unauthorised', 'run', message);
  if (status === 402 || (status === 429 && /insufficient_quota|billing/.test(told?.code ?? ''))) {
    return failure('payment', 'run', message);
  }
  if (status === 404 || status === 405 || status === 410) return failure('not-found', 'run', message);
  if (status === 429) return failure('rate-limit', 'retry', message, { throttled: true, ...wait });
  if (status === 408 || status === 409 || status === 425) return failure('server', 'retry', message, wait);
  if (status >= 500) {
    // What a gateway gave up on may have been answered, and charged for, behind it.
    const spent = status === 502 || status === 504 || status >= 520 ? ('unknown' as const) : ('nothing' as const);
    return failure('server', 'retry', message, { throttled: status === 503 || status === 529, spent, ...wait });
  }
  if (status >= 400) return failure('rejected', 'item', message);
  return failure('garbled', 'retry', `expected status 200, got ${message}`, { spent: 'unknown' });
}

/**
 * A body of status 200. Its content type is not asked for: servers and proxies say what they like.
 *
 * @param body whole.
 * @param clean takes the key out of a text.
 */
export function readAnswer(dialect: ApiDialect, body: string, clean: (text: string) => string): ApiAnswer | ApiFailure {
  const unknown = { spent: 'unknown' } as const;
  if (isHtml(body)) {
    const message = 'expected an answer, got an HTML page: a login, a proxy, or a base URL of something else';
    return failure('html', 'retry', message, unknown);
  }
  if (body.trim() === '') return failure('garbled', 'retry', 'expected an answer, got an empty body', unknown);
  const value = parseJson(body, clean);
  if (value === undefined) {
    return failure('garbled', 'retry', `expected JSON, got ${excerpt(clean(body)).slice(0, 120)}`, unknown);
  }
  const result = dialect === 'openai' ? readOpenAi(value) : readAnthropic(value);
  if (result !== undefined) return result;
  const told = errorIn(value);
  if (told === undefined) {
    return failure('garbled', 'retry', `expected an answer, got ${excerpt(clean(body)).slice(0, 120)}`, unknown);
  }
  // Routers answer 200 and put the error of the server behind them into the body, its status as the code.
  const status = Number(/^\d{3}\b/.exec(told.code)?.[0] ?? NaN);
  if (status >= 400) return failureOfStatus(status, body, undefined, clean);
  return failure('server', 'retry', `the server reports: ${excerpt(told.message)}`, unknown);
}

const usageOf = (prompt: number | undefined, completion: number | undefined): { usage?: Usage } =>
  prompt === undefined || completion === undefined ? {} : { usage: { prompt, completion } };

const joined = (content: string | { text?: string | undefined }[] | undefined): string =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');

interface Read {
  text: string;
  finish: 'stop' | 'cut-off' | 'content-filter' | 'refusal';
  said: string;
  usage?: Usage;
  model?: string;
  identity?: string;
}

function readOpenAi(value: unknown): ApiAnswer | ApiFailure | undefined {
  const parsed = v.safeParse(OpenAiAnswer, value);
  if (!parsed.success) return undefined;
  const { choices, usage, model, id, created } = parsed.output;
  const known = usageOf(usage?.prompt_tokens, usage?.completion_tokens);
  const choice = choices[0];
  if (choice === undefined) {
    return failure('empty', 'retry', 'expected a choice, got none', { spent: known.usage ?? 'unknown' });
  }
  const refusal = choice.message.refusal ?? '';
  const said = choice.finish_reason ?? '';
  return conclude({
    text: joined(choice.message.content),
    finish:
      said === 'length'
        ? 'cut-off'
        : said === 'content_filter'
          ? 'content-filter'
          : refusal !== ''
            ? 'refusal'
            : 'stop',
    said: refusal === '' ? said : excerpt(refusal),
    ...known,
    ...(model === undefined ? {} : { model: excerpt(model) }),
    // Some servers number their answers and begin anew, so the number alone does not tell two answers apart.
    ...(id === undefined ? {} : { identity: JSON.stringify([id, created ?? 0, usage ?? 0]) }),
  });
}

const ANTHROPIC_STOPS: Readonly<Record<string, Read['finish']>> = {
  max_tokens: 'cut-off',
  model_context_window_exceeded: 'cut-off',
  refusal: 'refusal',
};

function readAnthropic(value: unknown): ApiAnswer | ApiFailure | undefined {
  const parsed = v.safeParse(AnthropicAnswer, value);
  if (!parsed.success) return undefined;
  const { content, usage, model, id, stop_reason: stop } = parsed.output;
  const prompt =
    usage?.input_tokens === undefined
      ? undefined
      : usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0);
  return conclude({
    text: joined(content.filter(({ type }) => type === undefined || type === 'text')),
    finish: ANTHROPIC_STOPS[stop ?? ''] ?? 'stop',
    said: stop ?? '',
    ...usageOf(prompt, usage?.output_tokens),
    ...(model === undefined ? {} : { model: excerpt(model) }),
    ...(id === undefined ? {} : { identity: JSON.stringify([id, 0, usage ?? 0]) }),
  });
}

function conclude({ text: raw, finish, said, usage, model, identity }: Read): ApiAnswer | ApiFailure {
  const answer = raw.trim();
  const spent = usage ?? 'unknown';
  switch (finish) {
    case 'cut-off':
      return failure('cut-off', 'item', 'the answer reached the limit of tokens before its end', {
        spent,
        text: answer,
      });
    case 'content-filter':
      return failure('content-filter', 'item', 'a content filter withheld the answer', { spent });
    case 'refusal':
      return failure('refusal', 'item', `the model refused${said === '' ? '' : `: ${said}`}`, { spent });
    case 'stop':
      if (answer === '') {
        return failure('empty', 'retry', `expected a text, got none${said === '' ? '' : ` (${excerpt(said)})`}`, {
          spent,
        });
      }
      return {
        kind: 'answer',
        text: answer,
        ...(usage === undefined ? {} : { usage }),
        ...(model === undefined ? {} : { model }),
        ...(identity === undefined ? {} : { identity }),
      };
  }
}
