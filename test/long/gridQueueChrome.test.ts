// gridQueueChrome.test.ts: workers of a queue whose runs are computed in headless Chromium, as on a server, in software: one
// killed and its browser left behind, one killed together with its browser, the table that of an undisturbed local run in
// Chromium; and a worker of two cards, ordinary files in place of their device files, with two browsers at once. The queue's
// own proof, without browsers, is gridQueue.test.ts.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserGroups } from '../../src/cli/browserProcesses';
import { expectSandbox } from '../../src/cli/cards';
import { thisMachine } from '../../src/cli/machine';
import { buildForRuns } from '../cli/killedRuns';
import { pupil } from '../cli/process';
import {
  computedIn,
  endsOf,
  STUDENTS,
  tableOf,
  WorkerProcess,
  type Line,
  type WorkerHost,
} from '../support/gridWorkers';
import { HAS_REDIS, startRedis, type RedisServer } from '../support/redisServer';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';

const folder = mkdtempSync(join(tmpdir(), 'pupil-grid-chrome-'));
/** Refined on the task of phase 1 and on the other one, with two seeds: four cells, of which two share a phase 1 each. */
const grid = writeTinyGrid(folder, [{ ...STUDENTS, values: STUDENTS.values.slice(0, 1) }, WAYS], 2);
const IN_CHROMIUM = ['--allow-software'];

let local: unknown;
const table = (where: string): unknown => tableOf(readFileSync(join(where, 'series.json'), 'utf8'));

