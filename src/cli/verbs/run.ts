// run.ts: `pupil run`: the whole method as an experiment file says, with checkpoints, into one folder; or a series of them
// (series.ts). What a relaunch mends is mended on the way (full/supervise.ts); whatever else ends it, --resume continues from
// the last checkpoint.
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { RunSummary } from '../../session/protocol';
import { perform, type ExitCode, type VerbContext } from '../context';
import { loadExperiment, loadSeries } from '../experimentFile';
import { isPlan, tellGridPlan, tellRunPlan, withPlanFlags } from '../full/planVerb';
import { superviseRun } from '../full/supervise';
import { STUDENT_HELP } from '../modelFolder';
import {
  cacheRequest,
  integerIn,
  QUANTIZE,
  shardOf,
  withCacheFlags,
  withCardFlags,
  withDeviceFlags,
  withRelaunchFlags,
} from '../options';
import { prepareRunFolder } from '../runFolder';
import { resumable, resumeCommand, superviseOptions, tellResult, type RunFlags } from '../runs';
import { runSeries } from '../series';

function exitCodeOf(summary: RunSummary): ExitCode {
  if (summary.state === 'finished') return 0;
  return summary.state === 'stopped' ? 130 : 1;
}

export function registerRun(program: Command, context: VerbContext): void {
  withPlanFlags(
    withRelaunchFlags(
      withCacheFlags(
        withCardFlags(
          withDeviceFlags(
            program.command('run').description('run the whole method as an experiment says, or a series of runs'),
          ),
        ),
      ),
    ),
  )
    .argument('<experiment>', 'a JSON file, a preset, or the name of a file in experiments/ or experiments/series/')
    .option('--out <dir>', 'folder for checkpoints, report and adapters (default: runs/<name>-seed<seed>)')
    .option('--seed <n>', "replaces the experiment's seed", integerIn(0, 0xffffffff))
    .option(
      '--seeds <n>',
      'as many runs, with this seed and the following ones, and a table over them',
      integerIn(1, 10_000),
    )
    .option(
      '--shard <k/n>',
      'of a series, only every n-th run from the k-th on: as many commands, each with its own k, share one --out',
      shardOf,
    )
    .option('--resume', 'continue the run in --out from its last checkpoint')
    .option('--force', 'with --resume: go on although adapter, tier or student differ; no longer exact')
    .option('--data <dir>', 'what {data} stands for in the experiment (default: PUPIL_DATA)')
    .option('--student <student>', `replaces the experiment's student: ${STUDENT_HELP}`)
    .addOption(new Option('--quantize <kind>', "replaces the experiment's quantisation").choices(QUANTIZE))
    .action((name: string, flags: RunFlags) =>
      perform(context, flags.json === true, async (output) => {
        const plans = isPlan(flags);
        const series = loadSeries(name, { ...flags, absentFiles: plans });
        if (series !== undefined) {
          return plans
            ? tellGridPlan({ context, output }, series, flags, false)
            : runSeries(context, output, name, flags, series);
        }
        if (flags.shard !== undefined) {
          throw new PupilError(
            'usage',
            `--shard: expected a series of runs, ${name} is a single run`,
            'Name a series, or add --seeds.',
          );
        }
        const { experiment, inputs } = loadExperiment(name, { ...flags, absentFiles: plans });
        if (plans) return tellRunPlan({ context, output }, experiment, flags);
        const out = flags.out ?? join('runs', `${slug(experiment.name)}-seed${experiment.seed}`);
        const resume = flags.resume === true;
        const { folder, record, release } = prepareRunFolder(out, experiment, resume, inputs);
        const again = resumeCommand(name, out, flags);
        output.note(`${experiment.name}, seed ${experiment.seed} → ${folder}`);
        try {
          const run = {
            runId: record.runId,
            experiment,
            inputs,
            folder,
            resume,
            force: flags.force === true,
            cache: cacheRequest(flags),
          };
          const { summary, rows } = await superviseRun(context, flags, output, run, superviseOptions(flags));
          tellResult(output, summary, rows, folder);
          if (summary.state !== 'finished') output.note(`the run can be continued: ${again}`);
          return exitCodeOf(summary);
        } catch (error) {
          if (resumable(error)) output.note(`the run can be continued: ${again}`);
          throw error;
        } finally {
          release();
        }
      }),
    );
}
