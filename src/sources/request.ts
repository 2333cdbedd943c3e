// request.ts: one HTTP request with everything that may go wrong with it: tried again while the failure may pass, few at once
// to one server, held to what a server says about waiting, redirected by rule, ended when nothing comes any more. It knows
// nothing of files, ranges or what a status means beyond "later".
import { PupilError } from '../base/errors';
import { backoffMs, Concurrency, retryAfterMs } from '../base/pace';
import { throwIfCancelled } from '../base/progress';

export interface RequestOptions {
  /** Replaces the platform's `fetch`, for tests. */
  fetch?: typeof fetch;
  /** How many failures in a row, without anything having come, are borne. */
  attempts?: number;
  /** Scale of the wait before the second attempt; doubled for each further one, with jitter. */
  retryMs?: number;
  /** Longest time without a byte, headers included. */
  idleMs?: number;
  /** Longest wait that a server may ask for; more is told to the person. */
  longestWaitMs?: number;
  signal?: AbortSignal;
  /** Sent to this origin and to no other, whatever redirects say. */
  credentials?: { origin: string; token: string };
  /** How the platform's HTTP cache is used. */
  cache?: RequestCache;
  /**
   * Follow redirects here: each hop's headers are seen. Only Node allows it; a page is given the last response alone, and
   * there the platform drops credentials on the way to another origin (Fetch standard; Chrome since 119).
   */
  followByHand?: boolean;
}

/** What is sent. */
export interface Outgoing {
  url: string;
  method?: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | Blob;
}

/** What came, its body not read yet. */
export interface Reply {
  response: Response;
  /** Where the response came from, after redirects. */
  url: string;
  /** Headers of the redirects before it; none where the platform followed them. */
  hops: { url: string; headers: Headers }[];
  /** Hands the body over as it comes. @throws Transient where it breaks off or stalls. */
  read(onBytes: (bytes: Uint8Array) => void): Promise<void>;
  /** The whole body; for small ones. @throws Transient as `read`, and where it is longer than `maxBytes`. */
  bytes(maxBytes: number): Promise<Uint8Array>;
}

/** Worth another try: the network, or a server in trouble. */
export class Transient extends Error {
  constructor(
    message: string,
    readonly details: {
      cause?: unknown;
      /** Enough has come that the failures before do not count any more. */
      progressed?: boolean;
      /** The server says when. */
      waitMs?: number;
    } = {},
  ) {
    super(message, { cause: details.cause });
  }
}

const RETRY_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);
const MOST_HOPS = 10;
/** For messages of what was stopped. */
const WHAT = 'download';
/** Requests to one origin at once; halved where it says "too many", then slowly more again. */
export const AT_ONCE = 4;

export const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** Who may ask an origin now. One for all roots of this process or worker: politeness is towards the server. */
class Gate {
  private readonly pace = new Concurrency(AT_ONCE, AT_ONCE);
  private running = 0;
  private closedUntil = 0;
  private readonly waiting: (() => void)[] = [];

  /** @returns how to leave again. */
  async enter(
    signal: AbortSignal | undefined,
  ): Promise<(outcome: 'fine' | 'throttled' | 'failed', ms?: number) => void> {
    for (;;) {
      const wait = this.closedUntil - Date.now();
      if (wait > 0) await sleep(wait, signal);
      else if (this.running < this.pace.limit) break;
      else await new Promise<void>((resolve) => this.waiting.push(resolve));
      throwIfCancelled(signal, WHAT);
    }
    this.running++;
    const sentIn = this.pace.sentIn;
    return (outcome, ms) => {
      this.running--;
      if (outcome === 'fine') this.pace.onSuccess();
      if (outcome === 'throttled') {
        this.pace.onThrottled(sentIn);
        if (ms !== undefined) this.closedUntil = Math.max(this.closedUntil, Date.now() + ms);
      }
      for (const next of this.waiting.splice(0)) next(); // each looks again for itself
    };
  }
}

const gates = new Map<string, Gate>();

function gateOf(url: string): Gate {
  const { origin } = new URL(url);
  let gate = gates.get(origin);
  if (gate === undefined) gates.set(origin, (gate = new Gate()));
  return gate;
}

/** Makes requests under one set of rules. */
export class Requester {
  private readonly send: typeof fetch;
  private readonly attempts: number;
  private readonly retryMs: number;
  private readonly idleMs: number;
  private readonly longestWaitMs: number;
  private readonly followByHand: boolean;

