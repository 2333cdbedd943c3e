// session.test.ts: the session behind its worker, as the page holds it: a device is opened, errors arrive with their code
// and hint, events arrive in order, and a run trains the lesson student and can be stopped, listed and deleted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { automationFor } from '../../src/app/automation';
import { createSessionClient, type SessionClient } from '../../src/app/client';
import { PupilError } from '../../src/base/errors';
import { preset } from '../../src/config/presets';
import { resolvePaths } from '../../src/config/paths';
import type { CheckResult, RunRequest, SessionEvent } from '../../src/session/protocol';

/** The page's own way to its files: the project's folders beside each other under one address. */
const files = { kind: 'http', base: `${location.origin}/` } as const;

function request(runId: string): RunRequest {
  const experiment = resolvePaths(preset('smoke'), { base: 'experiments' });
  return {
    runId,
    experiment: { ...experiment, phases: { baseline: false, instruct: experiment.phases.instruct, selfRefine: false } },
    files,
  };
}

describe('the session in its worker', () => {
  let client: SessionClient;
  beforeAll(async () => {
    client = createSessionClient();
    await client.open({ tier: 'f32' });
  });
  afterAll(() => client.terminate());

  it('opens a device and describes it', async () => {
    const report = await client.doctor();
    expect(report.tier).toBe('f32');
    expect(report.tiers).toContain('f32');
    expect(report.adapter['vendor']).toBeTypeOf('string');
    expect(report.storage.quotaBytes).toBeGreaterThan(0);
    expect(report.userAgent).toBe(navigator.userAgent);
  });

  it('gives errors back as PupilErrors with code and hint', async () => {
    const wrong = client.run({ runId: 'wrong', experiment: { name: 'x' }, files }, () => undefined);
    await expect(wrong).rejects.toBeInstanceOf(PupilError);
    await expect(wrong).rejects.toMatchObject({ code: 'config', hint: expect.any(String) as string });
    await expect(client.open({ expectVendor: 'no-such-vendor' })).rejects.toMatchObject({ code: 'gpu-software-only' });
    await client.open({ tier: 'f32' });
  });

  it('checks kernels and reports each case', async () => {
    const results: CheckResult[] = [];
    const summary = await client.check('rmsnorm', (result) => results.push(result));
    expect(summary.failed).toBe(0);
    expect(summary.passed).toBeGreaterThan(0);
    expect(results.filter((result) => result.status === 'passed')).toHaveLength(summary.passed);
    expect(results.every((result) => result.kernel.includes('rmsnorm'))).toBe(true);
  });

  it('talks: tokens arrive while the answer is under way, and stop ends it', async () => {
    const student = { source: { kind: 'bundled', name: 'lesson' }, quantize: 'none' };
    expect(await client.talkStudent({ files, student })).toMatchObject({ chat: false, contextTokens: 192 });
    const ask = {
      files,
      student,
      text: 'Question: Tom has 12 pears and buys 5 more pears. How many pears does Tom have?\nAnswer:',
      topLogprobs: 2,
    };
    const pieces: string[] = [];
    const whole = await client.talk({ ...ask, maxNewTokens: 12 }, (event) => {
      if (event.type === 'piece') pieces.push(event.text);
    });
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe(whole.text);
    expect(whole.ids.length).toBeGreaterThan(3);
    let stopped: Promise<void> | undefined;
    const cut = await client.talk({ ...ask, maxNewTokens: 12 }, (event) => {
      if (event.type === 'piece') stopped ??= client.stop();
    });
    await stopped;
    expect(cut.stopped).toBe('cancelled');
    expect(whole.text.startsWith(cut.text) && cut.text.length < whole.text.length).toBe(true);
  });

  it('trains, sends its events in order, stops with a checkpoint, is listed, and is deleted', async () => {
    const runId = `worker-${Date.now()}`;
    const events: SessionEvent[] = [];
    const summary = await client.run(request(runId), (event) => {
      events.push(event);
      if (event.type === 'metrics' && event.step === 3) void client.stop();
    });
    expect(summary.state).toBe('stopped');
    const steps = events.flatMap((event) => (event.type === 'metrics' ? [event.step] : []));
    expect(steps.length).toBeGreaterThanOrEqual(3);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    for (const event of events) {
      if (event.type === 'metrics') expect(event.values['loss']).toBeGreaterThan(0);
    }
    const stored = (await client.listRuns()).find((run) => run.runId === runId);
    expect(stored).toMatchObject({ state: 'stopped', phase: 'instruct' });
    expect(stored?.sizeBytes).toBeGreaterThan(0);
    await client.deleteRun(runId);
    expect((await client.listRuns()).some((run) => run.runId === runId)).toBe(false);
  });
});

describe('a worker that cannot work', () => {
  it('fails every call instead of hanging when its script is broken', async () => {
    const source = URL.createObjectURL(new Blob(['throw new Error("broken on purpose")'], { type: 'text/javascript' }));
    const client = createSessionClient(() => new Worker(source, { type: 'module' }));
    await expect(client.listRuns()).rejects.toMatchObject({ code: 'browser' });
    client.terminate();
  });

  it('fails calls that are under way when it is ended', async () => {
    const client = createSessionClient();
    const pending = client.check(undefined, () => undefined);
    client.terminate();
    await expect(pending).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('window.pupil', () => {
  it('answers with plain data, hands events over in order and before the answer, and knows its methods', async () => {
    const scope = globalThis as unknown as Record<string, unknown>;
    const got: number[] = [];
    scope['takeEvents'] = async (events: { step: number }[]) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      got.push(...events.map((event) => event.step));
    };
    const port = automationFor({
      check: async (_filter: unknown, on: (event: unknown) => void) => {
        for (let step = 0; step < 200; step++) {
          on({ step });
          if (step % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 25));
        }
        return { passed: 200 };
      },
      open: () => Promise.reject(new PupilError('gpu-unavailable', 'no adapter', 'Use another browser.')),
    } as never);
    expect(await port.call('check', [undefined], 'takeEvents')).toEqual({ ok: true, value: { passed: 200 } });
    expect(got).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(await port.call('open', [{}])).toMatchObject({
      ok: false,
      error: { code: 'gpu-unavailable', message: 'no adapter', hint: 'Use another browser.' },
    });
    expect(await port.call('toString' as never, [])).toMatchObject({ ok: false, error: { code: 'usage' } });
    expect(await port.call('check', [undefined], 'noSuchFunction')).toMatchObject({
      ok: false,
      error: { code: 'usage' },
    });
  });
});
