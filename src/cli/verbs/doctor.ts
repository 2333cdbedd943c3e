// doctor.ts: `pupil doctor`: which adapter, tiers, limits and storage this machine's session really gets.
import type { Command } from 'commander';
import type { DoctorReport } from '../../session/protocol';
import { perform, withHost, type VerbContext } from '../context';
import { deviceOptions, withDeviceFlags, type CommonFlags } from '../options';

function bytes(value: number | undefined): string {
  if (value === undefined) return 'unknown';
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${(value / 2 ** 20).toFixed(1)} MiB`;
}

/** The report for people. */
export function doctorText(report: DoctorReport, about: Readonly<Record<string, string>>): string {
  const adapter = report.adapter;
  const word = (key: string): string => {
    const value = adapter[key];
    return value === undefined || value === '' ? '–' : String(value);
  };
  const features = Array.isArray(adapter['features']) ? (adapter['features'] as string[]) : [];
  const limits = Object.entries((adapter['limits'] ?? {}) as Record<string, number>);
  const lines = [
    `adapter     ${[word('vendor'), word('architecture'), word('device'), word('description')].filter((w) => w !== '–').join(' · ')}`,
    `kind        ${report.software ? 'software (correct, never fast)' : 'hardware'}`,
    `tier        ${report.tier} (offered: ${report.tiers.join(', ')})`,
    `features    ${features.length === 0 ? 'none' : features.join(', ')}`,
    'limits',
    ...limits.map(([name, value]) => `  ${name.padEnd(34)} ${value}`),
    `storage     quota ${bytes(report.storage.quotaBytes)}, used ${bytes(report.storage.usageBytes)}${report.storage.persisted === true ? ', persistent' : ''}`,
    `isolated    ${report.crossOriginIsolated ? 'yes' : 'no'}`,
    ...Object.entries(about).map(([name, value]) => `${name.padEnd(11)} ${value}`),
    `host        ${report.userAgent}`,
    ...report.problems.flatMap(({ problem, remedy }) => [`problem     ${problem}`, `            ${remedy}`]),
  ];
  return lines.join('\n');
}

export function registerDoctor(program: Command, context: VerbContext): void {
  withDeviceFlags(
    program.command('doctor').description('show adapter, vendor, tier, features, limits and storage of a session'),
  ).action((flags: CommonFlags) =>
    perform(context, flags.json === true, (output) =>
      withHost(context, flags, output, async (session, host) => {
        // Without a device there is still much to say, and that is when people ask.
        const failure = await session.open(deviceOptions(flags)).then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        const report = await session.doctor();
        output.result('doctor', { ...report, host: host.about }, () => doctorText(report, host.about));
        if (failure === undefined) return 0;
        output.error(failure.error);
        return 1;
      }),
    ),
  );
}
