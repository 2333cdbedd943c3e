// teachLocally.test.ts: a model beside the session answers instead of an API: the same demonstrations, failures, cache and
// stop; and the provider goes with a model, and a model with it.
import { describe, expect, it } from 'vitest';
import { toAnswer } from '../../../src/base/answer';
import { PupilError } from '../../../src/base/errors';
import type { TeacherAnswer, TeacherAnswerRequest, TeachEvent, TeachRequest } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryAnswerStore } from '../../../src/storage/answerStore';
import { MemoryRunStore } from '../../../src/storage/memory';

const request: TeachRequest = {
  task: 'lesson-kinds',
  paths: ['lesson:kinds/train?count=6&seed=1'],
  files: { kind: 'memory', files: {} },
  provider: 'browser',
  model: 'tiny@main q4',
  temperature: 0,
  maxTokens: 50,
  samples: 1,
  family: 'out-family',
};

const sessionWith = (answers: MemoryAnswerStore): Session =>
  new Session(
    () => {
      throw new Error('teaching asks for no GPU');
    },
    new MemoryRunStore(),
    undefined,
    undefined,
    answers,
  );

type Model = (request: TeacherAnswerRequest, n: number) => TeacherAnswer | Promise<TeacherAnswer>;

/** A session and what its model was asked. */
function teaching(model: Model, answers = new MemoryAnswerStore()) {
  const asked: TeacherAnswerRequest[] = [];
  const events: TeachEvent[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const session = sessionWith(answers);
  const teach = (more: Partial<TeachRequest> = {}) =>
    session.teach(
      { ...request, ...more },
      (event) => events.push(event),
      (one) =>
        toAnswer(async () => {
          asked.push(one);
          mostAtOnce = Math.max(mostAtOnce, ++atOnce);
          try {
            return await model(one, asked.length - 1);
          } finally {
            atOnce--;
          }
        }),
    );
  return { session, teach, asked, events, answers, mostAtOnce: () => mostAtOnce };
}

const said = (text: string, more: Partial<TeacherAnswer> = {}): TeacherAnswer => ({
  text,
  promptTokens: 20,
  newTokens: 7,
  stopped: 'eos',
  ...more,
});

describe('a model beside the session', () => {
  it('is asked one prompt at a time; its answers are demonstrations, tokens are its own', async () => {
    const { teach, asked, events, mostAtOnce } = teaching((_, n) => said(`because. The answer is (A). [${n}]`));
    const summary = await teach({ system: 'Be brief.' });
    expect(summary).toMatchObject({ reason: 'finished', spent: { prompt: 120, completion: 42 }, counted: true });
    expect(summary.demonstrations.map(({ answer }) => answer.at(-2))).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(mostAtOnce()).toBe(1);
    expect(asked[0]).toMatchObject({ system: 'Be brief.', maxNewTokens: 50, temperature: 0, seed: 0 });
    expect(asked[0]!.prompt).toContain("Let's think step by step");
    expect(events.at(-1)).toMatchObject({ type: 'teach-progress', done: 6, judged: 6 });
  });

  it('asks nothing twice, and something else for other weights', async () => {
    const first = teaching(() => said('x'));
    await first.teach({ limit: 4 });
    const second = teaching(() => said('y'), first.answers);
    expect(await second.session.estimateTeaching(request)).toMatchObject({ toSend: 2, cached: 4 });
    expect((await second.teach()).demonstrations.map(({ answer }) => answer)).toEqual(['x', 'x', 'x', 'x', 'y', 'y']);
    await second.teach({ model: 'tiny@main fp32' });
    expect(second.asked).toHaveLength(2 + 6);
  });

  it('names failures: cut off and silent ones are no demonstrations, and are not tried again at once', async () => {
    const { teach, asked } = teaching((_, n) =>
      n === 0 ? said('half a', { stopped: 'length' }) : n === 1 ? said('') : said('x'),
    );
    const summary = await teach();
    expect(summary.failures.map(({ reason, lasting }) => [reason, lasting])).toEqual([
      ['cut-off', true],
      ['empty', false],
    ]);
    expect(summary.demonstrations).toHaveLength(4);
    expect(asked).toHaveLength(6);
  });

  it('says what the model said when it fails, and ends where nothing succeeds', async () => {
    const { teach } = teaching(() => {
      throw new PupilError('teacher', 'teacher model: out of memory', 'A smaller one may do.');
    });
    const summary = await teach({ paths: ['lesson:kinds/train?count=20&seed=1'] });
    expect(summary).toMatchObject({
      reason: 'failing',
      message: expect.stringContaining('out of memory A smaller one'),
      advice: expect.stringContaining('smaller model'),
    });
    expect(summary.failures).toHaveLength(10);
  });

  it('stopped, it keeps what was answered; the one that was broken off is asked again', async () => {
    let release: (answer: TeacherAnswer) => void = () => undefined;
    const first = teaching((_, n) => (n < 2 ? said('x') : new Promise((resolve) => (release = resolve))));
    const work = first.teach();
    while (first.asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    const stopping = first.session.stop();
    release(said('hal', { stopped: 'interrupted' }));
    await stopping;
    expect(await work).toMatchObject({ reason: 'stopped', notAsked: 4 });
    const second = teaching(() => said('y'), first.answers);
    expect((await second.teach()).demonstrations).toHaveLength(6);
    expect(second.asked).toHaveLength(4);
  });

  it('goes with its provider: one without the other is refused', async () => {
    const session = sessionWith(new MemoryAnswerStore());
    const answer = () => toAnswer(() => Promise.resolve(said('x')));
    await expect(session.teach(request, () => undefined)).rejects.toMatchObject({ code: 'usage' });
    await expect(session.teach({ ...request, provider: 'ollama' }, () => undefined, answer)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});
