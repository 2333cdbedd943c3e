// faultStories.ts: random stories of a teacher's API that fails in every way and of a client that is stopped and dies, on a
// virtual clock, and the promises that hold in each of them. Tests only; how many are told is the tests' choice.
import fc from 'fast-check';
import { expect } from 'vitest';
import { planLesson } from '../../src/teachers/apiPlan';
import { teachLesson, type LessonOptions, type LessonResult } from '../../src/teachers/apiTeacher';
import { findProvider } from '../../src/config/apiProviders';
import { FakeApi, FATAL_FAULTS, FAULTS, type Fault } from './fakeApi';
import { fakeFetch, VirtualClock } from './fakeFetch';
import { misattributed, PlainCache, quizLesson } from './quizTask';

/** Longer than any client waits. */
const LONG_MS = 10_000_019;

interface Sitting {
  /** The fault of each request; then all is well. */
  faults: Fault[];
  /** When the client dies, or is stopped in order, in virtual milliseconds. */
  end: { how: 'dies' | 'stops'; afterMs: number } | undefined;
  retryFailed: boolean;
}

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Fault>('ok') },
  { weight: 30, arbitrary: fc.constantFrom<Fault>(...FAULTS) },
  { weight: 1, arbitrary: fc.constantFrom<Fault>(...FATAL_FAULTS) },
);
const sitting: fc.Arbitrary<Sitting> = fc.record({
  faults: fc.array(fault, { maxLength: 40, size: 'max' }),
  end: fc.option(
    fc.record({
      how: fc.constantFrom<'dies' | 'stops'>('dies', 'stops'),
      afterMs: fc.integer({ min: 1, max: 9000 }),
    }),
    { nil: undefined },
  ),
  retryFailed: fc.boolean(),
});
const story = fc.record({
  items: fc.integer({ min: 1, max: 9 }),
  samples: fc.integer({ min: 1, max: 2 }),
  concurrency: fc.integer({ min: 1, max: 8 }),
  budgetTokens: fc.option(fc.integer({ min: 0, max: 4000 }), { nil: undefined }),
  dialect: fc.constantFrom<'openai' | 'anthropic'>('openai', 'anthropic'),
  sittings: fc.array(sitting, { minLength: 1, maxLength: 3 }),
});

/** What the stories came to: a test looks that nothing was left out. */
export const seen = { requests: 0, faults: new Set<Fault>(), ends: new Map<string, number>() };

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

/** One story, to its good end. */
async function check({ items, samples, concurrency, budgetTokens, dialect, sittings }: Story): Promise<void> {
  const lesson = quizLesson(items, { samples });
  lesson.chat.dialect = dialect;
  const cache = new PlainCache();
  let time = Date.UTC(2026, 0, 1);
  const deliveries = new Map<string, number>();
  let charged = 0;
  let unknownAtDeath = 0;

  const sit = async (
    { faults, end, retryFailed }: Sitting,
    budget: LessonOptions['budget'],
  ): Promise<LessonResult | undefined> => {
    const clock = new VirtualClock(time); // what a dead client was waiting for never comes
    const api = new FakeApi({
      dialect,
      fault: (n) => faults[n] ?? 'ok',
      now: () => clock.now(),
      longMs: LONG_MS,
    });
    const plan = await planLesson(lesson, cache);
    const answeredBefore = new Map<string, number>();
    for (const { item, hash } of plan.hashes) {
      const kept = plan.entries.get(hash)?.outcome?.kind === 'answer';
      answeredBefore.set(item.id, (answeredBefore.get(item.id) ?? 0) + (kept ? 1 : 0));
    }
    const stop = new AbortController();
    let underWay = 0;
    const send = fakeFetch(api, clock);
    const work = teachLesson(plan, {
      cache,
      retryFailed,
      provider: { ...findProvider('openai'), concurrency: { start: concurrency, most: 16 } },
      ...(budget === undefined ? {} : { budget }),
      fetch: send,
      clock,
      signal: stop.signal,
      onProgress: ({ running }) => {
        underWay = running;
      },
    });
    if (end?.how === 'stops') void clock.sleep(end.afterMs).then(() => stop.abort());
    const result = await clock.drive(work, end?.how === 'dies' ? end.afterMs : Infinity);
    time = clock.now();
    charged += api.charged;
    // What was under way when the client died is in nobody's book.
    if (result === undefined) unknownAtDeath += underWay * (64 + 400);
    seen.requests += api.asked.length;
    for (const { fault: one } of api.asked) seen.faults.add(one);
    seen.ends.set(result?.end.reason ?? 'died', (seen.ends.get(result?.end.reason ?? 'died') ?? 0) + 1);

    // Nothing is asked again once it was answered: deliveries and what was known before never exceed what is wanted.
    for (const [id, times] of api.delivered) {
      deliveries.set(id, (deliveries.get(id) ?? 0) + times);
      expect((answeredBefore.get(id) ?? 0) + times).toBeLessThanOrEqual(samples);
      expect(deliveries.get(id)).toBeLessThanOrEqual(samples);
    }
    if (result !== undefined) {
      const { demonstrations, failures, notAsked, spent } = result;
      expect(demonstrations.length + failures.length + notAsked).toBe(items * samples);
      expect(new Set(demonstrations.map(({ id }) => id)).size).toBe(demonstrations.length);
      expect(misattributed(demonstrations)).toEqual([]);
      // Each delivered answer is there.
      const delivered = [...deliveries.values()].reduce((sum, times) => sum + times, 0);
      expect(demonstrations.length).toBe(delivered);
      if (budget?.tokens !== undefined) expect(spent.prompt + spent.completion).toBeLessThanOrEqual(budget.tokens);
      expect(spent.prompt + spent.completion).toBeGreaterThanOrEqual(charged - unknownAtDeath);
      if (result.end.reason === 'finished') expect(notAsked).toBe(0);
      else expect(result.end.reason === 'stopped').toBe(stop.signal.aborted && result.end.reason === 'stopped');
    }
    return result;
  };

  for (const one of sittings) {
    await sit(one, budgetTokens === undefined ? undefined : { tokens: budgetTokens });
    if (budgetTokens !== undefined) expect(charged - unknownAtDeath).toBeLessThanOrEqual(budgetTokens);
  }
  // Then all is well, and the work can be brought to its end.
  const last = await sit({ faults: [], end: undefined, retryFailed: true }, undefined);
  expect(last!.end.reason).toBe('finished');
  expect(last!.demonstrations).toHaveLength(items * samples);
  expect(last!.failures).toEqual([]);
  expect(last!.correct).toBe(items * samples);
  // And from now on nothing is asked at all.
  const requests = seen.requests;
  const again = await sit({ faults: [], end: undefined, retryFailed: true }, undefined);
  expect(again!.demonstrations).toEqual(last!.demonstrations);
  expect(seen.requests).toBe(requests);
}

/**
 * Tells so many stories. Whatever happens: no demonstration is lost, doubled or given to another question, nothing is asked
 * again once it was answered, the budget holds, and the work ends or can be continued.
 */
export async function tellFaultStories(count: number, seed: number): Promise<void> {
  await fc.assert(fc.asyncProperty(story, check), { numRuns: count, seed });
  expect([...FAULTS, ...FATAL_FAULTS].filter((one) => !seen.faults.has(one))).toEqual([]);
  expect([...seen.ends.keys()].sort()).toEqual(
    expect.arrayContaining(['budget', 'died', 'finished', 'refused', 'stopped']),
  );
}
