// doctor.ts: `pupil doctor`: which adapter, tiers, limits and storage a session really gets here, in which ways the browser
// was started for it, and what the machine lacks (machineProbes.ts). It mends nothing.
import { tmpdir } from 'node:os';
import type { Command } from 'commander';
import { browserCandidates } from '../../../scripts/browser.mjs';
import type { DoctorReport, VariantsReport } from '../../session/protocol';
import { machineOf, openOptions, perform, withHost, type VerbContext } from '../context';
import type { TriedWay } from '../host';
import type { Machine } from '../machine';
import { examineMachine, type Finding } from '../machineProbes';
import { withCardFlags, withDeviceFlags, type CommonFlags } from '../options';

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
export function variantLines(report: VariantsReport): string[] {
  const { source, reason, choice, milliseconds, autoTier, multiplyAddsPerDispatch: bound } = report;
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
    `dispatches  ${bound === undefined ? 'cut at what stands without a measurement' : `cut at ${bound.toExponential(1)} multiply-adds, a quarter of a second at the most as measured`}`,
  ];
}

/** What each tier needs of an adapter and of the browser's flags. */
const TIER_NEEDS: readonly { tier: DoctorReport['tiers'][number]; feature?: string; flag?: string; needs?: string }[] =
  [
    { tier: 'f32' },
    {
      tier: 'f16',
      feature: 'shader-f16',
      flag: '--enable-dawn-features=vulkan_enable_f16_on_nvidia',
      needs: 'a GPU and driver with 16-bit storage and arithmetic',
    },
    {
      tier: 'matrix',
      feature: 'chromium-experimental-subgroup-matrix',
      flag: '--enable-unsafe-webgpu',
      needs: 'a GPU with matrix units and a driver that offers VK_KHR_cooperative_matrix',
    },
  ];

/** The tiers, and of each that is missing, which feature or flag it lacks. */
export function tierLines({ tier, tiers, software }: DoctorReport, flags = ''): string[] {
  const missing = TIER_NEEDS.flatMap(({ tier: name, feature, flag, needs }) => {
    if (tiers.includes(name)) return [];
    if (feature === undefined) return [`  ${name.padEnd(9)} no: there is no adapter`];
    const lacks = `no: the adapter lacks ${feature}`;
    // On an adapter in software no flag helps, and one that is there already neither.
    if (software || flag === undefined || flags === '') return [`  ${name.padEnd(9)} ${lacks}`];
    const why = flags.includes(flag) ? `it needs ${needs}` : `start the browser with ${flag}`;
    return [`  ${name.padEnd(9)} ${lacks}; ${why}`];
  });
  return [`tier        ${tier} (offered: ${tiers.join(', ') || 'none'})`, ...missing];
}

/** What the machine lacks, with what mends it. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ level, what, mend }) => [`${level.padEnd(11)} ${what}`, `            → ${mend}`]);
}

/** The ways in which the browser was started. */
function wayLines(tried: readonly TriedWay[]): string[] {
  return tried.flatMap(({ way, gave, flags }, i) => [
    `${i === 0 ? 'tried' : ''}`.padEnd(11) + ` ${way}: ${gave}`,
    ...(flags === '' || i === tried.length - 1 ? [] : [`            ${flags}`]), // those of the last are told below
  ]);
}

/** The report for people. */
export function doctorText(
  report: DoctorReport,
  about: Readonly<Record<string, string>>,
  tried: readonly TriedWay[] = [],
  findings: readonly Finding[] = [],
): string {
  const adapter = report.adapter;
  const word = (key: string): string => {
    const value = adapter[key];
    return value === undefined || value === '' ? '–' : String(value);
  };
  const features = Array.isArray(adapter['features']) ? (adapter['features'] as string[]) : [];
  const limits = Object.entries((adapter['limits'] ?? {}) as Record<string, number>);
  const lines = [
    `adapter     ${[word('vendor'), word('architecture'), word('device'), word('description')].filter((w) => w !== '–').join(' · ')}`,
    `kind        ${report.tiers.length === 0 ? 'none' : report.software ? 'software (correct, never fast)' : 'hardware'}`,
    ...tierLines(report, about['flags']),
    ...(report.variants === undefined ? [] : variantLines(report.variants)),
    `features    ${features.length === 0 ? 'none' : features.join(', ')}`,
    'limits',
    ...limits.map(([name, value]) => `  ${name.padEnd(34)} ${value}`),
    `storage     quota ${bytes(report.storage.quotaBytes)}, used ${bytes(report.storage.usageBytes)}${report.storage.persisted === true ? ', persistent' : ''}`,
    `isolated    ${report.crossOriginIsolated ? 'yes' : 'no'}`,
    ...wayLines(tried),
    ...Object.entries(about).map(([name, value]) => `${name.padEnd(11)} ${value}`),
    `host        ${report.userAgent}`,
    ...report.problems.flatMap(({ problem, remedy }) => [`problem     ${problem}`, `            → ${remedy}`]),
    ...findingLines(findings),
  ];
  return lines.join('\n');
}

/** What the machine lacks for the host that was asked for; `executable` is the browser that was started, if any was. */
function findings(machine: Machine, host: CommonFlags['host'], executable?: string): Finding[] {
  const usual = (): string | undefined =>
    [machine.env['PUPIL_BROWSER'] ?? '', ...browserCandidates({ ...machine.env }, machine.platform)].find(
      (file) => file !== '' && machine.exists(file),
    );
  const folders = [...new Set([tmpdir(), process.cwd()])];
  const browser = host === 'chrome' ? { browser: { executable: executable ?? usual() } } : {};
  return examineMachine(machine, { ...browser, folders });
}

export function registerDoctor(program: Command, context: VerbContext): void {
  withCardFlags(
    withDeviceFlags(
      program
        .command('doctor')
        .description('show what a session finds here: adapter, tiers, kernel variants, limits; and what is missing'),
    ),
  )
    .option('--measure', 'measure the kernel variants anew, whatever is remembered of this adapter')
    .addHelpText(
      'after',
      `
The browser is started in several ways until one gives a GPU; each is told with what it gave. What the machine lacks comes
last, with the command that mends it (Debian, Ubuntu).
The kernel variants are measured when an adapter is first met, and remembered in the folder variants/ of Pupil's cache.
A software adapter keeps the default: --measure measures there too (about a minute), but nothing of it is remembered.`,
    )
    .action((flags: CommonFlags & { measure?: boolean }) =>
      perform(context, flags.json === true, async (output) => {
        const machine = machineOf(context);
        let told = false;
        try {
          return await withHost(context, flags, output, async (session, host) => {
            // Without a device there is still much to say, and that is when people ask.
            const options = {
              ...openOptions(context, flags, host),
              ...(flags.measure === true ? { measure: true } : {}),
            };
            const failure = await session.open(options).then(
              () => undefined,
              (error: unknown) => ({ error }),
            );
            const report = await session.doctor();
            const { about, tried = [] } = host;
            const missing = findings(machine, flags.host, about['browser']);
            told = true;
            output.result('doctor', { ...report, host: about, tried, machine: missing }, () =>
              doctorText(report, about, tried, missing),
            );
            if (failure === undefined) return 0;
            output.error(failure.error);
            return 1;
          });
        } catch (error) {
          // No browser, or none that starts: what the machine lacks may be why.
          if (!told) {
            const missing = findings(machine, flags.host);
            output.result('doctor', { machine: missing }, () => findingLines(missing).join('\n'));
          }
          throw error;
        }
      }),
    );
}
