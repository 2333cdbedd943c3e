// queueLab.ts: a queue on a real Redis with workers whose runs only pretend, and a test says what each of them does. Tests
// only.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import type { VerbContext } from '../../src/cli/context';
import { loadSeries } from '../../src/cli/experimentFile';
import type { ArtefactStore } from '../../src/cli/full/artefactStore';
import { FolderStore } from '../../src/cli/full/folderStore';
import { gridJobs } from '../../src/cli/full/jobs';
import { GridQueue } from '../../src/cli/full/queue';
import { connectRedis } from '../../src/cli/full/queueConnection';
import { queuedGrid, tableId, type QueuedGrid } from '../../src/cli/full/queueJobs';
import type { TableResult } from '../../src/cli/full/tableJob';
import { GridWorker, type WorkerOptions } from '../../src/cli/full/worker';
import { Output } from '../../src/cli/output';
import type { RunFlags } from '../../src/cli/runs';
import type { RunRequest, RunSummary, SessionApi, SessionEvent } from '../../src/session/protocol';
import { HAS_REDIS, startRedis, type RedisServer } from '../support/redisServer';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { Kept } from './fakeSession';
import { madeUpMachine } from './madeUpMachine';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-worker-'));
const GRID = writeTinyGrid(folder, [WAYS], 2);
export const LOCK_SECONDS = 4;
export let redis: RedisServer;
let count = 0;

beforeAll(async () => {
  if (HAS_REDIS) redis = await startRedis();
});
afterAll(async () => {
  await redis?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a pretended run is told to do. */
export type Play = (run: {
  id: string;
  request: RunRequest;
  on: (event: SessionEvent) => void;
  stopped: Promise<void>;
}) => Promise<RunSummary['state']>;

export interface Lab {
  queue: GridQueue;
  connection: Redis;
  grid: QueuedGrid;
  namespace: string;
  /** Every run that was begun, by its folder's name. */
  begun: string[];
  store: ArtefactStore;
  /** Browsers, or what stands for them, that are open now. */
  open: () => number;
  worker(play?: Play, more?: Partial<WorkerOptions>): { done: Promise<number>; worker: GridWorker; said: Kept };
  close(): Promise<void>;
}

export const until = async (what: string, fine: () => Promise<boolean> | boolean, ms = 120_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await fine());) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

export async function lab(): Promise<Lab> {
  const namespace = `lab-${count++}`;
  const store = await FolderStore.open(join(folder, `${namespace}-store`));
  const connections = [await connectRedis(redis.url)];
  const queue = new GridQueue(connections[0]!, namespace);
  const loaded = loadSeries(GRID, {})!;
  const begun: string[] = [];
  let open = 0;
  const running: Promise<number>[] = [];
  const workers: GridWorker[] = [];
  return {
    ...{ queue, connection: connections[0]!, namespace, begun, store },
    open: () => open,
    grid: queuedGrid(loaded, gridJobs(loaded), undefined),
    worker: (play = () => Promise.resolve('finished'), more = {}) => {
      const said = new Kept();
      let stop: () => void = () => undefined;
      const session: Partial<SessionApi> = {
        open: () => Promise.resolve(),
        stop: () => Promise.resolve(stop()),
        listRuns: () => Promise.resolve([]),
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
        openHost: () => {
          open++;
          return Promise.resolve({
            session: session as SessionApi,
            about: {},
            reads: () => root('/'),
            writes: () => root('/'),
            folder: root,
            own: root,
            close: () => Promise.resolve(void open--),
          });
        },
      };
      const flags = { host: 'node', gpu: 'auto', gflops: 1, retries: 0 } as RunFlags;
      const options = { flags, slots: [{ name: 'slot-1' }], lockSeconds: LOCK_SECONDS, once: true };
      const connection = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 100 });
      connection.on('error', () => undefined);
      connections.push(connection);
      const work = join(folder, `${namespace}-work-${workers.length}`);
      const worker = new GridWorker(context, context.output(true), connection, queue, store, {
        ...options,
        work,
        ...more,
      });
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

export const tableOf = async ({ queue, grid }: Lab): Promise<TableResult> => {
  const job = await queue.job(tableId(grid.grid));
  return job!.returnvalue as TableResult;
};
