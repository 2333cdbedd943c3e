// lostWorker.test.ts: what goes wrong with the page's real session in the middle of a run: its worker is killed without a word, a
// person gives it up, its device is lost, one after the other to one run. Each time the calls end with an error instead of
// hanging, nothing stored is lost, and at last the run ends, in another worker and on another device, with the same bits as one
// that was left alone.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createSessionClient, type SessionClient } from '../../src/app/client';
import type { WorkerNews } from '../../src/app/lab/workerNews';
import { preset } from '../../src/config/presets';
import { resolvePaths } from '../../src/config/paths';
import type { RunRequest, SessionEvent } from '../../src/session/protocol';

const files = { kind: 'http', base: `${location.origin}/` } as const;
const NAME = `lost-${Date.now()}`;
const LIMITS = { everyMs: 100, silentMs: 60_000, deadMs: 120_000 };

function request(runId: string, resume = false): RunRequest {
  const experiment = resolvePaths(preset('smoke'), { base: 'experiments' });
  return {
    runId: `${NAME}-${runId}`,
    experiment: {
      ...experiment,
      phases: { baseline: false, instruct: { ...experiment.phases.instruct, epochs: 4 }, selfRefine: false },
      evaluation: { prompts: ['plain'], maxNewTokens: 8, limit: 4, batchSize: 1 },
    },
    files,
    resume,
  };
}

/** At the end of a step of instruction-tuning that has been checkpointed (every second one is). */
const afterStep =
  (step: number, act: () => void) =>
  (event: SessionEvent): void => {
    if (event.type === 'metrics' && event.step === step) act();
  };

const workers: Worker[] = [];
let news: WorkerNews[] = [];
let limits: typeof LIMITS;
let client: SessionClient;
let undisturbed: Uint8Array;
const adapterOf = (runId: string): Promise<Uint8Array> =>
  client.artefact(`${NAME}-${runId}`, 'adapters/instruct/adapter_model.safetensors');

/** Answers only once the worker has said that the session listens: before, messages would be lost to its own start. */
function startLosable(): Worker {
  const worker = new Worker(new URL('./losableWorker.ts', import.meta.url), { type: 'module' });
  workers.push(worker);
  const { postMessage } = worker;
  const waiting: unknown[][] = [];
  worker.postMessage = (...args: unknown[]) => void waiting.push(args);
  worker.addEventListener('message', ({ data }) => {
    if (data !== 'listening') return;
    worker.postMessage = postMessage;
    for (const args of waiting) Reflect.apply(postMessage, worker, args);
  });
  return worker;
}

describe.runIf(inject('long'))('the page’s session in a run', () => {
  beforeAll(async () => {
    limits = { ...LIMITS };
    client = createSessionClient(startLosable, limits);
    client.onNews((what) => news.push(what));
    expect(workers).toHaveLength(0); // nothing is started before it is needed
    expect((await client.run(request('whole'), () => undefined)).state).toBe('finished');
    expect(workers).toHaveLength(1);
    undisturbed = await adapterOf('whole');
    expect(undisturbed.byteLength).toBeGreaterThan(1000);
  });
  afterAll(async () => {
    for (const run of await client.listRuns()) if (run.runId.startsWith(NAME)) await client.deleteRun(run.runId);
    client.terminate();
  });

  it('busy for long is not taken for dead, nor is a page that slept', async () => {
    news = [];
    Object.assign(limits, { silentMs: 20_000, deadMs: 40_000 });
    await client.check('rmsnorm', () => undefined);
    expect(news).toEqual([]);
    Object.assign(limits, LIMITS);
  });

  describe('one run, each part going on from what the one before left', () => {
    it('its worker killed without a word: a person is told, the calls end, and the next call starts another worker', async () => {
      news = [];
      const running = client.run(
        request('lost'),
        afterStep(3, () => {
          workers.at(-1)!.terminate(); // as a browser does that is short of memory: no event says so
          Object.assign(limits, { silentMs: 300, deadMs: 900 });
        }),
      );
      await expect(running).rejects.toMatchObject({
        code: 'browser',
        hint: expect.stringContaining('still there') as string,
      });
      Object.assign(limits, LIMITS);
      expect(news.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['silent', 'lost']) as string[]);
      const before = workers.length;
      expect((await client.listRuns()).find(({ runId }) => runId === `${NAME}-lost`)).toMatchObject({
        phase: 'instruct',
        step: 2,
      });
      expect(workers).toHaveLength(before + 1);
      // Without resuming it, what was there can be seen.
      const history = await client.runHistory(`${NAME}-lost`);
      expect(history?.history.metrics.map(({ step }) => step)).toEqual([1, 2]);
    });

    it('its worker given up by a person: it is replaced as well', async () => {
      const before = workers.length;
      const running = client.run(
        request('lost', true),
        afterStep(3, () => client.replace()),
      );
      await expect(running).rejects.toMatchObject({ code: 'browser' });
      expect((await client.listRuns()).find(({ runId }) => runId === `${NAME}-lost`)).toMatchObject({ step: 2 });
      expect(workers).toHaveLength(before + 1);
    });

    it('its GPU device lost in a step: it fails with its checkpoint kept, and ends on another device, bit for bit', async () => {
      const channel = new BroadcastChannel('pupil-test-lose-device');
      const failed = await client.run(
        request('lost', true),
        afterStep(3, () => channel.postMessage('now')),
      );
      channel.close();
      expect(failed).toMatchObject({ state: 'failed', error: { code: 'gpu-device-lost' } });
      expect(failed.error?.hint).toContain('Resume from the last checkpoint');
      expect((await client.run(request('lost', true), () => undefined)).state).toBe('finished');
      expect(await adapterOf('lost')).toEqual(undisturbed);
    });
  });
});