  constructor(private readonly options: RequestOptions = {}) {
    this.send = options.fetch ?? ((input, init) => fetch(input, init));
    this.attempts = options.attempts ?? 5;
    this.retryMs = options.retryMs ?? 500;
    this.idleMs = options.idleMs ?? 30_000;
    this.longestWaitMs = options.longestWaitMs ?? 120_000;
    this.followByHand = options.followByHand ?? inNode;
    const { credentials } = options;
    // Never quoted: a platform that refuses a header quotes its value.
    if (credentials !== undefined && !/^[\x21-\x7e]{1,4096}$/.test(credentials.token)) {
      throw new PupilError(
        'config',
        'token: expected one line of printable letters, got something else',
        'Copy the token again; it has no spaces and no line breaks.',
      );
    }
  }

  /**
   * One request, sent again while its failure may pass. `outgoing` is asked anew each time: a body that broke off goes on
   * where it stopped. `use` reads the reply, throws Transient for another try and any other error for good.
   * @throws PupilError `source` with URL, failure and count; `cancelled` where the signal was given.
   */
  async request<T>(outgoing: () => Outgoing, use: (reply: Reply) => Promise<T>): Promise<T> {
    for (let failures = 0; ;) {
      throwIfCancelled(this.options.signal, WHAT);
      const sent = outgoing();
      try {
        return await this.exchange(sent, use);
      } catch (error) {
        throwIfCancelled(this.options.signal, WHAT);
        if (!(error instanceof Transient)) throw this.withoutToken(error);
        failures = error.details.progressed === true ? 1 : failures + 1;
        const { waitMs = 0 } = error.details;
        if (failures >= this.attempts || waitMs > this.longestWaitMs) throw this.givenUp(sent.url, error, failures);
        const random = { nextUnit: () => Math.random() };
        await sleep(Math.max(waitMs, backoffMs(failures, random, this.retryMs)), this.options.signal);
      }
    }
  }

  private givenUp(url: string, error: Transient, failures: number): PupilError {
    const { waitMs = 0 } = error.details;
    return new PupilError(
      'source',
      this.clean(
        `${shownUrl(url)}: expected the file, got ${error.message}` +
          (waitMs > this.longestWaitMs
            ? `; the server asks to wait ${Math.ceil(waitMs / 1000)} seconds`
            : ` ${failures} times`),
      ),
      waitMs > this.longestWaitMs
        ? 'Too much was asked of it lately: come back later; what has been downloaded is not lost.'
        : 'Check that the server runs and is reachable (from a page: that it allows this origin), then try again.',
    );
  }

  /** A text that came from elsewhere, without the token, should a server have sent it back. */
  clean(text: string): string {
    const token = this.options.credentials?.token;
    return token === undefined
      ? text
      : text.split(token).join('[token]').split(encodeURIComponent(token)).join('[token]');
  }

  private withoutToken(error: unknown): unknown {
    if (!(error instanceof PupilError) || this.clean(error.fullText) === error.fullText) return error;
    return new PupilError(error.code, this.clean(error.message), this.clean(error.hint ?? ''));
  }

  /** One attempt, redirects included. */
  private async exchange<T>(outgoing: Outgoing, use: (reply: Reply) => Promise<T>): Promise<T> {
    const hops: Reply['hops'] = [];
    let { url } = outgoing;
    for (;;) {
      const step = await this.hop({ ...outgoing, url }, hops, use);
      if ('value' in step) return step.value;
      hops.push({ url, headers: step.headers });
      if (hops.length > MOST_HOPS || hops.some((hop) => hop.url === step.next)) {
        throw redirectError(outgoing.url, `leads in a circle, or on and on (${hops.length} times)`);
      }
      url = step.next;
    }
  }

