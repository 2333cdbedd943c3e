// run.ts: `pupil run`: the whole method as an experiment file says, with checkpoints, into one folder. A killed browser or
// a lost device ends it with an error; --resume continues from the last checkpoint.
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import { slug } from '../../base/slug';
import type { Experiment } from '../../config/experiment';
import type { RunSummary } from '../../session/protocol';
import { perform, withSession, type ExitCode, type VerbContext } from '../context';
import { loadExperiment } from '../experimentFile';
import { stopOnInterrupt } from '../interrupt';
import { integerIn, numberIn, QUANTIZE, withDeviceFlags, type CommonFlags } from '../options';
import { rowText, type Output } from '../output';
import { prepareRunFolder } from '../runFolder';
import type { EvaluationRow, SessionEvent } from '../../session/protocol';

interface RunFlags extends CommonFlags {
  out?: string;
  seed?: number;
  resume?: boolean;
  force?: boolean;
  plan?: boolean;
  gflops: number;
  data?: string;
  student?: string;
  quantize?: string;
}

/** The command line that goes on with a run; flags that decide what runs and where are said again. */
export function resumeCommand(name: string, out: string, flags: RunFlags): string {
  const quoted = (text: string): string =>
    /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  const said: [string, string | number | undefined][] = [
    ['seed', flags.seed],
    ['host', flags.host === 'chrome' ? undefined : flags.host],
    ['gpu', flags.gpu === 'auto' ? undefined : flags.gpu],
    ['tier', flags.tier],
    ['data', flags.data],
    ['student', flags.student],
    ['quantize', flags.quantize],
    ['expect-vendor', flags.expectVendor],
  ];
  const again = said.flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, quoted(String(value))]));
  const hardware = flags.requireHardware === true ? ['--require-hardware'] : [];
  return ['npm run pupil -- run', quoted(name), '--out', quoted(out), ...again, ...hardware, '--resume'].join(' ');
}

function exitCodeOf(summary: RunSummary): ExitCode {
  if (summary.state === 'finished') return 0;
  return summary.state === 'stopped' ? 130 : 1;
}

/** Errors after which the same run can go on from its last checkpoint. */
function resumable(error: unknown): boolean {
  return (
    error instanceof PupilError &&
    ['browser', 'gpu-device-lost', 'gpu-out-of-memory', 'storage-full'].includes(error.code)
  );
}

export function registerRun(program: Command, context: VerbContext): void {
  withDeviceFlags(program.command('run').description('run the whole method as an experiment says'))
    .argument('<experiment>', 'a JSON file, a preset, or the name of a file in experiments/')
    .option('--out <dir>', 'folder for checkpoints, report and adapters (default: runs/<name>-seed<seed>)')
    .option('--seed <n>', "replaces the experiment's seed", integerIn(0, 0xffffffff))
    .option('--resume', 'continue the run in --out from its last checkpoint')
    .option('--force', 'with --resume: go on although adapter, tier or student differ; no longer exact')
    .option('--plan', 'only say what it would need: bytes, tokens, steps, hours')
    .option('--gflops <speed>', 'the sustained speed for which --plan says hours', numberIn(0.001), 1000)
    .option('--data <dir>', 'what {data} stands for in the experiment (default: PUPIL_DATA)')
    .option('--student <dir>', "replaces the experiment's student")
    .addOption(new Option('--quantize <kind>', "replaces the experiment's quantisation").choices(QUANTIZE))
    .action((name: string, flags: RunFlags) =>
      perform(context, flags.json === true, async (output) => {
        const { experiment, inputs } = loadExperiment(name, flags);
        if (flags.plan === true) return plan(output, experiment, flags.gflops);
        const out = flags.out ?? join('runs', `${slug(experiment.name)}-seed${experiment.seed}`);
        const { folder, record, release } = prepareRunFolder(out, experiment, flags.resume === true, inputs);
        const again = resumeCommand(name, out, flags);
        output.note(`${experiment.name}, seed ${experiment.seed} → ${folder}`);
        try {
          return await withSession(
            context,
            flags,
            output,
            async (session, host) => {
              const leaveSignals = stopOnInterrupt(session, output);
              const rows: EvaluationRow[] = [];
              const onEvent = (event: SessionEvent): void => {
                if (event.type === 'history') rows.push(...event.evaluations);
                if (event.type === 'evaluation') rows.push(event.row);
                output.event(event);
              };
              try {
                const summary = await session.run(
                  {
                    runId: record.runId,
                    experiment,
                    files: host.reads(inputs),
                    out: host.folder(folder),
                    ...(flags.resume === true ? { resume: true } : {}),
                    ...(flags.force === true ? { force: true } : {}),
                  },
                  onEvent,
                );
                return finish(summary, rows, folder, again, output);
              } finally {
                leaveSignals();
              }
            },
            folder,
          );
        } catch (error) {
          if (resumable(error)) output.note(`the run can be continued: ${again}`);
          throw error;
        } finally {
          release();
        }
      }),
    );
}

function finish(summary: RunSummary, rows: EvaluationRow[], folder: string, again: string, output: Output): ExitCode {
  const { report: _report, ...rest } = summary;
  output.result('run', { ...rest, folder }, () =>
    [
      ...rows.map(rowText),
      `${summary.state}: ${join(folder, summary.artefacts.includes('report.html') ? 'report.html' : '')}`,
    ].join('\n'),
  );
  if (summary.error !== undefined) {
    output.note(
      `pupil: ${summary.error.message}${summary.error.hint === undefined ? '' : `\n  ${summary.error.hint}`}`,
    );
  }
  if (summary.state !== 'finished') output.note(`the run can be continued: ${again}`);
  return exitCodeOf(summary);
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
