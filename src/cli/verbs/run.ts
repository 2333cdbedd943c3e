// run.ts: `pupil run`: the whole method as an experiment file says, with checkpoints, into one folder; or a series of them
// (series.ts). What a relaunch mends is mended on the way (full/supervise.ts); whatever else ends it, --resume continues from
// the last checkpoint.
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { Experiment } from '../../config/experiment';
import type { RunSummary } from '../../session/protocol';
import { perform, type ExitCode, type VerbContext } from '../context';
import { loadExperiment, loadSeries } from '../experimentFile';
import { superviseRun } from '../full/supervise';
import { STUDENT_HELP } from '../modelFolder';
import {
  cacheRequest,
  integerIn,
  numberIn,
  QUANTIZE,
  shardOf,
  withCacheFlags,
  withCardFlags,
  withDeviceFlags,
  withRelaunchFlags,
} from '../options';
import type { Output } from '../output';
import { prepareRunFolder } from '../runFolder';
import { resumable, resumeCommand, superviseOptions, tellResult, type RunFlags } from '../runs';
import { planSeries, runSeries } from '../series';

function exitCodeOf(summary: RunSummary): ExitCode {
  if (summary.state === 'finished') return 0;
  return summary.state === 'stopped' ? 130 : 1;
}

export function registerRun(program: Command, context: VerbContext): void {
  withRelaunchFlags(
    withCacheFlags(
      withCardFlags(
        withDeviceFlags(
          program.command('run').description('run the whole method as an experiment says, or a series of runs'),
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
    .option('--plan', 'only say what it would need: bytes, tokens, steps, hours')
    .option('--gflops <speed>', 'the sustained speed for which --plan says hours', numberIn(0.001), 1000)
    .option('--data <dir>', 'what {data} stands for in the experiment (default: PUPIL_DATA)')
    .option('--student <student>', `replaces the experiment's student: ${STUDENT_HELP}`)
    .addOption(new Option('--quantize <kind>', "replaces the experiment's quantisation").choices(QUANTIZE))
    .action((name: string, flags: RunFlags) =>
      perform(context, flags.json === true, async (output) => {
        const series = loadSeries(name, flags);
        if (series !== undefined) {
          return flags.plan === true
            ? planSeries(output, series, flags.gflops)
            : runSeries(context, output, name, flags, series);
        }
        if (flags.shard !== undefined) {
          throw new PupilError(
            'usage',
            `--shard: expected a series of runs, ${name} is a single run`,
            'Name a series, or add --seeds.',
          );
        }
        const { experiment, inputs } = loadExperiment(name, flags);
        if (flags.plan === true) return plan(output, experiment, flags.gflops);
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

/** `--plan`: bytes, tokens and hours, nothing started. */
async function plan(output: Output, experiment: Experiment, gflops: number): Promise<ExitCode> {
  const { planExperiment } = await import('../nodeHost');
  const found = await planExperiment(experiment);
  const hours = found.totalFlops / (gflops * 1e9) / 3600;
  output.result('plan', { ...found, gflops, hours }, () => {
    const mebibytes = (size: number): string => `${(size / 2 ** 20).toFixed(1)} MiB`.padStart(12);
    const count = (n: number): string => n.toLocaleString('en-US').padStart(14);
    return [
      `${found.name}: ${found.parameters.toLocaleString('en-US')} parameters`,
      'on the GPU at most',
      ...Object.entries(found.bytes)
        .filter(([name]) => name.endsWith('Bytes'))
        .map(([name, size]) => `  ${name.replace(/Bytes$/, '').padEnd(14)} ${mebibytes(size)}`),
      `${'phase'.padEnd(16)} ${'steps'.padStart(8)} ${'trained'.padStart(14)} ${'read, written'.padStart(14)} ${'TFLOP'.padStart(10)} ${'on the GPU'.padStart(12)}`,
      ...found.phases.map(
        (row) =>
          `${row.phase.padEnd(16)} ${String(row.steps ?? '').padStart(8)} ${count(row.trainedTokens)} ${count(row.forwardTokens)} ${(row.flops / 1e12).toFixed(3).padStart(10)} ${mebibytes(row.gpuBytes)}`,
      ),
      `${found.totalTokens.toLocaleString('en-US')} tokens at most, ${(found.totalFlops / 1e12).toFixed(2)} TFLOP: ${hours < 0.1 ? `${(hours * 3600).toPrecision(3)} seconds` : `${hours.toFixed(2)} hours`} at ${gflops} GFLOP/s`,
      ...found.warnings.map((text) => `warning: ${text}`),
    ].join('\n');
  });
  return 0;
}
