// checkReport.ts: the self-check as a text to paste into a bug: the device, what it computes with, counts, every failure in
// full. Nothing of the person or of what was trained is in it: no addresses, no tokens, no names of files.
import type { CheckResult, DoctorReport } from '../../session/protocol';
import { variantLines, variantSource } from '../format';
import type { FamilyCount } from '../state/selfCheck.svelte';

export interface CheckedDevice {
  report: DoctorReport;
  counts: readonly FamilyCount[];
  failures: readonly CheckResult[];
  skips: readonly CheckResult[];
  filter: string;
  /** How it ended. */
  state: 'finished' | 'stopped' | 'broken off' | 'not run';
  /** What broke it off. */
  error?: string | undefined;
}

/** Limits that decide what fits and which kernels run. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** A fence that no line of the text closes. */
function fenced(text: string): string[] {
  const longest = (text.match(/`+/g) ?? []).reduce((most, ticks) => Math.max(most, ticks.length), 2);
  const fence = '`'.repeat(longest + 1);
  return [fence, text, fence];
}

const cell = (value: unknown): string =>
  String(value ?? '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');

function reasons(skips: readonly CheckResult[]): string[] {
  const counts = new Map<string, number>();
  for (const { detail = 'no reason given' } of skips) counts.set(detail, (counts.get(detail) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `- ${count} skipped: ${reason}`);
}

/** Markdown. */
export function checkReport({ report, counts, failures, skips, filter, state, error }: CheckedDevice): string {
  const { adapter } = report;
  const named = (key: string): string => cell(adapter[key]) || '–';
  const limits = (adapter['limits'] ?? {}) as Record<string, number>;
  const features = (adapter['features'] ?? []) as string[];
  const sum = (key: 'passed' | 'failed' | 'skipped'): number => counts.reduce((all, one) => all + one[key], 0);
  return [
    '## Pupil self-check',
    '',
    `Pupil ${report.pupilVersion} · ${state}${filter === '' ? '' : `, filter "${filter}"`} · ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`,
    '',
    '| | |',
    '|---|---|',
    `| Vendor | ${named('vendor')} |`,
    `| Architecture | ${named('architecture')} |`,
    `| Device | ${named('device')} |`,
    `| Description | ${named('description')} |`,
    `| Software adapter | ${report.software ? 'yes' : 'no'} |`,
    `| Tier | ${report.tier} (offered: ${report.tiers.join(', ')}) |`,
    `| Subgroups | ${cell(adapter['subgroupMinSize'])} to ${cell(adapter['subgroupMaxSize'])} |`,
    `| Browser | ${cell(report.userAgent)} |`,
    `| Cross-origin isolated | ${report.crossOriginIsolated ? 'yes' : 'no'} |`,
    `| Features | ${features.map(cell).join(', ') || '–'} |`,
    ...LIMITS.map((name) => `| ${name} | ${cell(limits[name]) || '–'} |`),
    '',
    ...(report.variants === undefined
      ? []
      : [
          `Kernel variants: ${variantSource(report.variants)}`,
          ...variantLines(report.variants).map((line) => `- ${line}`),
          '',
        ]),
    '| Kernels | passed | failed | skipped |',
    '|---|---|---|---|',
    ...counts.map((one) => `| ${cell(one.family)} | ${one.passed} | ${one.failed} | ${one.skipped} |`),
    '',
    ...reasons(skips),
    ...(error === undefined ? [] : ['', 'Broken off by:', ...fenced(error)]),
    ...failures.flatMap(({ family, kernel, name, detail }) => [
      '',
      `### Failed: ${kernel} (${family})`,
      '',
      name,
      '',
      ...fenced(detail ?? 'no detail'),
    ]),
    ...(report.problems.length === 0
      ? []
      : ['', 'Noticed of the device:', ...report.problems.map(({ problem }) => `- ${problem}`)]),
    '',
  ].join('\n');
}
