// full.ts: `pupil full`: a grid of experiments on this machine's GPUs. The runs themselves are those of `pupil run`; what is
// shared between them and who comes next is full/jobs.ts and full/order.ts.
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import { perform, type VerbContext } from '../context';
import { loadSeries } from '../experimentFile';
import { runGridHere } from '../full/local';
import { withStoreFlags } from '../full/openStore';
import { tellGridPlan, withPlanFlags } from '../full/planVerb';
import {
  expectQueueFlags,
  gridAndQueue,
  runQueueVerb,
  withQueueVerbFlags,
  type QueueVerbFlags,
} from '../full/queueVerb';
import { slotsOf } from '../full/slots';
import { STUDENT_HELP } from '../modelFolder';
import { integerIn, QUANTIZE, withCacheFlags, withCardFlags, withDeviceFlags, withRelaunchFlags } from '../options';
import { resumeCommand, type RunFlags } from '../runs';

interface FullFlags extends Omit<RunFlags, 'resume'>, QueueVerbFlags {
  local?: boolean;
  slots?: number;
}

export function registerFull(program: Command, context: VerbContext): void {
  const command = withRelaunchFlags(
    withCacheFlags(
      withCardFlags(
        withDeviceFlags(
          program
            .command('full')
            .description('run a grid of experiments, each on a GPU of its own; what its cells share is computed once'),
        ),
      ),
    ),
  );
  withPlanFlags(withStoreFlags(withQueueVerbFlags(command)))
    .argument('[grid]', 'a series document: a JSON file, or the name of one in experiments/series/ or grids/')
    .option('--out <dir>', 'folder for runs, shared results and tables (default: runs/<name>)')
    .option('--local', 'work the grid here and now; the same command goes on with what is missing')
    .addOption(
      new Option('--slots <n>', 'how many jobs run at once, where --gpus does not say it')
        .argParser(integerIn(1, 64))
        .conflicts('gpus'),
    )
    .option('--seeds <n>', 'how many seeds each cell runs with, in place of the grid’s number', integerIn(1, 10_000))
    .option('--data <dir>', 'what {data} stands for in the experiments (default: PUPIL_DATA)')
    .option('--student <student>', `replaces the experiments' student: ${STUDENT_HELP}`)
    .addOption(new Option('--quantize <kind>', "replaces the experiments' quantisation").choices(QUANTIZE))
    .option('--force', 'go on with runs although adapter, tier or student differ; no longer exact')
    .action((argument: string | undefined, given: FullFlags) =>
      perform(context, given.json === true, async (output) => {
        const [name, flags] = gridAndQueue(argument, given);
        expectQueueFlags(flags);
        const plans = flags.plan === true;
        const loaded = name === undefined ? undefined : loadSeries(name, { ...flags, absentFiles: plans });
        if (name !== undefined && loaded === undefined) {
          throw new PupilError(
            'usage',
            `${name}: expected a grid (a series document), it is one experiment`,
            'Use: pupil run.',
          );
        }
        if (plans && loaded !== undefined) return tellGridPlan({ context, output }, loaded, flags, true);
        if (flags.queue !== undefined) return runQueueVerb(output, flags, loaded);
        if (name === undefined || loaded === undefined) {
          throw new PupilError('usage', 'full: expected a grid', 'Name a series document, or a --queue to look after.');
        }
        if (flags.local !== true) {
          throw new PupilError(
            'usage',
            'full: expected where the grid is to run',
            'Add --local, or --queue redis://….',
          );
        }
        const out = flags.out ?? join('runs', slug(loaded.series.name));
        const again = resumeCommand(name, out, flags)
          .replace('pupil -- run', 'pupil -- full')
          .replace(/ --resume$/, ' --local');
        return runGridHere(context, output, loaded, { out, slots: slotsOf(context, flags), flags, again });
      }),
    );
}
