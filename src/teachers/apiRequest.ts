// apiRequest.ts: one request to a teacher: its body and headers in both dialects, the hash that names it in a cache, and the
// sending, within time limits and with a bound on what is read. It sends once; asking again is apiQueue.ts's.
import { sha256Of } from '../formats/trainingCheckpoint';
import { failure, failureOfStatus, readAnswer, type ApiAnswer, type ApiFailure } from './apiAnswer';
import { retryAfterMs } from '../base/pace';
import type { ApiDialect, ApiProvider, ApiTimeouts } from '../config/apiProviders';

/** What is said to the model, and how it is to answer. */
export interface ChatSettings {
  dialect: ApiDialect;
  /** As `readBaseUrl` gives it. */
  baseUrl: string;
  model: string;
  system?: string;
  /** Absent: the server's own. */
  temperature?: number;
  topP?: number;
  /** Of the answer. */
  maxTokens: number;
}

export interface ChatRequest extends ChatSettings {
  prompt: string;
  /** Counts several answers to one prompt from 0. It is not sent; it tells their requests apart. */
  sample: number;
}

/** One attempt at a request, until its signal is aborted. Never rejects. */
export type SendOnce = (request: ChatRequest, signal: AbortSignal) => Promise<ApiAnswer | ApiFailure>;

/** Time as it passes here: a test puts its own in place. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so long, or as soon as the signal is aborted; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
    }),
};

/** Longer answers are not read: far above any text, far below what fills a memory. */
export const MAX_ANSWER_BYTES = 4 * 2 ** 20;
/** Of the body of an error. */
const MAX_ERROR_BYTES = 64 * 2 ** 10;

type Message = { role: 'system' | 'user'; content: string };

const userMessage = (prompt: string): Message => ({ role: 'user', content: prompt });

/**
 * SHA-256, in hex, of all that an answer depends on: dialect, address, model, messages, sampling and the sample's number.
 * Keys in a fixed order, so that equal requests have equal names. The API key is no part of it.
 */
export function requestHash(request: ChatRequest): Promise<string> {
  const { dialect, baseUrl, model, system, prompt, temperature, topP, maxTokens, sample } = request;
  const canonical = JSON.stringify([
    1, // raise where the meaning of an entry changes
    dialect,
    baseUrl,
    model,
    [...(system === undefined ? [] : [['system', system]]), ['user', prompt]],
    temperature ?? null,
    topP ?? null,
    maxTokens,
    sample,
  ]);
  return sha256Of(new TextEncoder().encode(canonical));
}

/** The endpoint and the body. */
export function requestBody(
  request: ChatRequest,
  limitField: ApiProvider['limitField'],
): { url: string; body: string } {
  const { dialect, baseUrl, model, system, prompt, temperature, topP, maxTokens } = request;
  const sampling = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
  };
  if (dialect === 'anthropic') {
    const messages = [userMessage(prompt)];
    const own = system === undefined ? {} : { system };
    const body = { model, ...own, messages, max_tokens: maxTokens, ...sampling };
    return { url: `${baseUrl}/messages`, body: JSON.stringify(body) };
  }
  const messages = [...(system === undefined ? [] : [{ role: 'system', content: system }]), userMessage(prompt)];
  const body = { model, messages, [limitField]: maxTokens, ...sampling, stream: false };
  return { url: `${baseUrl}/chat/completions`, body: JSON.stringify(body) };
}

function headersFor(dialect: ApiDialect, key: string | undefined): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
  if (dialect === 'anthropic') {
    headers['anthropic-version'] = '2023-06-01';
    headers['anthropic-dangerous-direct-browser-access'] = 'true';
    if (key !== undefined) headers['x-api-key'] = key;
  } else if (key !== undefined) headers['authorization'] = `Bearer ${key}`;
  return headers;
}

/** Shorter ones ("none", "ollama") are no secrets, and would be taken out of ordinary words. */
const SECRET_LENGTH = 8;

/**
 * Takes a key out of texts: a server may repeat it, in an error or in an answer. To be used before a text is shortened, for
 * a part of a key is a secret, too.
 */
export function keyRemover(key: string | undefined): (text: string) => string {
  if (key === undefined || key.length < SECRET_LENGTH) return (text) => text;
  // As it is, as JSON may write it (any character as \u and its number, some after a backslash), or as addresses do.
  const inJson = Array.from(key, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    const plain = /[\w]/.test(character) ? character : `\\\\?\\${character}`;
    return `(?:${plain}|\\\\u${code.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)})`;
  }).join('');
  const forms = new RegExp(inJson, 'g');
  const inAddresses = encodeURIComponent(key);
  return (text) => text.replace(forms, '[key]').replaceAll(inAddresses, '[key]');
}

