// gridWorker.test.ts: the queue and a worker on a real Redis with runs that only pretend: order, adding twice, failures,
// cancelling, pausing, giving back, lost locks, a Redis that is away. What runs compute is gridQueue.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { VerbContext } from '../../src/cli/context';
import { loadSeries } from '../../src/cli/experimentFile';
import { BoardReader } from '../../src/cli/full/boardReader';
import { FolderStore } from '../../src/cli/full/folderStore';
import { gridJobs } from '../../src/cli/full/jobs';
import { GridQueue } from '../../src/cli/full/queue';
import { connectRedis } from '../../src/cli/full/queueConnection';
import { queuedGrid, tableId, type QueuedGrid } from '../../src/cli/full/queueJobs';
import type { TableResult } from '../../src/cli/full/tableJob';
import { GridWorker } from '../../src/cli/full/worker';
import { Output } from '../../src/cli/output';
import type { RunFlags } from '../../src/cli/runs';
import type { RunRequest, RunSummary, SessionApi, SessionEvent } from '../../src/session/protocol';
import { HAS_REDIS, startRedis, type RedisServer } from '../support/redisServer';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { Kept } from './fakeSession';
import { madeUpMachine } from './madeUpMachine';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-worker-'));
const GRID = writeTinyGrid(folder, [WAYS], 2);
const LOCK_SECONDS = 4;
let redis: RedisServer;
let count = 0;

beforeAll(async () => {
  if (HAS_REDIS) redis = await startRedis();
});
afterAll(async () => {
  await redis?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a pretended run is told to do. */
type Play = (run: {
  id: string;
  request: RunRequest;
  on: (event: SessionEvent) => void;
  stopped: Promise<void>;
}) => Promise<RunSummary['state']>;

interface Lab {
  queue: GridQueue;
  connection: Redis;
  grid: QueuedGrid;
  namespace: string;
  /** Every run that was begun, by its folder's name. */
  begun: string[];
  worker(play?: Play): { done: Promise<number>; worker: GridWorker; said: Kept };
  close(): Promise<void>;
}

const until = async (what: string, fine: () => Promise<boolean> | boolean, ms = 120_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await fine());) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

async function lab(): Promise<Lab> {
  const namespace = `lab-${count++}`;
  const store = await FolderStore.open(join(folder, `${namespace}-store`));
  const connections = [await connectRedis(redis.url)];
  const queue = new GridQueue(connections[0]!, namespace);
  const loaded = loadSeries(GRID, {})!;
  const begun: string[] = [];
  const running: Promise<number>[] = [];
  const workers: GridWorker[] = [];
  return {
    ...{ queue, connection: connections[0]!, namespace, begun },
    grid: queuedGrid(loaded, gridJobs(loaded), undefined),
    worker: (play = () => Promise.resolve('finished')) => {
      const said = new Kept();
      let stop: () => void = () => undefined;
      const session: Partial<SessionApi> = {
        open: () => Promise.resolve(),
        stop: () => Promise.resolve(stop()),
        deleteRun: () => Promise.resolve(),
        doctor: () => Promise.resolve({ adapter: {}, software: false } as never),
        run: async (request, on) => {
          const { directory } = request.out as { directory: string };
          const id = directory.split('/').at(-1)!;
          begun.push(id);
          const stopped = new Promise<void>((resolve) => (stop = resolve));
          writeFileSync(join(directory, 'metrics.jsonl'), id);
          on({ type: 'checkpoint', phase: 'instruct', step: 1, sizeBytes: 10 });
          const state = await play({ id, request, on, stopped });
          const error = { code: 'training', message: 'the loss is no number' } as const;
          return { runId: request.runId, state, report: {}, artefacts: [], ...(state === 'failed' ? { error } : {}) };
        },
      };
      const root = (path: string) => ({ kind: 'disk', directory: path }) as const;
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
      const options = { flags, slots: [{ name: 'slot-1' }], lockSeconds: LOCK_SECONDS, once: true };
      const connection = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 100 });
      connection.on('error', () => undefined);
      connections.push(connection);
      const work = join(folder, `${namespace}-work-${workers.length}`);
      const worker = new GridWorker(context, context.output(true), connection, queue, store, { ...options, work });
      workers.push(worker);
      const done = worker.run();
      running.push(done);
      return { done, worker, said };
    },
    close: async () => {
      for (const worker of workers) worker.stop();
      await Promise.all(running);
      await queue.close();
      for (const connection of connections) connection.disconnect();
      store.close();
    },
  };
}

const tableOf = async ({ queue, grid }: Lab): Promise<TableResult> => {
  const job = await queue.job(tableId(grid.grid));
  return job!.returnvalue as TableResult;
};

