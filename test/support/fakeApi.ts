// fakeApi.ts: what a teacher's API may do to a client, as data: one reply for each fault, and a ledger of what was asked,
// answered and charged. How a reply travels (in this process on a virtual clock, or over HTTP) is fakeFetch.ts and
// fakeServer.ts. Tests only.

export const FAULTS = [
  'ok',
  'ok-uncounted', // no usage
  'ok-as-text', // the right body under a wrong content type
  'ok-slow', // in pieces, within the time limits
  '429',
  '429-seconds',
  '429-date',
  '408',
  '409',
  '500',
  '502',
  '503',
  '529',
  'hang', // never answers
  'stalls', // headers and half a body, then nothing
  'reset', // the connection breaks before an answer
  'reset-in-body',
  'truncated', // the body ends early, as if it were whole
  'no-choices',
  'null-content',
  'content-filter',
  'length',
  'refusal',
  'html',
  'empty-body',
  'not-utf8',
  'huge',
  'replayed', // the answer to another question
  'error-in-200',
  '400',
  '413',
] as const;
/** After these the run stops: nothing can succeed. */
export const FATAL_FAULTS = ['401', '403', '402', '404', 'redirect', '429-quota', '429-tomorrow'] as const;
export type Fault = (typeof FAULTS)[number] | (typeof FATAL_FAULTS)[number];

/** Milliseconds after which a piece of a body comes; Infinity: never. */
export interface Piece {
  afterMs: number;
  bytes: Uint8Array;
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  /** Until the headers. */
  afterMs: number;
  body: Piece[];
  /** The connection breaks: before the headers, or after the pieces of the body. */
  breaks?: 'headers' | 'body';
  /** The answer's id where it is a good one for the question that was asked. */
  good?: string;
  /** The body, where it may be replayed to others once it was delivered. */
  replayable?: string;
}

export interface Asked {
  /** Of the question. */
  id: string;
  fault: Fault;
  /** Tokens that the provider charges for. */
  charged: { prompt: number; completion: number };
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Text that must survive as it is: markup, script, quotes, other scripts, a lone surrogate, line separators. */
export const AWKWARD = '<script>alert("1")</script> </textarea> & ‘quotes’ \\n 数 \u2028 🙂 \ud83d end';

/** The answer to a question, which names the question. */
export const answerTo = (id: string, tries: number): string =>
  `About [[${id}]] (try ${tries}): ${AWKWARD}. The answer is ${id.length}.`;

export interface FakeOptions {
  dialect?: 'openai' | 'anthropic';
  /** The fault of the n-th request. */
  fault: (n: number, id: string) => Fault;
  now: () => number;
  /** A client that waits this long has given up. */
  longMs: number;
  /** Put into every error and answer, as a careless server might. */
  echo?: (headers: Headers) => string;
  /** Which question a prompt asks; absent: the first `[[id]]` in it. */
  idOf?: (prompt: string) => string;
  /** A good answer; absent: {@link answerTo}. */
  answerTo?: (id: string, tries: number) => string;
}

export class FakeApi {
  readonly asked: Asked[] = [];
  /** Times that a question's good answer was wholly delivered. */
  readonly delivered = new Map<string, number>();
  private lastGood: { id: string; body: string } | undefined;

  constructor(private readonly options: FakeOptions) {}

  get charged(): number {
    return this.asked.reduce((sum, { charged }) => sum + charged.prompt + charged.completion, 0);
  }

  onDelivered({ good, replayable }: Reply): void {
    if (good === undefined) return;
    this.delivered.set(good, (this.delivered.get(good) ?? 0) + 1);
    // Replayed sooner, it could not be told which of the two questions it belongs to.
    if (replayable !== undefined) this.lastGood ??= { id: good, body: replayable };
  }

  /** What happens to a request; it is in the ledger from now on. */
  reply(bodyText: string, headers: Headers): Reply {
    const body = JSON.parse(bodyText) as {
      model: string;
      messages: { content: string }[];
      max_tokens?: number;
      max_completion_tokens?: number;
    };
    const prompt = body.messages.map(({ content }) => content).join('\n');
    const id = this.options.idOf?.(prompt) ?? /\[\[(.+?)\]\]/.exec(prompt)?.[1] ?? '?';
    const maxTokens = body.max_tokens ?? body.max_completion_tokens ?? 0;
    const fault = this.options.fault(this.asked.length, id);
    const tries = this.asked.filter((one) => one.id === id).length;
    const usage = { prompt: Math.ceil(prompt.length / 4), completion: Math.min(maxTokens, 20 + (tries % 7)) };
    const free = /^(4\d\d|429.*|500|503|529|redirect|error-in-200)$/.test(fault);
    this.asked.push({ id, fault, charged: free ? { prompt: 0, completion: 0 } : usage });
    const echo = this.options.echo?.(headers) ?? '';
    return this.replyWith(fault, { id, tries, usage, model: body.model, echo });
  }