export interface Sending {
  fetch: typeof fetch;
  clock: Clock;
  key: string | undefined;
  limitField: ApiProvider['limitField'];
  timeouts: ApiTimeouts;
  /** Ends the request at once. */
  signal: AbortSignal;
}

type Interrupt = 'first byte' | 'total' | 'stopped';

/** Sends a request once. Never rejects: whatever happens is an answer or a failure with a name. */
export async function sendRequest(request: ChatRequest, sending: Sending): Promise<ApiAnswer | ApiFailure> {
  const { clock, timeouts, signal } = sending;
  const cancel = new AbortController();
  const over = new AbortController();
  let headersCame = false;
  const interrupted = new Promise<Interrupt>((resolve) => {
    if (signal.aborted) resolve('stopped');
    signal.addEventListener('abort', () => resolve('stopped'), { once: true, signal: over.signal });
    void clock.sleep(timeouts.firstByteMs, over.signal).then(() => {
      if (!headersCame && !over.signal.aborted) resolve('first byte');
    });
    void clock.sleep(timeouts.totalMs, over.signal).then(() => {
      if (!over.signal.aborted) resolve('total');
    });
  });
  try {
    // A race, not only a signal: not every fetch, and no broken proxy, honours one.
    const result = await Promise.race([
      exchange(request, sending, cancel.signal, () => {
        headersCame = true;
      }),
      interrupted,
    ]);
    if (typeof result !== 'string') return result;
    if (result === 'stopped') {
      return failure('stopped', 'retry', 'the request was given up as asked', { spent: 'unknown' });
    }
    const limit = result === 'total' ? timeouts.totalMs : timeouts.firstByteMs;
    const what = result === 'total' ? 'a whole answer' : 'the beginning of an answer';
    return failure('timeout', 'retry', `expected ${what} within ${limit / 1000} s`, { spent: 'unknown' });
  } finally {
    over.abort();
    cancel.abort();
  }
}

async function exchange(
  request: ChatRequest,
  { fetch, clock, key, limitField }: Sending,
  signal: AbortSignal,
  onHeaders: () => void,
): Promise<ApiAnswer | ApiFailure> {
  const clean = keyRemover(key);
  const { url, body } = requestBody(request, limitField);
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: headersFor(request.dialect, key),
      body,
      // Not followed: a redirected POST becomes a GET, and x-api-key would go to wherever it points.
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      signal,
    });
  } catch (error) {
    return networkFailure(error, clean);
  }
  onHeaders();
  const wait = retryAfterMs(response.headers.get('retry-after'), clock.now());
  const good = response.status === 200;
  if (!good) {
    const { bytes } = await readBody(response, MAX_ERROR_BYTES).catch(() => ({ bytes: new Uint8Array(0) }));
    return failureOfStatus(response.status, new TextDecoder().decode(bytes), wait, clean);
  }
  const unknown = { spent: 'unknown' } as const;
  let read: Awaited<ReturnType<typeof readBody>>;
  try {
    read = await readBody(response, MAX_ANSWER_BYTES);
  } catch {
    return failure('network', 'retry', 'the answer broke off', unknown);
  }
  if (!read.whole) {
    const message = `expected an answer of at most ${MAX_ANSWER_BYTES / 2 ** 20} MiB, got more`;
    return failure('too-large', 'item', message, unknown);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(read.bytes);
  } catch {
    return failure('garbled', 'retry', 'expected UTF-8, got other bytes', unknown);
  }
  return readAnswer(request.dialect, text, clean);
}

/** Causes under which nothing can have reached the server. */
const NOTHING_SENT = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT|CERT|SELF_SIGNED/;

function networkFailure(error: unknown, clean: (text: string) => string): ApiFailure {
  const words: string[] = [];
  // Node puts the reason into the cause; only names and codes of it are kept, never the error itself.
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    words.push(clean(at.message), ...(typeof code === 'string' ? [code] : []));
  }
  const text = [...new Set(words)].filter((word) => word !== '').join(': ');
  // Node's own limit, whatever ours is.
  if (/UND_ERR_(HEADERS|BODY)_TIMEOUT/.test(text)) {
    return failure('timeout', 'retry', 'expected an answer within the 300 s that Node waits', { spent: 'unknown' });
  }
  const message = `no connection (${text.slice(0, 200) || 'no reason given'})`;
  return failure('network', 'retry', message, { spent: NOTHING_SENT.test(text) ? 'nothing' : 'unknown' });
}

/** The body, or no more of its beginning than `most` bytes. */
async function readBody(response: Response, most: number): Promise<{ bytes: Uint8Array; whole: boolean }> {
  const reader = response.body?.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (reader !== undefined && length <= most) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.byteLength;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  if (length > most) void reader?.cancel().catch(() => undefined);
  return { bytes: bytes.subarray(0, most), whole: length <= most };
}