describe.skipIf(!HAS_REDIS)('a grid in a queue (needs redis-server)', { timeout: 240_000 }, () => {
  let at: Lab;
  afterEach(async () => {
    await at.close();
  });

  it('runs what is shared first, everything once, the table last; adding it again adds nothing', async () => {
    at = await lab();
    expect(await at.queue.add(at.grid)).toEqual({ added: at.grid.jobs.length, again: 0, there: 0 });
    expect(await at.queue.add(at.grid)).toEqual({ added: 0, again: 0, there: at.grid.jobs.length });
    const { done, said } = at.worker();
    expect(await done, said.text).toBe(0);
    expect([...at.begun].sort()).toEqual(at.grid.jobs.map(({ id }) => id).sort());
    for (const { id, after } of at.grid.jobs) {
      if (after !== undefined) expect(at.begun.indexOf(after)).toBeLessThan(at.begun.indexOf(id));
    }
    expect(await tableOf(at)).toMatchObject({ runs: 4, finished: 4, missing: [] });
    // All is in the store: a queue that has forgotten everything computes nothing again.
    await at.queue.queue.obliterate({ force: true });
    await at.queue.add(at.grid);
    expect(await at.worker().done).toBe(0);
    expect(at.begun).toHaveLength(at.grid.jobs.length);
    expect(await tableOf(at)).toMatchObject({ finished: 4 });
  });

  it('puts into Redis no path of this installation', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    const job = await at.queue.job(at.grid.jobs[0]!.id);
    const text = JSON.stringify(job!.data.kind === 'run' ? job!.data.job.experiment : {});
    expect(text).toContain('"../test/fixtures/lesson/');
    expect(text).not.toContain(process.cwd());
  });

  it('goes on where one cell fails, and the table says which and why; the grid added again tries it again', async () => {
    at = await lab();
    const [ill] = at.grid.runs.map(({ id }) => id);
    await at.queue.add(at.grid);
    await at.worker(({ id }) => Promise.resolve(id === ill ? 'failed' : 'finished')).done;
    expect(await tableOf(at)).toMatchObject({
      finished: 3,
      missing: [{ id: ill, why: expect.stringContaining('the loss is no number') }],
    });
    expect(at.begun.filter((id) => id === ill)).toHaveLength(1); // the same everywhere: no second attempt
    expect(await at.queue.add(at.grid)).toMatchObject({ added: 0, again: 1 });
    await at.worker().done;
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
  });

  it('cancels a run in its middle, with a checkpoint; what waits for it stays away, and all comes back when added again', async () => {
    at = await lab();
    const shared = at.grid.jobs.find(({ kind }) => kind === 'instruct')!;
    await at.queue.add(at.grid);
    const { done, said } = at.worker(async ({ id, stopped }) => {
      if (id !== shared.id) return 'finished';
      await stopped;
      return 'stopped';
    });
    await until('the shared run', () => at.begun.includes(shared.id));
    expect(await at.queue.cancel(shared.id)).toEqual([shared.id]);
    expect(await done, said.text).toBe(0);
    const followers = at.grid.jobs.filter(({ after }) => after === shared.id).map(({ id }) => id);
    expect(at.begun.filter((id) => followers.includes(id))).toEqual([]);
    const { missing, finished } = await tableOf(at);
    expect(finished).toBe(2);
    expect(missing.map(({ why }) => why)).toEqual(
      followers.map(() => `${shared.id}, which it waits for, was cancelled`),
    );
    const board = await new BoardReader(at.queue).read();
    expect(board.grids[0]!.rows.find(({ id }) => id === shared.id)!.state).toBe('cancelled');
    expect(board.grids[0]!.counts).toMatchObject({ cancelled: 1, blocked: 2 });
    await at.queue.add(at.grid);
    await at.worker().done;
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
    await expect(at.queue.cancel('no-such-job')).rejects.toMatchObject({ code: 'queue' });
  });

  it('gives its job back when it is asked to end, at once and without counting it; a pause begins nothing', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    const one = at.worker(async ({ stopped }) => {
      await stopped;
      return 'stopped';
    });
    await until('a run', () => at.begun.length === 1);
    await at.queue.pause();
    one.worker.stop();
    expect(await one.done).toBe(130);
    const job = await at.queue.job(at.begun[0]!);
    expect(await at.queue.stateOf(job!.id!)).toBe('waiting');
    expect(job!.attemptsMade).toBe(0);
    const two = at.worker();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(at.begun).toHaveLength(1);
    await at.queue.resume();
    expect(await two.done).toBe(0);
    expect(at.begun[1]).toBe(at.begun[0]); // before all others
    expect(await tableOf(at)).toMatchObject({ finished: 4 });
  });

  it('keeps a run over a Redis that is away for longer than its lock lasts', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const { done } = at.worker(async ({ stopped }) => {
      const which = await Promise.race([held.then(() => 'finished' as const), stopped.then(() => 'stopped' as const)]);
      return which;
    });
    await until('a run', () => at.begun.length === 1);
    await redis.kill();
    await new Promise((resolve) => setTimeout(resolve, LOCK_SECONDS * 1000 + 500));
    await redis.start();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    go();
    expect(await done).toBe(0);
    expect([...at.begun].sort()).toEqual(at.grid.jobs.map(({ id }) => id).sort()); // none twice
  });

  it('ends when it is asked to while Redis is away, with its run stored; another one goes on', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    const one = at.worker(async ({ stopped }) => {
      await stopped;
      return 'stopped';
    });
    await until('a run', () => at.begun.length === 1);
    await redis.kill();
    one.worker.stop();
    expect(await one.done).toBe(130);
    await redis.start();
    expect(await at.worker().done).toBe(0);
    expect(at.begun).toHaveLength(at.grid.jobs.length + 1);
    expect(await tableOf(at)).toMatchObject({ finished: 4 });
  });

  it('ends a run whose lock another worker has, and finishes nothing twice', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    let first = true;
    const { done, said } = at.worker(async ({ stopped }) => {
      if (!first) return 'finished';
      first = false;
      await stopped;
      return 'finished'; // too late, and told as if nothing were wrong
    });
    await until('a run', () => at.begun.length === 1);
    await at.connection.set(`pupil:${at.namespace}:${at.begun[0]}:lock`, 'another worker', 'PX', 3000);
    expect(await done, said.text).toBe(0);
    expect(said.text).toContain('lock-lost');
    const events = await at.connection.xrange(`pupil:${at.namespace}:events`, '-', '+');
    const completed = events.filter(([, fields]) => fields.includes('completed') && fields.includes(at.begun[0]!));
    expect(completed).toHaveLength(1);
  });
});
