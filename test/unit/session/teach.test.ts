// teach.test.ts: a teacher at work through SessionApi, as a page uses it: estimate, events, pause, stop, going on, and plain
// data only in what crosses to the page.
import { describe, expect, it } from 'vitest';
import { RunControl } from '../../../src/session/control';
import type { TeachEvent, TeachRequest, TeachSummary } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { teachForRequest } from '../../../src/session/teach';
import { MemoryAnswerStore } from '../../../src/storage/answerStore';
import { MemoryRunStore } from '../../../src/storage/memory';
import { FakeApi } from '../../support/fakeApi';
import { fakeFetch, VirtualClock } from '../../support/fakeFetch';
import { startFakeServer } from '../../support/fakeServer';

const request: TeachRequest = {
  task: 'lesson-kinds',
  paths: ['lesson:kinds/train?count=9&seed=1'],
  files: { kind: 'memory', files: {} },
  provider: 'ollama',
  model: 'small',
  maxTokens: 100,
  samples: 1,
  family: 'in-family',
};
const noGpu = (): never => {
  throw new Error('teaching asks for no GPU');
};

describe('a session', () => {
  it('teaches without a GPU; what crosses its border is plain data, and equal to what it was', async () => {
    const api = new FakeApi({ fault: (n) => (n === 1 ? 'content-filter' : 'ok'), now: () => Date.now(), longMs: 1e9 });
    const server = await startFakeServer(api, 50);
    try {
      const session = new Session(noGpu, new MemoryRunStore());
      const out = { kind: 'memory' as const, files: {} as Record<string, Uint8Array> };
      const asked = { ...request, baseUrl: server.base, key: 'sk-0123456789', out: { root: out, path: 'd.jsonl' } };
      expect(await session.estimateTeaching(asked)).toMatchObject({ toSend: 9, cached: 0, model: 'small' });
      const events: TeachEvent[] = [];
      const summary = await session.teach(asked, (event) => events.push(event));
      expect(structuredClone([summary, events])).toEqual([summary, events]);
      expect(summary).toMatchObject({ reason: 'finished', label: 'small', notAsked: 0 });
      expect(summary.demonstrations).toHaveLength(8);
      expect(events.at(-1)).toMatchObject({ type: 'teach-progress', done: 9, total: 9, failed: 1 });
      const lines = new TextDecoder().decode(out.files['d.jsonl']).trim().split('\n');
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(summary.demonstrations);
      // The session keeps the answers.
      expect(await session.estimateTeaching(asked)).toMatchObject({ toSend: 0, cached: 8, cachedFailures: 1 });
      expect(JSON.stringify([summary, events])).not.toContain('sk-0123456789');
    } finally {
      await server.close();
    }
  });

  it.each([
    [{ maxTokens: 0 }, 'maxTokens'],
    [{ samples: 1.5 }, 'samples'],
    [{ task: 'chess' }, 'task'],
    [{ provider: 'acme' }, 'expected a provider'],
    [{ provider: 'other' }, 'base URL'],
    [{ budget: { cost: 1 } }, 'prices'],
    [{ model: '' }, 'model'],
    [{ paths: ['lesson:chess/train'] }, 'lesson file'],
    [{ paths: ['none.jsonl'] }, 'none.jsonl'],
  ])('refuses %j before anything is sent', async (more, part) => {
    const session = new Session(noGpu, new MemoryRunStore());
    const bad = { ...request, key: 'sk-0123456789', ...more } as TeachRequest;
    for (const work of [() => session.estimateTeaching(bad), () => session.teach(bad, () => undefined)]) {
      const error = await work().then(
        () => undefined,
        (thrown: unknown) => thrown as Error,
      );
      expect(error?.message).toContain(part);
      expect(`${error?.message} ${error?.stack}`).not.toContain('sk-0123456789');
    }
  });
});

describe('pause and stop', () => {
  const start = (answers: MemoryAnswerStore, onEvent: (event: TeachEvent, control: RunControl) => void) => {
    const clock = new VirtualClock();
    const api = new FakeApi({ fault: () => 'ok', now: () => clock.now(), longMs: 1e7 });
    const control = new RunControl();
    const work = teachForRequest(request, {
      answers,
      control,
      onEvent: (event) => onEvent(event, control),
      fetch: fakeFetch(api, clock),
      clock,
    });
    return { clock, api, control, work };
  };

  it('a pause is told and lasts until it is lifted; nothing is sent meanwhile', async () => {
    const states: string[] = [];
    let [askedAtPause, askedAtResume] = [0, 0];
    const { clock, api, work } = start(new MemoryAnswerStore(), (event, control) => {
      if (event.type === 'teach-progress' && event.done >= 1 && states.length === 1) control.pause();
      if (event.type !== 'state') return;
      states.push(event.state);
      if (event.state === 'paused') {
        askedAtPause = api.asked.length;
        void clock.sleep(100_000).then(() => {
          askedAtResume = api.asked.length;
          control.resume();
        });
      }
    });
    const summary = (await clock.drive(work)) as TeachSummary;
    expect(states).toEqual(['running', 'paused', 'running']);
    expect(askedAtResume).toBe(askedAtPause);
    expect(summary.demonstrations).toHaveLength(9);
  });

  it('a stop ends it with what there is, and the same request goes on', async () => {
    const answers = new MemoryAnswerStore();
    const first = start(answers, (event, control) => {
      if (event.type === 'teach-progress' && event.done >= 1) control.stop();
    });
    const stopped = (await first.clock.drive(first.work)) as TeachSummary;
    expect(stopped.reason).toBe('stopped');
    expect(stopped.demonstrations.length + stopped.notAsked).toBe(9);
    expect(stopped.demonstrations.length).toBeGreaterThanOrEqual(1);
    const second = start(answers, () => undefined);
    const rest = (await second.clock.drive(second.work)) as TeachSummary;
    expect(rest.demonstrations).toHaveLength(9);
    expect(first.api.asked.length + second.api.asked.length).toBe(9);
  });
});
