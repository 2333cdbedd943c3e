// report.ts: `pupil report`: the paper's tables and figures from whatever runs there are in some folders, and what is missing. It
// opens no GPU. Where runs lie is reportFolders.ts; the numbers are report/, reached through nodeHost.ts.
import { join, resolve } from 'node:path';
import { statSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { perform, type ExitCode, type VerbContext } from '../context';
import { outputFolder } from '../files';
import type { Output } from '../output';
import { findRunPlaces } from '../reportFolders';

interface ReportFlags {
  out?: string;
  prompt?: 'cot' | 'plain';
  scorer?: string;
  json?: boolean;
}

export function registerReport(program: Command, context: VerbContext): void {
  program
    .command('report')
    .description('build the paper’s tables and figures from the runs that there are')
    .argument('<folders...>', 'folders of runs, of series, of full runs (with all that is below), or zips of runs')
    .option('--out <dir>', 'where to write (default: paper/ in the first folder)')
    .addOption(
      new Option('--prompt <prompt>', 'of trained students (default: CoT where there is any)').choices([
        'cot',
        'plain',
      ]),
    )
    .option('--scorer <name>', 'which accuracies the tables show (default: the one of the runs)')
    .option('--json', 'one JSON object a line on stdout')
    .action((folders: string[], flags: ReportFlags) =>
      perform(context, flags.json === true, (output) => report(output, folders, flags)),
    );
}

async function report(output: Output, folders: readonly string[], flags: ReportFlags): Promise<ExitCode> {
  const places = findRunPlaces(folders);
  const first = resolve(folders[0]!);
  const beside = statSync(first).isDirectory() ? first : join(first, '..');
  const out = outputFolder('--out', flags.out ?? join(beside, 'paper'), places.folders);
  const { writePaperReport } = await import('../nodeHost');
  const written = await writePaperReport(places, out, {
    ...(flags.prompt === undefined ? {} : { prompt: flags.prompt }),
    ...(flags.scorer === undefined ? {} : { scorer: flags.scorer }),
  });
  const { runs, students, pending, left, again, repeated, grids, files } = written;
  output.result('report', { folder: out, ...written }, () =>
    [
      `${runs} finished run${runs === 1 ? '' : 's'} of ${students.length} student${students.length === 1 ? '' : 's'}${students.length === 0 ? '' : `: ${students.join(', ')}`}`,
      ...grids.map(({ name, finished, runs: all }) => `${name}: ${finished} of ${all} runs finished`),
      ...pending.map(
        ({ name, seed, state, how, from }) =>
          `${state}: ${name}${seed === undefined ? '' : `, seed ${seed}`}: ${how} (${from})`,
      ),
      ...again.map(({ from, as }) => `counted once: ${from} is the same run as ${as}`),
      ...repeated.map(
        ({ runId, newer }) => `not counted: ${runId}, the same experiment and seed as ${newer}, which is newer`,
      ),
      ...left.map(({ from, reason }) => `left out: ${from}: ${reason}`),
      `${files.length} files: ${join(out, 'paper.html')}`,
    ].join('\n'),
  );
  return runs > 0 ? 0 : 1;
}
