// gridQueue.test.ts: a small grid on a real Redis with two worker processes, one of them killed in the middle of a
// run, and Redis too: every
// job ends once, what is shared is computed once, and the table is that of the same grid worked without a queue.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { computedIn, endsOf, STUDENTS, tableOf, WorkerProcess } from '../support/gridWorkers';
import { HAS_REDIS, startRedis } from '../support/redisServer';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { pupil } from './process';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-queue-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(!HAS_REDIS || process.env['PUPIL_TEST_LONG'] === undefined)(
  'two workers, one killed mid-run, and a Redis that is killed as well: every job ends once and the table is that of a local run (needs redis-server)',
  { timeout: 900_000 },
  async () => {
    const grid = writeTinyGrid(folder, [{ ...STUDENTS, values: STUDENTS.values.slice(0, 1) }, WAYS]);
    const redis = await startRedis();
    const store = join(folder, 'store');
    const workers: WorkerProcess[] = [];
    const worker = (name: string): WorkerProcess => {
      const flags = ['--queue', redis.url, '--namespace', 'tiny-grid', '--store', store, '--lock-seconds', '4'];
      const started = new WorkerProcess([...flags, '--work', join(folder, name)]);
      workers.push(started);
      return started;
    };
    try {
      const added = await pupil(['full', grid, '--queue', redis.url, '--json']);
      expect(added.code, added.err).toBe(0);
      expect(added.lines[0]).toMatchObject({ type: 'queue-added', runs: 2, jobs: 3, added: 3, again: 0, there: 0 });
      const first = worker('first');
      await first.until('a checkpoint of phase 1', (line) => line.type === 'checkpoint' && line.phase === 'instruct');
      first.signal('SIGKILL');
      const second = worker('second');
      await second.until('the run that was begun', (line) => line.type === 'queue-job' && line.state === 'started');
      await redis.kill();
      await redis.start();
      const waited = await pupil([
        'full',
        grid,
        '--queue',
        redis.url,
        '--store',
        store,
        '--wait',
        '--fetch',
        join(folder, 'fetched'),
        '--json',
      ]);
      expect(waited.code, `${waited.err}\n${workers.map(({ text }) => text).join('\n')}`).toBe(0);
      expect(waited.lines.find(({ type }) => type === 'queue-table')).toMatchObject({ finished: 2, missing: [] });

      second.signal('SIGTERM');
      expect(await second.ended, second.text).toBe(130);

      const ends = await endsOf(redis.url, 'tiny-grid');
      expect([...ends.values()]).toEqual(Array.from({ length: 4 }, () => ['completed'])); // three runs and the table
      const once = { 'baseline Baseline': 1, instruct: 1 };
      expect(computedIn(store, 'tiny-grid')).toEqual({ ...once, 'generate-pairs': 2, 'self-refine': 2 });

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
