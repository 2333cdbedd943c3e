// lostDevice.test.ts: the GPU device goes away in the middle of a run (a driver reset, say): the run fails with its typed
// error, nothing before its last checkpoint is lost, and the same session goes on from there on a new device, bit for bit.
import { beforeAll, expect, it, vi } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000 });

let session: Session;
const devices: GPUDevice[] = [];
beforeAll(async () => {
  const gpu = await nodeGpu();
  const provider: Pick<GPU, 'requestAdapter'> = {
    requestAdapter: async (options) => {
      const adapter = (await gpu.requestAdapter(options))!;
      const requestDevice = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => {
        const device = await requestDevice(descriptor);
        devices.push(device);
        return device;
      };
      return adapter;
    },
  };
  session = new Session(provider as GPU, new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

type Out = Record<string, Uint8Array>;
const EXPERIMENT = tinyExperiment({
  phases: { ...(tinyExperiment()['phases'] as object), baseline: false },
  evaluation: { prompts: ['cot'], maxNewTokens: 4, batchSize: 5 },
});

function run(runId: string, out: Out, resume: boolean, onEvent: (event: SessionEvent) => void): Promise<RunSummary> {
  const files = { kind: 'memory' as const, files: tinyFiles() };
  return session.run({ runId, experiment: EXPERIMENT, files, out: { kind: 'memory', files: out }, resume }, onEvent);
}

it('a run whose device is lost ends as one that was left alone', async () => {
  const whole: Out = {};
  expect((await run('whole', whole, false, () => undefined)).state).toBe('finished');

  const out: Out = {};
  const failed = await run('lost', out, false, (event) => {
    if (event.type === 'metrics' && event.phase === 'self-refine' && event.step === 3) devices.at(-1)!.destroy();
  });
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'gpu-device-lost' } });
  expect(failed.error?.hint).toContain('Resume from the last checkpoint');
  expect(devices).toHaveLength(1);
  expect((await run('lost', out, true, () => undefined)).state).toBe('finished');
  expect(devices).toHaveLength(2);
  for (const path of ['adapters/instruct', 'adapters/self-refine'].map((it) => `${it}/adapter_model.safetensors`)) {
    expect(out[path], path).toEqual(whole[path]);
  }
  const lines = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
  expect(lines(out['predictions.jsonl'])).toBe(lines(whole['predictions.jsonl']));
});
