// queueVerb.ts: `pupil full --queue`: puts a grid there, pauses, cancels, begins again, tells how far it is, waits for it,
// fetches what has finished. Who works is worker.ts; what the queue holds is queue.ts.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { ExitCode } from '../context';
import type { LoadedSeries } from '../experimentFile';
import { outputFolder } from '../files';
import { integerIn } from '../options';
import type { Output } from '../output';
import { BoardReader } from './boardReader';
import { boardLines } from './boardText';
import { fetchFiles, newestSnapshot } from './snapshots';
import { gridJobs } from './jobs';
import { openStore, type StoreFlags } from './openStore';
import { DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, expectNamespace, GridQueue, onlyNamespace } from './queue';
import { connectRedis, toldAddress } from './queueConnection';
import { queuedGrid, tableId } from './queueJobs';
import { placesOf } from './symbolicPaths';
import { fetchRuns, tableArea, type TableResult } from './tableJob';

export interface QueueFlags extends StoreFlags {
  /** An address, or true where it is that of PUPIL_QUEUE. */
  queue?: string | true;
  namespace?: string;
}

export interface QueueVerbFlags extends QueueFlags {
  priority?: number;
  attempts?: number;
  wait?: boolean;
  pause?: boolean;
  now?: boolean;
  resume?: boolean;
  retry?: string | true;
  cancel?: string | true;
  status?: boolean;
  fetch?: string;
  data?: string;
}

/** Flags of every verb that speaks with a queue. */
export function withQueueFlags(command: Command): Command {
  return command
    .option('--queue [url]', 'the queue: redis://host:port, rediss:// with TLS (without an address: PUPIL_QUEUE)')
    .option(
      '--namespace <name>',
      'which part of the queue and of the store (default: the name of the grid, or the only one)',
    );
}

/** What `pupil full` does with a queue. */
export function withQueueVerbFlags(command: Command): Command {
  return withQueueFlags(command)
    .option(
      '--priority <n>',
      `with --queue: jobs of smaller numbers are done first (default: ${DEFAULT_PRIORITY})`,
      integerIn(1, 1_000_000),
    )
    .option(
      '--attempts <n>',
      `with --queue: how often a job that fails is begun (default: ${DEFAULT_ATTEMPTS})`,
      integerIn(1, 100),
    )
    .option('--wait', 'with --queue: wait for the table, and end with 1 where runs are missing')
    .option('--fetch <dir>', 'with --queue and --store: what has finished, with the table, into this folder')
    .option('--status', 'with --queue: how far the grids are')
    .option('--pause', 'with --queue: no job is begun any more; those that run go on (with --wait: until none runs)')
    .option('--now', 'with --pause: those that run write a checkpoint, free their GPU and wait in the queue again')
    .option('--resume', 'with --queue: jobs are begun again')
    .option(
      '--retry [job]',
      'with --queue: begin what has failed again, or this job, with all that waits for it',
      jobName,
    )
    .option(
      '--cancel [job]',
      'with --queue: end a job, or all; the grid added again goes on from their checkpoints',
      jobName,
    );
}

function jobName(text: string): string {
  if (/^[a-z0-9-]+$/.test(text)) return text;
  throw new InvalidArgumentError('Expected the name of a job, as pupil board shows it.');
}

/**
 * `full --queue GRID`: an address may follow the flag, so the parser takes the grid for it. What is no address (it has neither
 * a scheme nor a port) is the grid, and the address that of PUPIL_QUEUE.
 */
export function gridAndQueue<F extends QueueFlags>(grid: string | undefined, flags: F): [string | undefined, F] {
  const { queue } = flags;
  if (grid !== undefined || typeof queue !== 'string' || /:\/\/|:\d+$/.test(queue)) return [grid, flags];
  return [queue, { ...flags, queue: true }];
}

/**
 * What is only said of a queue, and what cannot be said together.
 * @throws PupilError `usage`
 */
