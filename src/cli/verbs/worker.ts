// worker.ts: `pupil worker`: this machine takes jobs of a queue until it is asked to end. What it does with them is
// full/worker.ts.
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { cacheFolder } from '../../../scripts/browser.mjs';
import { perform, type VerbContext } from '../context';
import { DEFAULT_LOCK_SECONDS } from '../full/jobLocks';
import { openStore, withStoreFlags } from '../full/openStore';
import { withQueue, withQueueFlags, type QueueFlags } from '../full/queueVerb';
import { DEFAULT_CACHE_LIMIT_GIB } from '../full/sharedResults';
import { slotsOf } from '../full/slots';
import { integerIn, withCacheFlags, withCardFlags, withDeviceFlags, withRelaunchFlags } from '../options';
import type { RunFlags } from '../runs';

interface WorkerFlags extends RunFlags, QueueFlags {
  queue?: string | true;
  slots?: number;
  work?: string;
  lockSeconds: number;
  cacheLimit: number;
  once?: boolean;
}

export function registerWorker(program: Command, context: VerbContext): void {
  withStoreFlags(
    withQueueFlags(
      withRelaunchFlags(
        withCacheFlags(
          withCardFlags(
            withDeviceFlags(program.command('worker').description('work on the grids of a queue, on this machine')),
          ),
        ),
      ),
    ),
  )
    .addOption(
      new Option('--slots <n>', 'how many jobs run at once, where --gpus does not say it')
        .argParser(integerIn(1, 64))
        .conflicts('gpus'),
    )
    .option('--data <dir>', 'what {data} stands for on this machine (default: PUPIL_DATA)')
    .option('--work <dir>', "folder for jobs while they run (default: in Pupil's cache)")
    .option(
      '--cache-limit <gib>',
      'how much this machine keeps of the results that jobs share; those used longest ago go first, none that a running job needs',
      integerIn(1, 1_000_000),
      DEFAULT_CACHE_LIMIT_GIB,
    )
    .option('--once', 'end when nothing is left to do')
    .option(
      '--lock-seconds <n>',
      'a job is taken for abandoned when nothing was heard of its worker for so long; the same for all workers',
      integerIn(4, 3600),
      DEFAULT_LOCK_SECONDS,
    )
    .option('--force', 'go on with runs of another adapter or tier; no longer exact')
    .action((flags: WorkerFlags) =>
      perform(context, flags.json === true, (output) =>
        withQueue(flags, output, undefined, async (queue, redis) => {
          const { work = join(cacheFolder(), 'work'), lockSeconds, cacheLimit, once = false } = flags;
          const slots = slotsOf(context, flags);
          const store = await openStore(flags, true);
          try {
            const { GridWorker } = await import('../full/worker');
            const options = { flags, slots, work: resolve(work), lockSeconds, once, cacheBytes: cacheLimit * 2 ** 30 };
            return await new GridWorker(context, output, redis, queue, store, options).run();
          } finally {
            store.close();
          }
        }),
      ),
    );
}
