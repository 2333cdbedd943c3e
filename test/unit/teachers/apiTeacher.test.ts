// apiTeacher.test.ts: the teacher's single promises, each with the case that breaks it: one request for equal prompts, answers
// recognised over sittings, failures that last, budgets, pace, pauses, a cache that fails, estimates, the key nowhere.
import { describe, expect, it } from 'vitest';
import { findProvider } from '../../../src/config/apiProviders';
import { PupilError } from '../../../src/base/errors';
import { estimateLesson, planLesson, type Lesson } from '../../../src/teachers/apiPlan';
import { teachLesson, type LessonOptions, type LessonResult } from '../../../src/teachers/apiTeacher';
import { requestHash, type ChatRequest } from '../../../src/teachers/apiRequest';
import { FakeApi, type Fault } from '../../support/fakeApi';
import { fakeFetch, VirtualClock } from '../../support/fakeFetch';
import { PlainCache, quizLesson, quizTask } from '../../support/quizTask';

interface Setting {
  lesson?: Lesson;
  cache?: PlainCache;
  fault?: (n: number, id: string) => Fault;
  options?: Partial<LessonOptions>;
  echo?: (headers: Headers) => string;
}

async function teach(setting: Setting): Promise<LessonResult & { api: FakeApi; cache: PlainCache; seconds: number }> {
  const { lesson = quizLesson(6), cache = new PlainCache(), fault = () => 'ok', options = {}, echo } = setting;
  const clock = new VirtualClock();
  const start = clock.now();
  const api = new FakeApi({ fault, now: () => clock.now(), longMs: 1e7 + 19, ...(echo === undefined ? {} : { echo }) });
  const plan = await planLesson(lesson, cache);
  const work = teachLesson(plan, {
    cache,
    provider: findProvider('openai'),
    fetch: fakeFetch(api, clock),
    clock,
    signal: new AbortController().signal,
    ...options,
  });
  const result = (await clock.drive(work))!;
  return { ...result, api, cache, seconds: (clock.now() - start) / 1000 };
}

