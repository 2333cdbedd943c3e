// fullAgain.test.ts: a grid on one machine that is said again after a shared job failed for good: that job and all that waits
// for it are made, nothing else twice; and what a slot's browser keeps of runs goes when they are finished, not before. The
// runs only pretend.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import type { VerbContext } from '../../src/cli/context';
import { loadSeries } from '../../src/cli/experimentFile';
import { runGridHere } from '../../src/cli/full/local';
import { Output } from '../../src/cli/output';
import type { RunFlags } from '../../src/cli/runs';
import type { RunSummary, SessionApi, StoredRun } from '../../src/session/protocol';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { Kept } from './fakeSession';
import { madeUpMachine } from './madeUpMachine';

// The table is made of whole reports; these are none.
vi.mock('../../src/cli/series', async (original) => ({
  ...(await original<object>()),
  writeTable: () => Promise.resolve(''),
}));

const folder = mkdtempSync(join(tmpdir(), 'pupil-full-again-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('said again, a grid makes what failed and what waited for it; the browser keeps only what is unfinished', async () => {
  const loaded = loadSeries(writeTinyGrid(folder, [WAYS], 2), {})!;
  /** By job, what its next run comes to. */
  const ends = new Map<string, RunSummary['state']>();
  const begun: string[] = [];
  /** In the storage of the one browser, by run. */
  const stored = new Map<string, string>();
  const session: Partial<SessionApi> = {
    open: () => Promise.resolve(),
    doctor: () => Promise.resolve({ adapter: {}, software: false } as never),
    listRuns: () => Promise.resolve([...stored.keys()].map((runId) => ({ runId }) as StoredRun)),
    deleteRun: (runId) => Promise.resolve(void stored.delete(runId)),
    run: ({ runId, out }) => {
      const { directory } = out as { directory: string };
      const job = directory.split('/').at(-1)!;
      begun.push(job);
      stored.set(runId, job);
      writeFileSync(join(directory, 'metrics.jsonl'), '');
      const state = ends.get(job) ?? 'finished';
      // As a session leaves it: series.ts tells by the report whether a run is finished.
      if (state === 'finished') writeFileSync(join(directory, 'report.json'), JSON.stringify({ state }));
      const error = { code: 'training', message: 'the loss is no number' } as const;
      return Promise.resolve({
        runId,
        state,
        report: undefined,
        artefacts: [],
        ...(state === 'failed' ? { error } : {}),
      });
    },
  };
  const root = (path: string) => ({ kind: 'disk', directory: path }) as const;
  const said = new Kept();
  const context: VerbContext = {
    output: () => new Output(true, { out: said, err: said }),
    exit: () => undefined,
    machine: madeUpMachine(),
    openHost: () =>
      Promise.resolve({
        session: session as SessionApi,
        about: {},
        reads: () => root('/'),
        writes: () => root('/'),
        folder: root,
        own: root,
        close: () => Promise.resolve(),
      }),
  };
  const flags = { host: 'node', gpu: 'auto', gflops: 1, retries: 0 } as RunFlags;
  const grid = { out: join(folder, 'out'), slots: [{ name: 'slot-1' }], flags, again: 'again' };
  const run = async (): Promise<{ code: number; made: string[] }> => {
    begun.length = 0;
    const code = await runGridHere(context, context.output(true), loaded, grid);
    return { code, made: [...begun] };
  };

  const first = await run();
  const [shared] = first.made;
  expect(first.code, said.text).toBe(0);
  expect(shared).toMatch(/^instruct-/);
  expect([...stored.values()]).toEqual([]);

  rmSync(grid.out, { recursive: true });
  const cells = first.made.filter((job) => !job.startsWith('instruct-'));
  ends.set(shared!, 'failed').set(cells.at(-1)!, 'failed');
  const second = await run();
  expect(second.code).toBe(1);
  expect(said.text).toContain('"blocked":["');
  expect(second.made).toContain(shared);
  expect(second.made.length).toBe(first.made.length - 2); // two cells wait for the one that failed
  expect([...stored.values()].sort()).toEqual([shared, cells.at(-1)].sort()); // neither is finished

  ends.clear();
  const third = await run();
  expect(third.code, said.text).toBe(0);
  expect(third.made.sort()).toEqual(
    [...first.made.filter((job) => !second.made.includes(job)), shared, cells.at(-1)].sort(),
  );
  expect([...stored.values()]).toEqual([]);
});
