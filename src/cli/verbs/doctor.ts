// doctor.ts: `pupil doctor`: which adapter, tiers, limits and storage this machine's session really gets.
import type { Command } from 'commander';
import type { DoctorReport, VariantsReport } from '../../session/protocol';
import { perform, withHost, type VerbContext } from '../context';
import { deviceOptions, withDeviceFlags, type CommonFlags } from '../options';

function bytes(value: number | undefined): string {
  if (value === undefined) return 'unknown';
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${(value / 2 ** 20).toFixed(1)} MiB`;
}

const SOURCES: Record<VariantsReport['source'], string> = {
  measured: 'measured now',
  remembered: 'remembered',
  default: 'the default',
};

/** Which kernel variants the session computes with, whence that is known, and the times behind it. */
export function variantLines({ source, reason, choice, milliseconds, autoTier }: VariantsReport): string[] {
  const times = (name: string): string =>
    Object.entries(milliseconds[name] ?? {})
      .sort((a, b) => a[1] - b[1])
      .map(([variant, ms]) => `${variant} ${ms.toPrecision(3)} ms`)
      .join(', ');
  return [
    `kernels     ${SOURCES[source]} (${reason})`,
    ...Object.entries(choice).map(([name, variant]) =>
      `  ${name.padEnd(18)} ${variant.padEnd(18)} ${times(name)}`.trimEnd(),
    ),
    `tier auto   ${autoTier.tier} (${autoTier.reason})`,
  ];
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
    ...(report.variants === undefined ? [] : variantLines(report.variants)),
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
    program
      .command('doctor')
      .description('show adapter, vendor, tier, kernel variants, features, limits and storage of a session'),
  )
    .option('--measure', 'measure the kernel variants anew, whatever is remembered of this adapter')
    .addHelpText(
      'after',
      `
The kernel variants are measured when an adapter is first met, and remembered in the folder variants/ of Pupil's cache.
A software adapter keeps the default: --measure measures there too (about a minute), but nothing of it is remembered.`,
    )
    .action((flags: CommonFlags & { measure?: boolean }) =>
      perform(context, flags.json === true, (output) =>
        withHost(context, flags, output, async (session, host) => {
          // Without a device there is still much to say, and that is when people ask.
          const options = { ...deviceOptions(flags, host), ...(flags.measure === true ? { measure: true } : {}) };
          const failure = await session.open(options).then(
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
