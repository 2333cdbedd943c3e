// runRefusals.test.ts: runs that cannot start are refused by name, before anything is left behind.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunSummary } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

describe('requests that cannot start', () => {
  const store = new MemoryRunStore();
  let session: Session;
  beforeAll(async () => {
    session = new Session(await nodeGpu(), store);
    await session.open({ tier: 'f32' });
  });
  afterAll(() => session.close());

  const run = (experiment: unknown): Promise<RunSummary> =>
    session.run({ runId: 'tiny', experiment, files: { kind: 'memory', files: tinyFiles() } }, () => undefined);

  it('an invalid experiment is refused with every problem named', async () => {
    await expect(run(tinyExperiment({ adapter: { rank: 0 } }))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('adapter.rank') as string,
    });
    expect(await store.listRuns()).toEqual([]);
  });

  it('missing files are refused by name', async () => {
    const student = {
      source: { kind: 'directory', path: 'elsewhere' },
      tokenizer: { kind: 'words', path: 'vocab.json' },
    };
    await expect(run(tinyExperiment({ student }))).rejects.toMatchObject({
      message: expect.stringContaining('elsewhere') as string,
    });
    expect(await store.listRuns()).toEqual([]);
  });
});
