// apiHttp.test.ts: the teacher over real HTTP: each fault alone, judged and named as it should be; and random sequences of all
// of them, killed and continued from the cache.
import { afterEach, describe, expect, it } from 'vitest';
import { RandomStream } from '../../../src/base/random';
import { findProvider } from '../../../src/config/apiProviders';
import type { ApiAnswer, ApiFailure } from '../../../src/teachers/apiAnswer';
import { sendRequest, systemClock, type ChatRequest, type Clock } from '../../../src/teachers/apiRequest';
import { planLesson, type Lesson } from '../../../src/teachers/apiPlan';
import { teachLesson, type LessonResult } from '../../../src/teachers/apiTeacher';
import { answerTo, FakeApi, FAULTS, type Fault } from '../../support/fakeApi';
import { startFakeServer, type FakeServer } from '../../support/fakeServer';
import { misattributed, PlainCache, quizLesson } from '../../support/quizTask';

/** Time passes this many times as fast, on both sides. */
const SPEED = 20;
const LONG_MS = 1e9;
const TIMEOUTS = { firstByteMs: 30_000, totalMs: 40_000 };
const fast: Clock = {
  now: () => systemClock.now() * SPEED,
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
};

let servers: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function serve(fault: (n: number, id: string) => Fault, dialect: 'openai' | 'anthropic' = 'openai') {
  const api = new FakeApi({ dialect, fault, now: () => fast.now(), longMs: LONG_MS });
  const server = await startFakeServer(api, SPEED);
  servers.push(server);
  return { api, server };
}

async function askOnce(fault: Fault, dialect: 'openai' | 'anthropic' = 'openai'): Promise<ApiAnswer | ApiFailure> {
  const { server } = await serve(() => fault, dialect);
  const request: ChatRequest = {
    dialect,
    baseUrl: server.base,
    model: 'm',
    maxTokens: 64,
    prompt: 'What of [[q1]]?',
    sample: 0,
  };
  return sendRequest(request, {
    fetch,
    clock: fast,
    key: 'sk-test-0123456789',
    limitField: 'max_tokens',
    timeouts: TIMEOUTS,
    signal: new AbortController().signal,
  });
}

describe('one request', () => {
  it.each(['ok', 'ok-as-text', 'ok-slow'] as const)('%s is an answer, its text untouched', async (fault) => {
    for (const dialect of ['openai', 'anthropic'] as const) {
      expect(await askOnce(fault, dialect)).toMatchObject({
        kind: 'answer',
        // A lone surrogate cannot cross UTF-8 but as an escape, which JSON has.
        text: answerTo('q1', 0),
        usage: { prompt: 4, completion: 20 },
        model: 'm',
      });
    }
  });

  it.each([
    ['429', 'rate-limit', 'retry', 'nothing'],
    ['429-seconds', 'rate-limit', 'retry', 'nothing'],
    ['429-date', 'rate-limit', 'retry', 'nothing'],
    ['429-quota', 'payment', 'run', 'nothing'],
    ['408', 'server', 'retry', 'nothing'],
    ['409', 'server', 'retry', 'nothing'],
    ['500', 'server', 'retry', 'nothing'],
    ['502', 'server', 'retry', 'unknown'],
    ['503', 'server', 'retry', 'nothing'],
    ['529', 'server', 'retry', 'unknown'],
    ['hang', 'timeout', 'retry', 'unknown'],
    ['stalls', 'timeout', 'retry', 'unknown'],
    ['reset', 'network', 'retry', 'unknown'],
    ['reset-in-body', 'network', 'retry', 'unknown'],
    ['truncated', 'garbled', 'retry', 'unknown'],
    ['no-choices', 'empty', 'retry', 'unknown'],
    ['null-content', 'empty', 'retry', { prompt: 4, completion: 20 }],
    ['content-filter', 'content-filter', 'item', { prompt: 4, completion: 20 }],
    ['length', 'cut-off', 'item', { prompt: 4, completion: 20 }],
    ['refusal', 'refusal', 'item', { prompt: 4, completion: 20 }],
    ['html', 'html', 'retry', 'unknown'],
    ['empty-body', 'garbled', 'retry', 'unknown'],
    ['not-utf8', 'garbled', 'retry', 'unknown'],
    ['huge', 'too-large', 'item', 'unknown'],
    ['error-in-200', 'server', 'retry', 'unknown'],
    ['400', 'rejected', 'item', 'nothing'],
    ['413', 'rejected', 'item', 'nothing'],
    ['401', 'unauthorised', 'run', 'nothing'],
    ['403', 'unauthorised', 'run', 'nothing'],
    ['402', 'payment', 'run', 'nothing'],
    ['404', 'not-found', 'run', 'nothing'],
    ['redirect', 'redirect', 'run', 'nothing'],
  ] as [Fault, string, string, unknown][])('%s is %s for the %s, charged %j', async (fault, reason, scope, spent) => {
    const got = await askOnce(fault);
    expect(got).toMatchObject({ kind: 'failure', reason, scope, spent });
    const throttled = ['429', '429-seconds', '429-date', '503', '529'].includes(fault);
    expect((got as ApiFailure).throttled).toBe(throttled);
    if (fault === '429-seconds') expect((got as ApiFailure).retryAfterMs).toBe(3000);
    if (fault === '429-date') expect((got as ApiFailure).retryAfterMs).toBeGreaterThanOrEqual(0);
    if (fault === 'length') expect((got as ApiFailure).text).toBe('half an ans');
  });

  it('a server that is off is a network failure that cost nothing', async () => {
    const { server } = await serve(() => 'ok');
    await server.close();
    const request: ChatRequest = {
      dialect: 'openai',
      baseUrl: server.base,
      model: 'm',
      maxTokens: 8,
      prompt: 'x',
      sample: 0,
    };
    const sending = { fetch, clock: fast, key: undefined, limitField: 'max_tokens', timeouts: TIMEOUTS } as const;
    expect(await sendRequest(request, { ...sending, signal: new AbortController().signal })).toMatchObject({
      reason: 'network',
      spent: 'nothing',
      message: expect.stringContaining('ECONNREFUSED') as unknown,
    });
  });

  it('goes to the endpoint of its dialect with its headers, the key in one of them only', async () => {
    const { server } = await serve(() => 'ok');
    const common = { baseUrl: server.base, model: 'm', maxTokens: 8, prompt: 'x [[a]]', sample: 0 } as const;
    const sending = {
      fetch,
      clock: fast,
      key: 'sk-test-0123456789',
      limitField: 'max_tokens',
      timeouts: TIMEOUTS,
    } as const;
    const { signal } = new AbortController();
    await sendRequest({ dialect: 'openai', ...common }, { ...sending, signal });
    await sendRequest({ dialect: 'anthropic', ...common }, { ...sending, signal });
    expect(server.paths).toEqual(['/v1/chat/completions', '/v1/messages']);
    const [openai, anthropic] = server.headers;
    expect(openai?.authorization).toBe('Bearer sk-test-0123456789');
    expect(anthropic?.authorization).toBeUndefined();
    expect(anthropic?.['x-api-key']).toBe('sk-test-0123456789');
    expect(anthropic?.['anthropic-version']).toBe('2023-06-01');
    expect(anthropic?.['anthropic-dangerous-direct-browser-access']).toBe('true');
  });
});

