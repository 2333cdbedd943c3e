// gridQueueS3.test.ts: two cells over two workers with their artefacts in a bucket, and nothing else between the machines: the
// table that is fetched from there is that of a local run. The bucket is this test's own, or, named by PUPIL_TEST_S3 and
// PUPIL_TEST_S3_BUCKET, one of a server that is not.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { S3Store } from '../../src/cli/full/s3Store';
import { pupil } from '../cli/process';
import { endsOf, STUDENTS, tableOf, WorkerProcess } from '../support/gridWorkers';
import { HAS_REDIS, startRedis } from '../support/redisServer';
import { startS3 } from '../support/s3Server';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-s3-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(!HAS_REDIS)(
  'two workers, one killed mid-run, with a bucket between them: the table is that of a local run (needs redis-server)',
  { timeout: 1_800_000 },
  async () => {
    const grid = writeTinyGrid(folder, [{ ...STUDENTS, values: STUDENTS.values.slice(0, 1) }, WAYS]);
    const own = process.env['PUPIL_TEST_S3'] === undefined ? await startS3('grids') : undefined;
    if (own !== undefined) {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    }
    const endpoint = own?.endpoint ?? process.env['PUPIL_TEST_S3']!;
    const bucket = own === undefined ? (process.env['PUPIL_TEST_S3_BUCKET'] ?? 'pupil-test') : 'grids';
    const address = `s3://${bucket}/grid-${Date.now()}`;
    const place = ['--store', address, '--s3-endpoint', endpoint];
    const redis = await startRedis();
    const workers: WorkerProcess[] = [];
    const worker = (name: string): WorkerProcess => {
      const flags = ['--queue', redis.url, '--namespace', 'tiny-grid', ...place, '--lock-seconds', '4'];
      const started = new WorkerProcess([...flags, '--work', join(folder, name)]);
      workers.push(started);
      return started;
    };
    try {
      const added = await pupil(['full', grid, '--queue', redis.url, '--json']);
      expect(added.code, added.err).toBe(0);
      const first = worker('first');
      await first.until('a checkpoint of phase 1', (line) => line.type === 'checkpoint' && line.phase === 'instruct');
      first.signal('SIGKILL');
      worker('second');
      worker('third');
      const fetched = join(folder, 'fetched');
      const wait = ['full', grid, '--queue', redis.url, ...place, '--wait', '--fetch', fetched, '--json'];
      const waited = await pupil(wait);
      expect(waited.code, `${waited.err}\n${workers.map(({ text }) => text).join('\n')}`).toBe(0);
      expect(waited.lines.find(({ type }) => type === 'queue-table')).toMatchObject({ finished: 2, missing: [] });
      const ends = await endsOf(redis.url, 'tiny-grid');
      expect([...ends.values()]).toEqual(Array.from({ length: 4 }, () => ['completed'])); // three runs and the table

      const local = await pupil(['full', grid, '--local', '--out', join(folder, 'local'), '--host', 'node', '--json']);
      expect(local.code, local.err).toBe(0);
      const table = (where: string): unknown => tableOf(readFileSync(join(folder, where, 'series.json'), 'utf8'));
      expect(table('fetched')).toEqual(table('local'));

      const store = await S3Store.open(address, { endpoint });
      const left = await store.list('tiny-grid');
      expect(left.filter((name) => name.endsWith('/report.json'))).toEqual([]); // files are named by what they hold
      for (const { id } of (
        JSON.parse(readFileSync(join(fetched, 'series.json'), 'utf8')) as { runs: { id: string }[] }
      ).runs) {
        expect(left.filter((name) => name.startsWith(`tiny-grid/runs/${id}/manifests/`))).toHaveLength(1);
      }
      await store.remove(left);
      store.close();
      expect(own?.uploads.size ?? 0).toBe(0);
    } finally {
      for (const one of workers) one.kill();
      await redis.close();
      await own?.close();
    }
  },
);
