// judge.test.ts: a judge at work through SessionApi, as a page uses it: estimate, ratings and table, stop and going on, plain
// data only in what crosses to the page, and no key in it.
import { expect, it } from 'vitest';
import { RunControl } from '../../../src/session/control';
import { judgeForRequest } from '../../../src/session/judge';
import type { JudgeRequest, JudgeSummary, TeachEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryAnswerStore } from '../../../src/storage/answerStore';
import { MemoryRunStore } from '../../../src/storage/memory';
import { FakeApi } from '../../support/fakeApi';
import { fakeFetch, VirtualClock } from '../../support/fakeFetch';
import { startFakeServer } from '../../support/fakeServer';

const lines = Array.from({ length: 9 }, (_, n) => ({
  ...{ system: 'Self-refined', taskId: 'C', prompt: 'cot', itemId: `C-${n}`, target: 'B' },
  ...{ question: `Which [[${n}]]?`, text: `Number ${n}.` },
}));
const request: JudgeRequest = {
  predictions: [{ run: 'r', path: 'predictions.jsonl' }],
  files: {
    kind: 'memory',
    files: { 'predictions.jsonl': new TextEncoder().encode(lines.map((line) => `${JSON.stringify(line)}\n`).join('')) },
  },
  provider: 'ollama',
  model: 'small',
  maxTokens: 100,
  seed: 0,
};
const noGpu = (): never => {
  throw new Error('judging asks for no GPU');
};
const judging = (now: () => number): FakeApi =>
  new FakeApi({
    fault: () => 'ok',
    now,
    longMs: 1e7,
    idOf: (prompt) => prompt.split('\n').at(-1)!,
    answerTo: (id) => `Rating: [[${id.includes('4') ? 1 : 3}]]`,
  });

it('judges without a GPU; what crosses its border is plain data', async () => {
  const api = judging(() => Date.now());
  const server = await startFakeServer(api, 50);
  try {
    const session = new Session(noGpu, new MemoryRunStore());
    const root = { kind: 'memory' as const, files: {} as Record<string, Uint8Array> };
    const out = { root, ratings: 'ratings.jsonl', table: 'judge.json' };
    const asked = { ...request, baseUrl: server.base, key: 'sk-0123456789', out };
    expect(await session.estimateJudging(asked)).toMatchObject({ items: 9, toSend: 9, cached: 0, model: 'small' });
    const events: TeachEvent[] = [];
    const summary = await session.judge(asked, (event) => events.push(event));
    expect(structuredClone([summary, events])).toEqual([summary, events]);
    expect(summary).toMatchObject({ reason: 'finished', label: 'small', notAsked: 0 });
    expect(summary.table.rows[0]!.all).toMatchObject({ n: 9, mean: 25 / 9, counts: { 1: 1, 2: 0, 3: 8 } });
    const text = (name: string): string => new TextDecoder().decode(root.files[name]);
    expect(JSON.parse(text('judge.json'))).toEqual(summary.table);
    expect(
      text('ratings.jsonl')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(summary.ratings);
    expect(await session.estimateJudging(asked)).toMatchObject({ toSend: 0, cached: 9 });
    expect(JSON.stringify([summary, events, text('judge.json'), text('ratings.jsonl')])).not.toContain('sk-0123456789');
  } finally {
    await server.close();
  }
});

it('rates teachers by their demonstrations, as Table 13, without the trigger of the CoT prompt', async () => {
  const demonstration = {
    ...{ id: 'T/C-7', teacher: 'A teacher', taskId: 'C', itemId: 'C-7', instruction: 'Choose.', target: 'B' },
    ...{
      question: "Question: Which [[7]]?\nAnswer: Let's think step by step",
      answer: 'Number 7.',
      family: 'out-family',
    },
  };
  const files = { ...(request.files as { files: Record<string, Uint8Array> }).files };
  files['demonstrations.jsonl'] = new TextEncoder().encode(`${JSON.stringify(demonstration)}\n`);
  const prompts: string[] = [];
  const api = judging(() => Date.now());
  const reply = api.reply.bind(api);
  api.reply = (body, headers) => {
    prompts.push(body);
    return reply(body, headers);
  };
  const clock = new VirtualClock();
  const judged = (await clock.drive(
    judgeForRequest(
      {
        ...request,
        predictions: [...request.predictions, { run: 'r, teachers', path: 'demonstrations.jsonl' }],
        files: { kind: 'memory', files },
      },
      {
        answers: new MemoryAnswerStore(),
        control: new RunControl(),
        onEvent: () => undefined,
        fetch: fakeFetch(api, clock),
        clock,
      },
    ),
  ))!;
  expect(judged.table.rows.map(({ system, all }) => [system, all.n])).toEqual([
    ['Self-refined', 9],
    ['A teacher', 1],
  ]);
  const asked = prompts.filter((body) => body.includes('Choose.'));
  expect(asked).toHaveLength(1);
  expect(asked[0]).toContain('Which [[7]]?');
  expect(asked[0]).not.toContain('step by step');
});

it('a stop ends it with what there is, and the same request goes on', async () => {
  const answers = new MemoryAnswerStore();
  const start = (onEvent: (event: TeachEvent, control: RunControl) => void) => {
    const clock = new VirtualClock();
    const api = judging(() => clock.now());
    const control = new RunControl();
    const work = judgeForRequest(request, {
      answers,
      control,
      onEvent: (event) => onEvent(event, control),
      fetch: fakeFetch(api, clock),
      clock,
    });
    return { clock, api, work };
  };
  const first = start((event, control) => {
    if (event.type === 'teach-progress' && event.done >= 1) control.stop();
  });
  const stopped = (await first.clock.drive(first.work)) as JudgeSummary;
  expect(stopped.reason).toBe('stopped');
  const rated = stopped.ratings.filter(({ rating }) => rating !== undefined).length;
  expect(stopped.table.rows[0]!.all).toMatchObject({ n: rated, missing: 9 - rated });
  expect(rated).toBeGreaterThanOrEqual(1);
  const second = start(() => undefined);
  const rest = (await second.clock.drive(second.work)) as JudgeSummary;
  expect(rest.table.rows[0]!.all).toMatchObject({ n: 9, missing: 0 });
  expect(first.api.asked.length + second.api.asked.length).toBe(9);
});

it.each([
  [{ seed: -1 }, 'seed'],
  [{ predictions: [] }, 'predictions'],
  [{ limit: 0 }, 'limit'],
  [{ tasks: ['D'] }, 'tasks: expected "C"'],
  [{ budget: { cost: 1 } }, 'prices'],
  [{ predictions: [{ run: 'r', path: 'none.jsonl' }] }, 'none.jsonl'],
])('refuses %j before anything is sent', async (more, part) => {
  const session = new Session(noGpu, new MemoryRunStore());
  const bad = { ...request, key: 'sk-0123456789', ...more } as JudgeRequest;
  for (const work of [() => session.estimateJudging(bad), () => session.judge(bad, () => undefined)]) {
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    expect(error?.message).toContain(part);
    expect(`${error?.message} ${error?.stack}`).not.toContain('sk-0123456789');
  }
});
