// check.ts: `pupil check`: every kernel against its reference on this device.
import type { Command } from 'commander';
import type { CheckResult } from '../../session/protocol';
import { PupilError } from '../../base/errors';
import { perform, withSession, type VerbContext } from '../context';
import { withDeviceFlags, type CommonFlags } from '../options';

interface CheckFlags extends CommonFlags {
  filter?: string;
  verbose?: boolean;
}

/** One line, or undefined for what is only counted. */
function resultText(result: CheckResult, verbose: boolean): string | undefined {
  const detail = result.detail === undefined ? '' : `\n      ${result.detail.split('\n').join('\n      ')}`;
  if (result.status === 'failed') return `FAIL  ${result.kernel}  ${result.name}${detail}`;
  if (!verbose) return undefined;
  return `${result.status === 'passed' ? 'ok  ' : 'skip'}  ${result.kernel}  ${result.name}${result.status === 'skipped' ? detail : ''}`;
}

export function registerCheck(program: Command, context: VerbContext): void {
  withDeviceFlags(program.command('check').description('hold every kernel against its reference on this device'))
    .option('--filter <text>', 'only kernels and cases whose name contains this')
    .option('--verbose', 'print every case, not only failures')
    .action((flags: CheckFlags) =>
      perform(context, flags.json === true, (output) =>
        withSession(context, flags, output, async (session) => {
          let done = 0;
          const summary = await session.check(flags.filter, (result) => {
            done++;
            const text = resultText(result, flags.verbose === true);
            if (output.json) output.result('check', { ...result }, () => '');
            else if (text !== undefined) output.result('check', {}, () => text);
            else output.progress({ task: 'check', done, unit: 'cases' }, result.kernel);
          });
          if (!output.json) {
            output.note(`adapter: ${summary.adapter}; skipped: ${summary.skipped}`);
          }
          output.result('summary', { ...summary }, () => `${summary.passed} passed, ${summary.failed} failed`);
          if (summary.passed + summary.failed === 0) {
            throw new PupilError(
              'usage',
              `check: expected at least one case, ${flags.filter === undefined ? 'all were skipped' : `none that runs here matches "${flags.filter}"`}`,
              'Kernels and cases are named as `check --verbose` prints them.',
            );
          }
          return summary.failed === 0 ? 0 : 1;
        }),
      ),
    );
}