  private replyWith(
    fault: Fault,
    asked: { id: string; tries: number; usage: Asked['charged']; model: string; echo: string },
  ): Reply {
    const { id } = asked;
    const json = (value: unknown, status = 200, more: Record<string, string> = {}): Reply => ({
      status,
      headers: { 'content-type': 'application/json', ...more },
      afterMs: 211,
      body: [{ afterMs: 0, bytes: encode(JSON.stringify(value)) }],
    });
    const error = (status: number, message: string, more: Record<string, string> = {}, code?: string): Reply =>
      json({ error: { message: `${message} ${asked.echo}`, code: code ?? null } }, status, more);
    const good = this.answer(asked);
    const goodText = JSON.stringify(good);
    const pieces = (text: string, ...afterMs: number[]): Piece[] => {
      const bytes = encode(text);
      const size = Math.ceil(bytes.byteLength / afterMs.length);
      return afterMs.map((wait, i) => ({ afterMs: wait, bytes: bytes.subarray(i * size, (i + 1) * size) }));
    };
    const html = '<!DOCTYPE html><html><body>Sign in</body></html>';
    const { longMs } = this.options;
    switch (fault) {
      case 'ok':
        return { ...json(good), good: id, replayable: goodText };
      case 'ok-uncounted': {
        const { usage: _, ...rest } = good as Record<string, unknown>;
        return { ...json(rest), good: id };
      }
      case 'ok-as-text':
        return { ...json(good, 200, { 'content-type': 'text/html' }), good: id };
      case 'ok-slow':
        return { ...json(good), body: pieces(goodText, 307, 401, 503), good: id };
      case '429':
        return error(429, 'slow down');
      case '429-seconds':
        return error(429, 'slow down', { 'retry-after': '3' });
      case '429-date':
        return error(429, 'slow down', { 'retry-after': new Date(this.options.now() + 4000).toUTCString() });
      case '429-tomorrow':
        return error(429, 'daily limit', { 'retry-after': '86400' });
      case '429-quota':
        return error(429, 'no credit', {}, 'insufficient_quota');
      case 'hang':
        return { ...json(good), afterMs: longMs };
      case 'stalls':
        return { ...json(good), body: pieces(goodText, 101, longMs) };
      case 'reset':
        return { ...json(good), breaks: 'headers' };
      case 'reset-in-body':
        return { ...json(good), body: pieces(goodText, 101, 102).slice(0, 1), breaks: 'body' };
      case 'truncated':
        return { ...json(good), body: pieces(goodText, 0, 0).slice(0, 1) };
      case 'no-choices':
        return json({ id: 'x', choices: [], content: [] });
      case 'null-content':
        return json(this.answer(asked, { text: null }));
      case 'content-filter':
        return json(this.answer(asked, { text: '', finish: 'content_filter' }));
      case 'length':
        return json(this.answer(asked, { text: 'half an ans', finish: 'length' }));
      case 'refusal':
        return json(this.answer(asked, { text: '', finish: 'refusal' }));
      case 'html':
        return { ...json(0), headers: { 'content-type': 'text/html' }, body: pieces(html, 0) };
      case 'empty-body':
        return { ...json(0), body: [] };
      case 'not-utf8':
        return { ...json(good), body: [{ afterMs: 0, bytes: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d) }] };
      case 'huge':
        return { ...json(0), body: Array.from({ length: 50 }, () => ({ afterMs: 0, bytes: MEGABYTE })) };
      case 'replayed':
        // Where nothing was answered yet, or it was this question: an honest answer.
        if (this.lastGood === undefined || this.lastGood.id === id) return this.replyWith('ok', asked);
        return { ...json(0), body: pieces(this.lastGood.body, 0) };
      case 'error-in-200':
        return json({ error: { message: `upstream trouble ${asked.echo}`, code: 502 } });
      case 'redirect':
        return { ...json(0, 302, { location: 'http://localhost:1/elsewhere' }), body: [] };
      default:
        return error(Number(fault), `fault ${fault}`);
    }
  }

  private answer(
    {
      id,
      tries,
      usage,
      model,
      echo,
    }: { id: string; tries: number; usage: Asked['charged']; model: string; echo: string },
    {
      text = (this.options.answerTo ?? answerTo)(id, tries) + echo,
      finish = 'stop',
    }: { text?: string | null; finish?: string } = {},
  ): object {
    const identity = `answer-${id}-${tries}`;
    if (this.options.dialect === 'anthropic') {
      const stops: Record<string, string> = { stop: 'end_turn', length: 'max_tokens', content_filter: 'refusal' };
      return {
        id: identity,
        type: 'message',
        role: 'assistant',
        model,
        content:
          text === null
            ? []
            : [
                { type: 'thinking', thinking: 'hm' },
                { type: 'text', text },
              ],
        stop_reason: stops[finish] ?? finish,
        usage: { input_tokens: usage.prompt, output_tokens: usage.completion },
      };
    }
    return {
      id: identity,
      object: 'chat.completion',
      created: Math.floor(this.options.now() / 1000),
      model,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, ...(finish === 'refusal' ? { refusal: 'No.' } : {}) },
          finish_reason: finish === 'refusal' ? 'stop' : finish,
        },
      ],
      usage: { prompt_tokens: usage.prompt, completion_tokens: usage.completion },
    };
  }
}

const MEGABYTE = new Uint8Array(2 ** 20).fill(0x20);