export function expectQueueFlags(flags: QueueVerbFlags): void {
  const { pause, resume, retry, cancel, now } = flags;
  const acts = Object.entries({ pause, resume, retry, cancel }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`],
  );
  if (now === true && pause !== true) {
    throw new PupilError('usage', '--now: expected with --pause', 'pupil full --queue --pause --now');
  }
  if (acts.length > 1) throw new PupilError('usage', `full --queue: expected one of ${acts.join(', ')} at a time`);
  if (flags.queue === undefined && acts.length > 0) {
    throw new PupilError(
      'usage',
      `${acts[0]}: expected with --queue`,
      'A grid of --local is stopped by Ctrl-C or a kill that asks; the same command said again goes on with it, and tries again what failed.',
    );
  }
}

/** The address of the queue. @throws PupilError `usage` where none is known */
export function queueAddress({ queue }: QueueFlags): string {
  const address = queue === undefined || queue === true ? process.env['PUPIL_QUEUE'] : queue;
  if (address !== undefined && address !== '') return address;
  throw new PupilError(
    'usage',
    '--queue: expected redis://host:port, got no address',
    'Say --queue redis://host:port (of full: pupil full GRID --queue redis://host:port), or set PUPIL_QUEUE.',
  );
}

/** Does something with a queue, and leaves it. */
export async function withQueue<T>(
  flags: QueueFlags,
  output: Output,
  grid: string | undefined,
  work: (queue: GridQueue, redis: Awaited<ReturnType<typeof connectRedis>>) => Promise<T>,
): Promise<T> {
  const address = queueAddress(flags);
  const redis = await connectRedis(address, (away) =>
    output.note(away ? `queue: ${toldAddress(address)} is away, waiting for it` : 'queue: it is back'),
  );
  let queue: GridQueue | undefined;
  try {
    const namespace = flags.namespace ?? grid ?? (await onlyNamespace(redis));
    queue = new GridQueue(redis, expectNamespace(namespace));
    return await work(queue, redis);
  } finally {
    await queue?.close();
    redis.disconnect();
  }
}

/** `pupil full [GRID] --queue …`. `loaded`: the grid, where one is named. */
export async function runQueueVerb(
  output: Output,
  flags: QueueVerbFlags,
  loaded: LoadedSeries | undefined,
): Promise<ExitCode> {
  const grid = loaded === undefined ? undefined : slug(loaded.series.name);
  return withQueue(flags, output, grid, async (queue) => {
    if (flags.cancel !== undefined) {
      const cancelled = await queue.cancel(flags.cancel === true ? undefined : flags.cancel);
      output.result('queue-cancelled', { jobs: cancelled }, () =>
        cancelled.length === 0 ? 'nothing to cancel' : `cancelled: ${cancelled.join(', ')}`,
      );
      return 0;
    }
    if (flags.retry !== undefined) return retry(output, queue, flags.retry === true ? undefined : flags.retry);
    if (flags.pause === true) return pause(output, queue, flags);
    if (flags.resume === true) {
      await queue.resume();
      output.result('queue-paused', { paused: false }, () => 'jobs are begun again');
      return 0;
    }
    if (loaded !== undefined) await addGrid(output, queue, loaded, flags);
    if (flags.status === true) {
      const board = await new BoardReader(queue).read();
      output.result('board', { ...board }, () => boardLines(board).join('\n'));
    }
    const grids = grid === undefined ? await queue.grids() : [grid];
    let code: ExitCode = 0;
    if (flags.wait === true) for (const name of grids) if (!(await waitForTable(output, queue, name))) code = 1;
    if (flags.fetch !== undefined) await fetchGrids(output, queue, grids, flags, flags.fetch);
    if (loaded === undefined && flags.status !== true && flags.wait !== true && flags.fetch === undefined) {
      throw new PupilError(
        'usage',
        'full --queue: expected a grid, or what to do with the queue',
        'Name a grid, or say --status, --pause, --resume, --retry, --cancel, --wait or --fetch.',
      );
    }
    return code;
  });
}

/** Pauses, and says what still runs; with `--wait` until nothing does. */
async function pause(
  output: Output,
  queue: GridQueue,
  { now = false, wait = false }: QueueVerbFlags,
): Promise<ExitCode> {
  const running = await queue.pause(now);
  const jobs = `${running.length} ${running.length === 1 ? 'job' : 'jobs'}`;
  const left = now
    ? `${jobs} that ran write their checkpoints and go back to the queue`
    : `${jobs} still run to their end (--now: they write their checkpoints and go back to the queue)`;
  output.result('queue-paused', { paused: true, now, running }, () =>
    running.length === 0 ? 'paused: nothing runs, nothing begins' : `paused: no job begins; ${left}`,
  );
  if (!wait) return 0;
  for (let left = running; left.length > 0; left = await queue.running()) await sleep(1000);
  output.result('queue-rests', { namespace: queue.namespace }, () => 'nothing runs any more');
  return 0;
}

async function retry(output: Output, queue: GridQueue, id: string | undefined): Promise<ExitCode> {
  const { again, follow } = await queue.retry(id);
  output.result('queue-retried', { again, follow }, () => {
    if (again.length === 0) return 'nothing has failed';
    const then = follow.length === 0 ? '' : `; after that what waits for it: ${follow.join(', ')}`;
    return `begins again: ${again.join(', ')}${then}`;
  });
  return 0;
}

async function addGrid(output: Output, queue: GridQueue, loaded: LoadedSeries, flags: QueueVerbFlags): Promise<void> {
  const grid = queuedGrid(loaded, gridJobs(loaded), flags.data ?? process.env['PUPIL_DATA']);
  const { priority, attempts } = flags;
  const added = await queue.add(grid, {
    ...(priority === undefined ? {} : { priority }),
    ...(attempts === undefined ? {} : { attempts }),
  });
  const value = {
    grid: grid.grid,
    namespace: queue.namespace,
    runs: grid.runs.length,
    jobs: grid.jobs.length,
    ...added,
  };
  output.result(
    'queue-added',
    value,
    () =>
      `${loaded.series.name}: ${value.runs} runs in ${value.jobs} jobs, ${added.added} put into ${queue.namespace}` +
      (added.again > 0 ? `, ${added.again} begin again` : '') +
      (added.there > 0 ? `, ${added.there} were there` : ''),
  );
  const places = [...new Set(grid.jobs.flatMap(({ experiment }) => placesOf(experiment)))];
  if (places.length > 0) {
    output.note(
      `every worker must have, at the same place: ${places.slice(0, 3).join(', ')}${places.length > 3 ? ` and ${places.length - 3} more` : ''} (what lies under --data may lie elsewhere)`,
    );
  }
}

/** Until the table is made. True where no run is missing in it. */
async function waitForTable(output: Output, queue: GridQueue, grid: string): Promise<boolean> {
  for (;;) {
    const job = await queue.job(tableId(grid));
    const state = await job?.getState();
    if (job === undefined)
      throw new PupilError('queue', `--wait: expected the grid ${grid} in the queue, it is not there`);
    if (state === 'failed') throw new PupilError('queue', `${grid}: its table could not be made: ${job.failedReason}`);
    if (state === 'completed') {
      const made = job.returnvalue as TableResult;
      output.result('queue-table', { ...made }, () =>
        [
          made.text,
          ...made.missing.map(({ title, why }) => `missing: ${title}: ${why}`),
          `${made.finished} of ${made.runs} runs finished`,
        ].join('\n'),
      );
      if (made.missing.some(({ why }) => why.includes('failed: '))) {
        output.note('what failed begins again, from its last checkpoint, with: pupil full --queue --retry');
      }
      return made.missing.length === 0;
    }
    await sleep(1000);
  }
}

async function fetchGrids(
  output: Output,
  queue: GridQueue,
  grids: readonly string[],
  flags: QueueVerbFlags,
  to: string,
): Promise<void> {
  const folder = outputFolder('--fetch', resolve(to));
  const store = await openStore(flags);
  try {
    for (const name of grids) {
      const grid = await queue.grid(name);
      if (grid === undefined) continue;
      const out = grids.length > 1 ? join(folder, name) : folder;
      mkdirSync(out, { recursive: true });
      const ids = grid.runs.map(({ id }) => id);
      const found = await fetchRuns(store, queue.namespace, ids, out);
      const area = tableArea(queue.namespace, name);
      const table = await newestSnapshot(store, area);
      if (table !== undefined) await fetchFiles(store, area, table.files, out);
      output.result(
        'queue-fetched',
        { grid: name, folder: out, runs: ids.length, fetched: found.length },
        () => `${found.length} of ${ids.length} runs of ${name} fetched into ${out}`,
      );
    }
  } finally {
    store.close();
  }
}