describe('what is asked', () => {
  it('two items with one prompt share a request; each gets the answer', async () => {
    const items = ['a', 'b', 'c'].map((id) => ({
      id,
      question: id === 'c' ? 'What of [[c]]?' : 'What of [[ab]]?',
      target: '2',
    }));
    const { api, demonstrations } = await teach({ lesson: { ...quizLesson(0), task: quizTask(items), items } });
    expect(api.asked).toHaveLength(2);
    expect(demonstrations.map(({ itemId, answer }) => [itemId, answer.includes('[[ab]]')])).toEqual([
      ['a', true],
      ['b', true],
      ['c', false],
    ]);
  });

  it('two items with one id are refused: their answers could not be told apart', async () => {
    const items = [1, 2].map((n) => ({ id: 'same', question: `[[${n}]]`, target: '1' }));
    await expect(
      planLesson({ ...quizLesson(0), task: quizTask(items), items }, new PlainCache()),
    ).rejects.toMatchObject({
      code: 'data',
      message: expect.stringContaining('"same" occurs twice') as unknown,
    });
  });

  it('the hash depends on everything that an answer depends on, and on nothing else', async () => {
    const base: ChatRequest = {
      dialect: 'openai',
      baseUrl: 'http://h/v1',
      model: 'm',
      prompt: 'p',
      maxTokens: 9,
      sample: 0,
    };
    const others: Partial<ChatRequest>[] = [
      { dialect: 'anthropic' },
      { baseUrl: 'http://h/v2' },
      { model: 'n' },
      { prompt: 'q' },
      { system: 'p' },
      { temperature: 0 },
      { topP: 1 },
      { maxTokens: 10 },
      { sample: 1 },
    ];
    const hashes = await Promise.all([base, ...others.map((more) => ({ ...base, ...more }))].map(requestHash));
    expect(new Set(hashes).size).toBe(others.length + 1);
    expect(await requestHash({ ...base, key: 'sk-1' } as ChatRequest)).toBe(hashes[0]);
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it('a response that was given to another question is refused, also in a later sitting', async () => {
    const cache = new PlainCache();
    const all = quizLesson(4);
    await teach({ lesson: { ...all, items: all.items.slice(0, 1) }, cache });
    const [entry] = [...cache.texts.values()].map((text) => JSON.parse(text) as { outcome: Record<string, string> });
    const stored = entry!.outcome;
    const [id, created, usage] = JSON.parse(stored['identity']!) as [string, number, object];
    // The same response, word for word, for every other question.
    const replay = JSON.stringify({
      id,
      created,
      model: 'm',
      choices: [{ finish_reason: 'stop', message: { content: stored['text'] } }],
      usage,
    });
    const clock = new VirtualClock();
    const send = (() => Promise.resolve(new Response(replay))) as typeof fetch;
    const work = teachLesson(await planLesson(all, cache), {
      cache,
      provider: findProvider('openai'),
      fetch: send,
      clock,
      signal: new AbortController().signal,
    });
    const { demonstrations, failures } = (await clock.drive(work))!;
    expect(demonstrations.map(({ itemId }) => itemId)).toEqual(['q0']);
    expect(failures.map(({ reason }) => reason)).toEqual(['duplicate', 'duplicate', 'duplicate']);
  });
});

describe('failures', () => {
  it('those that last are asked again only on request, and then answered', async () => {
    const cache = new PlainCache();
    const first = await teach({ cache, fault: (n) => (n === 0 ? 'content-filter' : n === 1 ? 'length' : 'ok') });
    expect(first.failures.map(({ reason, lasting }) => [reason, lasting])).toEqual([
      ['content-filter', true],
      ['cut-off', true],
    ]);
    const second = await teach({ cache });
    expect(second.api.asked).toHaveLength(0);
    expect(second.failures).toEqual(first.failures);
    expect(second.fromCache).toBe(4);
    const third = await teach({ cache, options: { retryFailed: true } });
    expect(third.api.asked).toHaveLength(2);
    expect(third.failures).toEqual([]);
    expect(third.demonstrations).toHaveLength(6);
    expect(third.spent.completion).toBe(
      first.spent.completion + third.api.asked.reduce((sum, { charged }) => sum + charged.completion, 0),
    );
  });

  it('those that pass are given up after five attempts, and asked again in the next sitting', async () => {
    const cache = new PlainCache();
    const lesson = quizLesson(1);
    const first = await teach({ cache, lesson, fault: () => '500' });
    expect(first.api.asked).toHaveLength(5);
    expect(first.end.reason).toBe('finished');
    expect(first.failures).toMatchObject([{ reason: 'server', lasting: false }]);
    expect((await teach({ cache, lesson })).demonstrations).toHaveLength(1);
  });

  it('ten in a row end the run: a server that is down is not asked four thousand times', async () => {
    const { end, api, notAsked } = await teach({ lesson: quizLesson(100), fault: () => 'reset' });
    expect(end).toMatchObject({ reason: 'failing', failure: { reason: 'network' } });
    expect(api.asked.length).toBeLessThanOrEqual(5 * 24); // 8 at once and twice as many in back-off
    expect(notAsked).toBeGreaterThan(75);
  });

  it.each([['401'], ['403'], ['402'], ['404'], ['429-quota'], ['redirect']] as [Fault][])(
    '%s ends the run at once and is never tried again',
    async (fault) => {
      const { end, api } = await teach({ lesson: quizLesson(50), fault: () => fault });
      expect(end.reason).toBe('refused');
      expect(api.asked.length).toBeLessThanOrEqual(8); // those that were under way
    },
  );

  it('a 400 concerns its item only', async () => {
    const { api, failures, demonstrations } = await teach({ fault: (n) => (n === 2 ? '400' : 'ok') });
    expect([api.asked.length, failures.length, demonstrations.length]).toEqual([6, 1, 5]);
  });

  it('a cache that fails ends the run, and what was answered is delivered all the same', async () => {
    const cache = new PlainCache();
    cache.saveAnswer = () => Promise.reject(new PupilError('storage-full', 'no room'));
    const { end, demonstrations } = await teach({ cache, lesson: quizLesson(40) });
    expect(end).toMatchObject({ reason: 'broken', error: { code: 'storage-full' } });
    expect(demonstrations.length).toBeGreaterThan(0);
    expect(demonstrations.length).toBeLessThanOrEqual(8);
  });
});

describe('pace', () => {
  it('retry-after in seconds and as a date are obeyed', async () => {
    for (const fault of ['429-seconds', '429-date'] as const) {
      const { seconds, demonstrations } = await teach({
        lesson: quizLesson(1),
        fault: (n) => (n === 0 ? fault : 'ok'),
      });
      expect(demonstrations).toHaveLength(1);
      expect(seconds).toBeGreaterThanOrEqual(3);
      expect(seconds).toBeLessThan(6);
    }
  });

  it('a wait longer than five minutes ends the run', async () => {
    expect((await teach({ fault: () => '429-tomorrow' })).end).toMatchObject({
      reason: 'wait',
      failure: { retryAfterMs: 86_400_000 },
    });
  });

  it('as many at once as start well, one more a round, halved by 429, never above the most', async () => {
    const limits: number[] = [];
    const onProgress: LessonOptions['onProgress'] = ({ limit, running }) => {
      limits.push(limit);
      expect(running).toBeLessThanOrEqual(Math.max(...limits));
    };
    const provider = { ...findProvider('openai'), concurrency: { start: 4, most: 6 } };
    await teach({ lesson: quizLesson(80), fault: (n) => (n === 60 ? '429' : 'ok'), options: { provider, onProgress } });
    expect(limits[0]).toBe(4);
    expect(Math.max(...limits)).toBe(6);
    expect(limits.slice(limits.indexOf(6)).some((limit) => limit === 3)).toBe(true);
  });

  it('several 429 of one moment halve once', async () => {
    const limits: number[] = [];
    const provider = { ...findProvider('openai'), concurrency: { start: 8, most: 8 } };
    await teach({
      lesson: quizLesson(8),
      fault: (n) => (n < 8 ? '429' : 'ok'),
      options: { provider, onProgress: ({ limit }) => limits.push(limit) },
    });
    expect(Math.min(...limits)).toBe(4);
  });

  it('a pause holds requests back, and lets those under way end', async () => {
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    let passes = 0;
    const cache = new PlainCache();
    const clock = new VirtualClock();
    const api = new FakeApi({ fault: () => 'ok', now: () => clock.now(), longMs: 1e7 });
    const work = teachLesson(await planLesson(quizLesson(20), cache), {
      cache,
      provider: findProvider('openai'),
      fetch: fakeFetch(api, clock),
      clock,
      signal: new AbortController().signal,
      gate: () => (++passes > 3 ? opened : Promise.resolve()),
    });
    void clock.sleep(60_000).then(() => {
      expect(api.asked).toHaveLength(3);
      expect(cache.texts.size).toBe(3);
      open();
    });
    expect((await clock.drive(work))!.demonstrations).toHaveLength(20);
    expect(clock.now()).toBeGreaterThan(Date.UTC(2026, 0, 1) + 60_000);
  });
});

describe('the budget', () => {
  const prices = { inputPerMillion: 1, outputPerMillion: 10 };

  it('of money is never crossed, requests under way included, and a later sitting counts what was spent', async () => {
    const cache = new PlainCache();
    const lesson = quizLesson(30);
    const cost = 0.005;
    const options = { prices, budget: { cost } };
    const first = await teach({ cache, lesson, options });
    expect(first.end.reason).toBe('budget');
    expect(first.cost).toBeLessThanOrEqual(cost);
    expect(first.demonstrations.length).toBeGreaterThan(5);
    const charged = first.api.asked.reduce((sum, { charged: one }) => sum + one.prompt + 10 * one.completion, 0) / 1e6;
    expect(charged).toBeCloseTo(first.cost!, 12);
    const second = await teach({ cache, lesson, options });
    expect(second.api.asked).toHaveLength(0);
    expect(second.demonstrations).toEqual(first.demonstrations);
    const third = await teach({ cache, lesson, options: { prices, budget: { cost: 1 } } });
    expect(third.demonstrations).toHaveLength(30);
    expect(third.cost).toBeGreaterThan(first.cost!);
  });

  it('counts what broke off at its worst, and says so', async () => {
    const { spent, lost } = await teach({ lesson: quizLesson(1), fault: (n) => (n === 0 ? 'reset' : 'ok') });
    expect(lost.completion).toBe(64);
    expect(spent.completion).toBe(64 + 21);
  });

  it('of nothing asks nothing', async () => {
    const { api, end, notAsked } = await teach({ options: { budget: { tokens: 0 } } });
    expect([api.asked.length, end.reason, notAsked]).toEqual([0, 'budget', 6]);
  });
});

describe('the estimate', () => {
  it('names what is to be sent, likely and at most; afterwards nothing is', async () => {
    const cache = new PlainCache();
    const lesson = quizLesson(10);
    const settings = { retryFailed: false, concurrency: 8, prices: { inputPerMillion: 1, outputPerMillion: 2 } };
    const before = estimateLesson(await planLesson(lesson, cache), settings);
    expect(before).toMatchObject({ items: 10, answers: 10, requests: 10, cached: 0, toSend: 10, basis: 'guessed' });
    const { spent } = await teach({ cache, lesson });
    expect(spent.prompt).toBeLessThanOrEqual(before.worst.prompt);
    expect(spent.completion).toBeLessThanOrEqual(before.worst.completion);
    expect(before.likelyCost).toBeLessThan(before.worstCost!);
    const after = estimateLesson(await planLesson(lesson, cache), settings);
    expect(after).toMatchObject({ cached: 10, toSend: 0, likelyCost: 0, basis: 'measured', spent });
  });
});

describe('the key', () => {
  const KEY = 'sk-very/secret+0123456789';

  it.each(['ok', '401', '400', '500', 'error-in-200', 'reset', 'html'] as Fault[])(
    'appears in nothing that is kept, told or delivered, though the server repeats it: %s',
    async (fault) => {
      const told: string[] = [];
      const result = await teach({
        fault: () => fault,
        echo: (headers) => `you sent ${headers.get('authorization')} / ${encodeURIComponent(KEY)}`,
        options: { key: KEY, onTrouble: (text) => told.push(text) },
      });
      const { api: _, cache, ...delivered } = result;
      const all = JSON.stringify([delivered, [...cache.texts], told]) + String(result.end.error);
      expect(all).not.toContain('very/secret');
      expect(all).not.toContain('secret+0123');
      expect(all).not.toContain('secret%2B0123');
      if (fault === 'ok') expect(result.demonstrations[0]!.answer).toContain('you sent Bearer [key]');
    },
  );
});