const SEQUENCES = 40;
/** Not replays: whether a client that was killed had the answer before cannot be told on a real clock (faultStories.ts can). */
const SENT = FAULTS.filter((fault) => fault !== 'replayed');

describe('many requests', () => {
  it(`of ${SEQUENCES} random sequences of faults, killed on the way, end in all demonstrations, each asked once`, async () => {
    const random = new RandomStream(3, 'test/http');
    const sequences = Array.from({ length: SEQUENCES }, (_, i) => i);
    const one = async (i: number): Promise<void> => {
      const faults = Array.from({ length: 12 }, (): Fault =>
        random.nextUnit() < 0.5 ? 'ok' : SENT[random.nextBelow(SENT.length)]!,
      );
      const lesson: Lesson = quizLesson(6, { samples: 1 + (i % 2) });
      lesson.chat.dialect = i % 3 === 0 ? 'anthropic' : 'openai';
      const { server } = await serve((n) => faults[n] ?? 'ok', lesson.chat.dialect);
      lesson.chat.baseUrl = server.base;
      const cache = new PlainCache();
      let requests = 0;
      const counted: typeof fetch = (input, init) => {
        requests++;
        return fetch(input, init);
      };
      const sit = async (dieAfterMs?: number): Promise<LessonResult | undefined> => {
        const stop = new AbortController();
        const end = new AbortController();
        const work = teachLesson(await planLesson(lesson, cache), {
          cache,
          retryFailed: true,
          provider: findProvider('openai'),
          timeouts: TIMEOUTS,
          rules: { graceMs: 1 },
          fetch: counted,
          clock: fast,
          signal: stop.signal,
        });
        if (dieAfterMs !== undefined) void fast.sleep(dieAfterMs, end.signal).then(() => stop.abort());
        return work.finally(() => end.abort());
      };
      await sit(1 + random.nextBelow(6000));
      let last = await sit();
      for (let again = 0; last!.demonstrations.length < lesson.items.length * lesson.samples && again < 4; again++)
        last = await sit();
      expect(last!.demonstrations).toHaveLength(lesson.items.length * lesson.samples);
      expect(misattributed(last!.demonstrations)).toEqual([]);
      expect(last!.correct).toBe(last!.demonstrations.length);
      const before = requests;
      const after = await sit();
      expect(after!.demonstrations).toEqual(last!.demonstrations);
      expect(requests).toBe(before); // counted here: what an aborted request left on the way may arrive late
    };
    for (let at = 0; at < sequences.length; at += 8) await Promise.all(sequences.slice(at, at + 8).map(one));
  });
});
