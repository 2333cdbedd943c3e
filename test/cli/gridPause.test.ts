// gridPause.test.ts: a grid in a queue that is paused, with its runs or without, begun again where it failed, and put there by
// a process that dies over it; on a real Redis, with runs that only pretend.
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { BoardReader } from '../../src/cli/full/boardReader';
import { boardLines } from '../../src/cli/full/boardText';
import { GridQueue } from '../../src/cli/full/queue';
import { HAS_REDIS } from '../support/redisServer';
import { lab, redis, tableOf, until, type Lab, type Play } from './queueLab';

const untilStopped: Play = async ({ stopped }) => {
  await stopped;
  return 'stopped';
};

describe.skipIf(!HAS_REDIS)('a grid in a queue (needs redis-server)', { timeout: 240_000 }, () => {
  let at: Lab;
  afterEach(async () => {
    await at.close();
  });

  it('a pause says what still runs and lets it end; now: it stops, frees the machine, and goes on first, uncounted', async () => {
    at = await lab();
    await at.queue.add(at.grid);
    let hold: Play = untilStopped;
    const { done, said } = at.worker((run) => hold(run));
    await until('a run', () => at.begun.length === 1);
    const [id] = at.begun;
    expect(await at.queue.pause()).toEqual([id]);
    await new Promise((resolve) => setTimeout(resolve, 2500)); // longer than workers wait between two looks
    expect(await at.queue.running()).toEqual([id]);
    expect(await at.queue.pause(true)).toEqual([id]);
    expect(boardLines(await new BoardReader(at.queue).read())[0]).toContain('(paused, running jobs stop)');
    await until('its stop', async () => (await at.queue.running()).length === 0);
    await until('a free machine', () => at.open() === 0);
    expect(boardLines(await new BoardReader(at.queue).read())[0]).toContain('(paused), 0 workers');
    expect(await at.queue.stateOf(id!)).toBe('waiting');
    expect((await at.queue.job(id!))!.attemptsMade).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(at.begun).toEqual([id]);
    hold = () => Promise.resolve('finished');
    await at.queue.resume();
    expect(await done, said.text).toBe(0);
    expect(at.begun[1]).toBe(id); // before all others
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
  });

  it('begins a failed shared job again together with what waited for it, and the table is made anew', async () => {
    at = await lab();
    const shared = at.grid.jobs.find(({ kind }) => kind === 'instruct')!;
    const cells = at.grid.jobs.filter(({ after }) => after === shared.id).map((job) => job.id);
    const play: Play = ({ id }) => Promise.resolve(id === shared.id ? 'failed' : 'finished');
    await at.queue.add(at.grid, { priority: 7, attempts: 2 });
    await at.worker(play).done;
    expect(await tableOf(at)).toMatchObject({ finished: 2 });
    await expect(at.queue.retry('no-such-job')).rejects.toThrow(/there is no no-such-job/);
    const fine = at.begun.find((id) => id !== shared.id);
    await expect(at.queue.retry(fine)).rejects.toThrow(/is finished/);
    // Said of all, of the shared job, and of one that waits for it, it is the same.
    for (const which of [undefined, shared.id, cells[0]!]) {
      expect(await at.queue.retry(which)).toEqual({ again: [shared.id], follow: cells });
      const job = (await at.queue.job(shared.id))!;
      expect(job.opts).toMatchObject({ priority: 7, attempts: 2 });
      if (which !== cells[0]) await at.worker(play).done;
    }
    expect(await at.queue.retry()).toEqual({ again: [], follow: [] });
    await at.worker().done;
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
    expect(at.begun.filter((id) => cells.includes(id)).sort()).toEqual([...cells].sort());
  });

  it('leaves cancelled jobs alone unless they are named, and takes one that waits after a failure at once', async () => {
    at = await lab();
    const [one, two] = at.grid.runs.map(({ id }) => id);
    await at.queue.add(at.grid);
    await at.queue.cancel(two);
    await at.worker(({ id }) => Promise.resolve(id === one ? 'failed' : 'finished')).done;
    expect(await at.queue.retry()).toEqual({ again: [one], follow: [] });
    await at.worker().done;
    expect(await tableOf(at)).toMatchObject({ finished: 3, missing: [{ id: two, why: 'cancelled' }] });
    expect(await at.queue.retry(two)).toEqual({ again: [two], follow: [] });
    let first = true;
    const { done } = at.worker(() => {
      if (!first) return Promise.resolve('finished');
      first = false;
      throw new Error('lost, and worth another try');
    });
    await until('its wait', async () => (await at.queue.stateOf(two!)) === 'delayed');
    expect(await at.queue.retry(two)).toEqual({ again: [two], follow: [] });
    expect(await at.queue.stateOf(two!)).not.toBe('delayed');
    await done;
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
  });

  it('is whole or can be completed by being said again, whichever command of adding it is the last', async () => {
    at = await lab();
    const seen: Record<string, number> = {};
    for (let last = 0; ; last++) {
      await at.queue.queue.obliterate({ force: true });
      await at.connection.srem(`pupil-grids:${at.namespace}`, at.grid.grid);
      const connection = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => null });
      connection.on('error', () => undefined);
      await connection.ping();
      let sent = 0;
      const send = connection.sendCommand.bind(connection);
      connection.sendCommand = (command, stream) => {
        if (sent === last) connection.disconnect();
        sent++;
        return send(command, stream);
      };
      const dying = new GridQueue(connection, at.namespace);
      const whole = await Promise.race([
        dying.add(at.grid).then(
          () => sent <= last,
          () => false,
        ),
        // What was on its way when the connection went is never answered.
        new Promise<false>((resolve) => connection.once('end', () => setTimeout(() => resolve(false), 100))),
      ]);
      connection.disconnect();
      const found = await Promise.all(at.grid.jobs.map(async ({ id }) => (await at.queue.job(id)) !== undefined));
      const startable = at.grid.jobs.map(({ after }) => after === undefined);
      const is = found.every((there) => !there) ? 'nothing' : 'whole';
      if (is === 'whole') expect(found, `after ${last} commands`).toEqual(startable);
      seen[is] = (seen[is] ?? 0) + 1;
      const added = await at.queue.add(at.grid);
      expect(added.added + added.there).toBe(at.grid.jobs.length);
      expect(await Promise.all(at.grid.jobs.map(async ({ id }) => (await at.queue.job(id)) !== undefined))).toEqual(
        startable,
      );
      if (whole) break;
      expect(last).toBeLessThan(200);
    }
    expect(seen['nothing']).toBeGreaterThan(10);
    await at.worker().done;
    expect(await tableOf(at)).toMatchObject({ finished: 4, missing: [] });
  });
});
