// gridWorker.test.ts: the queue and a worker on a real Redis with runs that only pretend: order, adding twice, failures,
// cancelling, giving back, lost locks, a Redis that is away. What runs compute is gridQueue.test.ts.
import { afterEach, describe, expect, it } from 'vitest';
import { BoardReader } from '../../src/cli/full/boardReader';
import { tableId, type JobState } from '../../src/cli/full/queueJobs';
import { HAS_REDIS } from '../support/redisServer';
import { lab, LOCK_SECONDS, redis, tableOf, until, type Lab } from './queueLab';

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
    // Who adds it once more and waits for the table has it, though no worker is left; of other words it is made anew.
    const tableState = (): Promise<JobState> => at.queue.stateOf(tableId(at.grid.grid));
    await at.queue.add({ ...at.grid, addedAt: new Date().toISOString() });
    expect(await tableState()).toBe('finished');
    await at.queue.add({ ...at.grid, series: { ...at.grid.series, name: 'Another title' } });
    expect(await tableState()).toBe('waiting');
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
