// gridQueue.test.ts: the whole proof of the queue: 2 students × 2 tasks × 2 splits × 2 seeds on a real Redis with two worker
// processes, one of them killed in the middle of a run and replaced, Redis killed once: every job ends once, what is shared is
// computed once, and the table is that of a local run that nobody disturbed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { pupil } from '../cli/process';
import { computedIn, endsOf, STUDENTS, tableOf, WorkerProcess } from '../support/gridWorkers';
import { HAS_REDIS, startRedis } from '../support/redisServer';
import { writeTinyGrid, type GridAxes } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-queue-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The task that is learned; the other one is tested only. */
const TASKS: GridAxes[number] = {
  name: 'task',
  values: [
    { label: 'C' },
    {
      label: 'A',
      set: { 'tasks[0].use': ['evaluate'], 'tasks[1].use': ['instruct', 'selfRefine', 'evaluate'] },
    },
  ],
};
const SPLITS: GridAxes[number] = {
  name: 'split',
  values: [0.5, 1].map((share) => ({ label: `${share * 100} %`, set: { 'phases.instruct.fraction': share } })),
};

it.skipIf(!HAS_REDIS)(
  '16 runs over two workers, disturbed, are the 16 of an undisturbed machine (needs redis-server)',
  async () => {
    const grid = writeTinyGrid(folder, [STUDENTS, TASKS, SPLITS], 2);
    const redis = await startRedis();
    const store = join(folder, 'store');
    const workers: WorkerProcess[] = [];
    const worker = (): WorkerProcess => {
      const flags = ['--queue', redis.url, '--namespace', 'tiny-grid', '--store', store, '--lock-seconds', '6'];
      const started = new WorkerProcess([...flags, '--work', join(folder, `work-${workers.length}`)]);
      workers.push(started);
      return started;
    };
    try {
      const added = await pupil(['full', grid, '--queue', redis.url, '--json']);
      expect(added.code, added.err).toBe(0);
      const { jobs } = added.lines[0] as { jobs: number };
      const first = worker();
      const second = worker();
      await first.until(
        'a checkpoint of phase 2',
        (line) => line.type === 'checkpoint' && line.phase === 'self-refine',
      );
      first.signal('SIGKILL');
      worker();
      await second.until('another finished run', (line) => line.type === 'queue-job' && line.state === 'finished');
      await redis.kill();
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await redis.start();
      const fetched = join(folder, 'fetched');
      const waited = await pupil([
        'full',
        grid,
        '--queue',
        redis.url,
        '--store',
        store,
        '--wait',
        '--fetch',
        fetched,
        '--json',
      ]);
      expect(waited.code, `${waited.err}\n${workers.map(({ text }) => text).join('\n')}`).toBe(0);

      const ends = await endsOf(redis.url, 'tiny-grid');
      expect(ends.size).toBe(jobs + 1); // the table is one as well
      expect([...ends.values()].every((events) => events.length === 1 && events[0] === 'completed')).toBe(true);
      // Four baselines, a student and a seed each; every adapter is a cell's own.
      expect(computedIn(store, 'tiny-grid')).toEqual({
        'baseline Baseline': 4,
        instruct: 16,
        'generate-pairs': 16,
        'self-refine': 16,
      });

      const local = await pupil(['full', grid, '--local', '--out', join(folder, 'local'), '--host', 'node', '--json']);
      expect(local.code, local.err).toBe(0);
      const table = (where: string): unknown => tableOf(readFileSync(join(folder, where, 'series.json'), 'utf8'));
      expect(table('fetched')).toEqual(table('local'));
    } finally {
      for (const one of workers) one.kill();
      await redis.close();
    }
  },
);