  private async hop<T>(
    outgoing: Outgoing,
    hops: Reply['hops'],
    use: (reply: Reply) => Promise<T>,
  ): Promise<{ value: T } | { next: string; headers: Headers }> {
    const { signal, credentials, cache } = this.options;
    const { url, method = 'GET', headers = {}, body } = outgoing;
    const leave = await gateOf(url).enter(signal);
    let outcome: 'fine' | 'throttled' | 'failed' = 'failed';
    let closedMs: number | undefined;
    const watch = new IdleWatch(this.idleMs, signal);
    let response: Response | undefined;
    try {
      const own = credentials !== undefined && new URL(url).origin === credentials.origin;
      response = await watch.over(
        this.send(url, {
          method,
          headers: own ? { ...headers, authorization: `Bearer ${credentials.token}` } : headers,
          redirect: this.followByHand && method !== 'PUT' ? 'manual' : 'follow',
          signal: watch.signal,
          ...(cache === undefined ? {} : { cache }),
          ...(body === undefined ? {} : { body }),
        }),
        'no connection',
      );
      const { status } = response;
      if (RETRY_STATUS.has(status)) {
        const waitMs = retryAfterMs(response.headers.get('retry-after'), Date.now());
        if (status === 429 || status === 503) {
          outcome = 'throttled';
          closedMs = Math.min(waitMs ?? 0, this.longestWaitMs);
        }
        throw new Transient(`status ${status} ${response.statusText}`.trim(), waitMs === undefined ? {} : { waitMs });
      }
      outcome = 'fine';
      if (REDIRECT_STATUS.has(status) && this.followByHand) {
        return { next: nextUrl(url, response.headers.get('location')), headers: response.headers };
      }
      const landed = response.url === '' ? url : response.url;
      expectSafeHop(url, landed);
      return { value: await use(replyOf(response, landed, hops, watch)) };
    } catch (error) {
      if (error instanceof Transient && outcome === 'fine') outcome = 'failed';
      throw error;
    } finally {
      watch.end();
      // What was not read is not wanted: without this the connection stays busy.
      if (response?.bodyUsed === false) await response.body?.cancel().catch(() => undefined);
      leave(outcome, closedMs);
    }
  }
}

function replyOf(response: Response, url: string, hops: Reply['hops'], watch: IdleWatch): Reply {
  const read: Reply['read'] = async (onBytes) => {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const { done, value } = await watch.over(reader.read(), 'a body that broke off');
        if (done) return;
        onBytes(value);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  };
  return {
    response,
    url,
    hops,
    read,
    bytes: async (maxBytes) => {
      const parts: Uint8Array[] = [];
      let size = 0;
      await read((part) => {
        size += part.byteLength;
        if (size > maxBytes) throw new Transient(`more than the ${maxBytes} bytes that were expected`);
        parts.push(part);
      });
      const all = new Uint8Array(size);
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.byteLength;
      }
      return all;
    },
  };
}

/** Ends a request from which nothing comes any more. */
class IdleWatch {
  private readonly controller = new AbortController();
  private readonly onAbort = (): void => this.controller.abort();

  constructor(
    private readonly idleMs: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    outer?.addEventListener('abort', this.onAbort, { once: true });
    if (outer?.aborted === true) this.onAbort();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The promise's value, if it comes in time. @throws Transient where it fails or does not come. */
  async over<T>(promise: Promise<T>, failure: string): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Transient(`nothing for ${this.idleMs} ms`));
        this.controller.abort();
      }, this.idleMs);
    });
    try {
      return await Promise.race([promise, late]);
    } catch (cause) {
      promise.catch(() => undefined); // it ends as well, later
      throw cause instanceof Transient ? cause : new Transient(`${failure} (${messageOf(cause)})`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.outer?.removeEventListener('abort', this.onAbort);
  }
}

function nextUrl(from: string, location: string | null): string {
  let next: URL;
  try {
    next = new URL(location ?? '', from);
    if (location === null) throw new Error('no location');
  } catch {
    throw redirectError(from, 'leads nowhere: its location is no address');
  }
  expectSafeHop(from, next.href);
  return next.href;
}

/** A redirect stays on the web and never gives up encryption. */
function expectSafeHop(from: string, to: string): void {
  const [a, b] = [new URL(from).protocol, new URL(to).protocol];
  if (b === 'https:' || (b === 'http:' && a === 'http:')) return;
  throw redirectError(from, `leads from ${a}// to ${b}//, which is not followed`);
}

function redirectError(url: string, what: string): PupilError {
  return new PupilError(
    'source',
    `${shownUrl(url)}: expected the file, got a redirect that ${what}`,
    'Check the address of the server, or tell those who run it.',
  );
}

/** An address for messages: without what follows `?`, which is where signatures stand. */
export function shownUrl(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search === '' ? '' : '?…'}`;
}

/** Waits. @throws PupilError `cancelled` where the signal was given. */
async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
  throwIfCancelled(signal, WHAT);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