beforeAll(async () => {
  buildForRuns();
  const out = join(folder, 'local');
  const { code, err } = await pupil(['full', grid, '--local', '--out', out, ...IN_CHROMIUM, '--json']);
  expect(code, err).toBe(0);
  local = table(out);
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

/** A queue with the grid in it, its store, and workers of machines by name. */
class Queue {
  readonly store: string;
  readonly workers: WorkerProcess[] = [];

  private constructor(
    private readonly redis: RedisServer,
    private readonly name: string,
  ) {
    this.store = join(folder, name, 'store');
  }

  static async with(name: string): Promise<Queue> {
    const redis = await startRedis();
    const added = await pupil(['full', grid, '--queue', redis.url, '--namespace', name, '--json']);
    expect(added.code, added.err).toBe(0);
    expect(added.lines[0]).toMatchObject({ type: 'queue-added', runs: 4, jobs: 6, added: 6 });
    return new Queue(redis, name);
  }

  /** The folder of a machine for jobs. */
  work(machine: string): string {
    return join(folder, this.name, machine);
  }

  worker(machine: string, host: WorkerHost, ...more: string[]): WorkerProcess {
    const where = ['--queue', this.redis.url, '--namespace', this.name, '--store', this.store];
    const args = [...where, '--work', this.work(machine), '--lock-seconds', '6', ...more];
    const started = new WorkerProcess(args, host);
    this.workers.push(started);
    return started;
  }

  /** Process groups of the browsers of a machine's slot. */
  browsers(machine: string, slot: string): number[] {
    return browserGroups(join(this.work(machine), this.name, `.${slot}`, '.profile'));
  }

  /** Waits for the grid's end; what came of it. */
  async finished(): Promise<{ table: unknown; ends: string[][]; computed: Record<string, number> }> {
    const fetched = join(folder, this.name, 'fetched');
    const where = ['--queue', this.redis.url, '--namespace', this.name, '--store', this.store];
    const { code, err } = await pupil(['full', grid, ...where, '--wait', '--fetch', fetched, '--json']);
    expect(code, `${err}\n${this.workers.map(({ text }) => text).join('\n')}`).toBe(0);
    const ends = [...(await endsOf(this.redis.url, this.name)).values()];
    return { table: table(fetched), ends, computed: computedIn(this.store, this.name) };
  }

  async close(): Promise<void> {
    for (const one of this.workers) one.kill();
    await this.redis.close();
  }
}

/** What the undisturbed grid comes to: six jobs and the table, each ended once; what is shared, computed once a seed. */
const ONCE = {
  ends: Array.from({ length: 7 }, () => ['completed']),
  computed: { 'baseline Baseline': 2, instruct: 2, 'generate-pairs': 4, 'self-refine': 4 },
};

const signalGroups = (groups: readonly number[], name: NodeJS.Signals): void =>
  groups.forEach((group) => process.kill(-group, name));

const gone = async (groups: readonly number[]): Promise<void> => {
  const lives = (group: number): boolean => {
    try {
      return process.kill(-group, 0);
    } catch {
      return false;
    }
  };
  await expect.poll(() => groups.filter(lives), { timeout: 20_000 }).toEqual([]);
};

it.skipIf(!HAS_REDIS)(
  'a worker killed with its browser, and one killed whose browser is left behind: the table is the local one (needs redis-server)',
  async () => {
    const queue = await Queue.with('killed');
    const host = { flags: IN_CHROMIUM };
    try {
      queue.worker('two', host);
      const first = queue.worker('one', host);
      const inPhase2 = (line: Line): boolean => line.type === 'checkpoint' && line.phase === 'self-refine';
      await first.until('a checkpoint of phase 2', inPhase2);
      const left = queue.browsers('one', 'slot-1');
      expect(left).toHaveLength(1);
      signalGroups(left, 'SIGSTOP'); // one that runs ends by itself when its launcher is gone
      first.signal('SIGKILL');
      await first.ended;
      expect(queue.browsers('one', 'slot-1')).toEqual(left);

      const second = queue.worker('one', host);
      await second.until('a job of its own', (line) => line.type === 'queue-job' && line.state === 'started');
      await gone(left);
      await second.until('a checkpoint', (line) => line.type === 'checkpoint');
      expect(second.text).toContain(`browser: ending one that an earlier run left behind (process ${left[0]})`);

      const own = queue.browsers('one', 'slot-1');
      expect(own).toHaveLength(1);
      second.signal('SIGKILL');
      signalGroups(own, 'SIGKILL');
      await gone(own);
      const third = queue.worker('one', host);

      expect(await queue.finished()).toEqual({ table: local, ...ONCE });
      expect(third.text).not.toContain('left behind');
    } finally {
      await queue.close();
    }
  },
);

/** Two cards by nvidia-smi's numbers; the kernel met them in the other order. */
const CARDS = [
  { pci: '01:00.0', minor: 1 },
  { pci: '25:00.0', minor: 0 },
];

/** In place of nvidia-smi: a process of a browser's GPU works on the cards that its /dev shows. */
const NVIDIA_SMI = `#!/bin/bash
${CARDS.map(
  ({ pci, minor }) => `echo "GPU 00000000:${pci}"
echo "    Product Name : Made of a file"
echo "    Minor Number : ${minor}"
for one in /proc/[0-9]*; do
  [ -e $one/root/dev/nvidia${minor} ] || continue
  grep -qs -- --type=gpu-process $one/cmdline && echo "        Process ID : \${one#/proc/}"
done`,
).join('\n')}
exit 0
`;

/** A machine with two cards: its /dev has ordinary files for them, and its nvidia-smi knows them. */
function twoCards(): WorkerHost {
  const files = join(folder, 'dev');
  const commands = join(folder, 'bin');
  for (const one of [files, commands]) mkdirSync(one, { recursive: true });
  writeFileSync(join(commands, 'nvidia-smi'), NVIDIA_SMI);
  chmodSync(join(commands, 'nvidia-smi'), 0o755);
  const mounts = ['nvidiactl', 'nvidia-uvm', ...CARDS.map(({ minor }) => `nvidia${minor}`)].flatMap((name) => {
    writeFileSync(join(files, name), name);
    return ['--dev-bind', join(files, name), `/dev/${name}`];
  });
  return {
    inside: ['bwrap', '--dev-bind', '/', '/', '--dev', '/dev', '--dev-bind', '/dev/shm', '/dev/shm', ...mounts, '--'],
    env: { PATH: `${commands}:${process.env['PATH']}` },
    // Made of files, the cards compute nothing: SwiftShader does, and it is no NVIDIA adapter.
    flags: ['--gpus', '0,1', '--gpu', 'software', '--allow-software', '--expect-vendor', 'google'],
  };
}

/** The cards in the /dev of the processes that the browsers of these groups started for themselves. */
function cardsSeenBy(groups: readonly number[]): string[] {
  const seen = readdirSync('/proc').flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
      const helper = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=');
      if (!groups.includes(group) || !helper) return [];
      return readdirSync(`/proc/${pid}/root/dev`).filter((name) => /^nvidia\d+$/.test(name));
    } catch {
      return []; // no process, or gone meanwhile
    }
  });
  return [...new Set(seen)].sort();
}

const obstacle = ((): string | undefined => {
  try {
    expectSandbox(thisMachine(), { index: 0, minor: 0 });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
})();

describe.skipIf(!HAS_REDIS || obstacle !== undefined)(
  `a worker of two cards (needs redis-server; ${obstacle ?? 'bubblewrap works'})`,
  () => {
    it('has a browser on each at once, which sees that card only; the table is the local one', async () => {
      const queue = await Queue.with('cards');
      try {
        const worker = queue.worker('one', twoCards(), '--once');
        let over = false;
        void worker.ended.then(() => (over = true));
        let seen: string[][] = [];
        while (!over && seen.filter((cards) => cards.length > 0).length < 2) {
          await sleep(100);
          seen = ['gpu-0', 'gpu-1'].map((slot) => cardsSeenBy(queue.browsers('one', slot)));
        }
        expect(seen, worker.text).toEqual([['nvidia1'], ['nvidia0']]);
        expect(await queue.finished()).toEqual({ table: local, ...ONCE });
        expect(await worker.ended, worker.text).toBe(0);
        expect(['gpu-0', 'gpu-1'].flatMap((slot) => queue.browsers('one', slot))).toEqual([]);
      } finally {
        await queue.close();
      }
    });
  },
);
