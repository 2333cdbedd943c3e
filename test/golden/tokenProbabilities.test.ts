// tokenProbabilities.test.ts: tokens as they are streamed, with the probability that the student gave them: against full forwards
// of the finished texts. Asking for them changes no token, and a generation can be left at any submission.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { packSequences } from '../../src/model/batch';
import { Generator, type GeneratorOptions } from '../../src/model/generator';
import type { Student } from '../../src/model/student';
import type { NewTokens, TokenProbability } from '../../src/model/tokenProbabilities';
import { Trainer } from '../../src/model/trainer';
import { logSoftmax, topTokens } from '../../src/reference/tokenLogps';
import { testGpu } from '../kernels/device';
import { awkwardStudent, TARGETS, withNonZeroB } from './awkward';

let gpu: Gpu;
let student: Student;
let adapter: Adapter;
const owned: { destroy(): void }[] = [];
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}
beforeAll(async () => {
  gpu = await testGpu();
  student = own(awkwardStudent(gpu));
  const settings = { rank: 3, alpha: 5, dropout: 0, rsLora: true, targets: TARGETS };
  adapter = await withNonZeroB(own(Adapter.create(student, settings, 3)));
});
afterAll(() => owned.forEach((thing) => thing.destroy()));

const RUN = { seed: 3, stream: 'test' };
const K = 5;
/** Of the awkward student. */
const VOCAB = 71;

async function generator(options: Partial<GeneratorOptions> = {}): Promise<Generator> {
  const made = own(
    new Generator(student, adapter, {
      batchSize: 3,
      maxPromptTokens: 9,
      maxNewTokens: 11,
      temperature: 1.3,
      topK: 20,
      topP: 0.95,
      eosIds: [2, 9, 17],
      ...options,
    }),
  );
  await made.ready();
  return made;
}

const prompts = Array.from({ length: 7 }, (_, p) => {
  const random = new RandomStream(8, `prompt ${p}`);
  return Array.from({ length: 1 + (p % 9) }, () => random.nextBelow(VOCAB));
});

/** What was told of every prompt, put together. */
function joined(told: readonly NewTokens[]): { ids: number[]; probabilities: TokenProbability[]; stopped?: string }[] {
  return prompts.map((_, prompt) => {
    const own = told.filter((news) => news.prompt === prompt);
    expect(own.slice(0, -1).every(({ stopped }) => stopped === undefined)).toBe(true);
    return {
      ids: own.flatMap(({ ids }) => ids),
      probabilities: own.flatMap(({ probabilities }) => probabilities ?? []),
      ...(own.at(-1)?.stopped === undefined ? {} : { stopped: own.at(-1)!.stopped! }),
    };
  });
}

it('every token and its alternatives have the log-probability of a full forward, ≤ 1e-4', async () => {
  const told: NewTokens[] = [];
  const g = await generator({ probabilities: { alternatives: K } });
  const answers = await g.generate(prompts, { ...RUN, onTokens: (news) => void told.push(...news) });
  const plain = await (await generator()).generate(prompts, RUN);
  expect(answers).toEqual(plain); // asking changes nothing
  const streamed = joined(told);
  const V = student.config.vocabSize;
  const trainer = own(
    new Trainer(student, adapter, { limits: { tokens: 32, sequences: 1, targets: 32 }, scoringOnly: true }),
  );
  await trainer.ready();
  let worst = 0;
  for (const [p, { ids, probabilities, stopped }] of streamed.entries()) {
    const answer = answers[p]!;
    expect(stopped).toBe(answer.stopped);
    expect(ids.slice(0, answer.ids.length)).toEqual(answer.ids);
    expect(ids.length).toBe(answer.ids.length + (stopped === 'eos' ? 1 : 0));
    expect(probabilities.length).toBe(ids.length);
    const logits = await trainer.logits(packSequences([{ ids: [...prompts[p]!, ...ids] }]));
    for (const [i, { logprob, alternatives }] of probabilities.entries()) {
      const at = prompts[p]!.length - 1 + i;
      const row = logits.subarray(at * V, (at + 1) * V);
      const all = logSoftmax(row);
      worst = Math.max(worst, Math.abs(logprob - all[ids[i]!]!));
      expect(alternatives.map(({ id }) => id)).toEqual(topTokens(row, K));
      for (const { id, logprob: other } of alternatives) worst = Math.max(worst, Math.abs(other - all[id]!));
    }
  }
  expect(streamed.some(({ stopped }) => stopped === 'eos')).toBe(true);
  expect(worst).toBeLessThan(1e-4);
  expect(worst).toBeGreaterThan(0); // two ways were compared
});

it('greedy tokens are the first of their alternatives, and none are told where none are asked for', async () => {
  const told: NewTokens[] = [];
  const g = await generator({ temperature: 0, topK: 0, topP: 1, probabilities: { alternatives: 1 } });
  await g.generate(prompts, { ...RUN, onTokens: (news) => void told.push(...news) });
  for (const { ids, probabilities } of joined(told)) {
    expect(probabilities.map(({ alternatives }) => alternatives[0]!.id)).toEqual(ids);
  }
  const without: NewTokens[] = [];
  await (await generator()).generate(prompts, { ...RUN, onTokens: (news) => void without.push(...news) });
  expect(without.every((news) => !('probabilities' in news))).toBe(true);
});

it('a generation that is left in the middle, by a throw or a signal, leaves the generator as it was', async () => {
  const g = await generator({ probabilities: { alternatives: 2 } });
  const whole = await g.generate(prompts, RUN);
  let seen = 0;
  const stop = g.generate(prompts, {
    ...RUN,
    onTokens: (news) => {
      seen += news.length;
      if (seen > 4) throw new Error('enough');
    },
  });
  await expect(stop).rejects.toThrow('enough');
  const abort = new AbortController();
  const cancelled = g.generate(prompts, { ...RUN, signal: abort.signal, onTokens: () => abort.abort() });
  await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  expect(await g.generate(prompts, RUN)).toEqual(whole);
});

it('refuses more alternatives than there are passes for', async () => {
  await expect(generator({ probabilities: { alternatives: 11 } })).rejects.toMatchObject({ code: 'config' });
});
