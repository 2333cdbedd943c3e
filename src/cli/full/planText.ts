// planText.ts: a plan in words and columns, for a terminal: of one run its phases, of a grid its jobs by kind; then bytes, disk, hours,
// what would make it fit, and which of its figures are estimates. It computes nothing.
import type { RunPlan } from '../nodeHost';
import type { GridPlan, PlannedJob } from './plan';

/** What a run's plan tells people. */
type PlannedRun = Omit<RunPlan, 'config'>;

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytesText(size: number): string {
  let [value, unit] = [size, 0];
  for (; Math.abs(value) >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${UNITS[unit]}`;
}

/** Seconds, minutes, hours or days, whichever says it best. */
export function timeText(seconds: number): string {
  if (seconds < 90) return `${seconds.toPrecision(2)} s`;
  if (seconds < 5400) return `${(seconds / 60).toPrecision(2)} min`;
  return seconds < 72 * 3600 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

const count = (n: number): string => Math.round(n).toLocaleString('en-US');
const short = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toFixed(2)} G` : n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : count(n);

/** Rows of cells as columns; the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) =>
    row
      .map((text, c) => (c === 0 ? text.padEnd(widths[c]!) : text.padStart(widths[c]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** Of one run: parts on the GPU, and its phases. */
export function runPlanText(plan: PlannedRun): string[] {
  const parts = Object.entries(plan.bytes).filter(([name]) => name.endsWith('Bytes') && name !== 'totalBytes');
  return [
    ...columns([
      ['phase', 'steps', 'trained', 'read', 'written at most', 'TFLOP', 'on the GPU'],
      ...plan.phases.map((row) => [
        row.phase,
        String(row.steps ?? ''),
        count(row.trainedTokens),
        count(row.forwardTokens - row.generatedTokens),
        count(row.generatedTokens),
        (row.flops / 1e12).toFixed(3),
        bytesText(row.gpuBytes),
      ]),
    ]),
    `on the GPU at most ${bytesText(plan.bytes.totalBytes)}: ${parts.map(([name, size]) => `${name.replace(/Bytes$/, '')} ${bytesText(size)}`).join(', ')}`,
  ];
}

const KINDS = { baseline: 'baselines, once for all', instruct: 'phase 1, once for its cells', cell: 'runs' } as const;

/** Jobs by kind and by what they compute. */
function jobLines(jobs: readonly PlannedJob[]): string[] {
  const groups = new Map<string, PlannedJob[]>();
  for (const job of jobs) {
    const key = JSON.stringify([job.kind, job.phases]);
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  const span = (values: readonly number[], text: (value: number) => string): string => {
    const [low, high] = [text(Math.min(...values)), text(Math.max(...values))];
    return low === high ? low : `${low} – ${high}`;
  };
  return columns([
    ['jobs', 'how many', 'tokens each', 'time each', 'on the GPU'],
    ...[...groups.values()].map((own) => [
      `${KINDS[own[0]!.kind]}: ${own[0]!.phases.join(', ')}`,
      count(own.length),
      span(
        own.map(({ tokens }) => tokens),
        short,
      ),
      span(
        own.map(({ seconds }) => seconds),
        timeText,
      ),
      bytesText(Math.max(...own.map(({ gpuBytes }) => gpuBytes))),
    ]),
  ]);
}

/** @param run the plan of the one run, where it is one */
export function planText(plan: GridPlan, run?: PlannedRun): string {
  const { disk, schedule, speeds, fit, peak } = plan;
  const jobs = plan.jobs.length === 1 ? '1 run' : `${count(plan.runs)} runs, ${count(plan.jobs.length)} jobs`;
  const estimated = speeds.isEstimate ? ' (estimate)' : '';
  const lines = [
    `${plan.name}: ${jobs}; a student of ${count(plan.parameters)} parameters`,
    ...(run === undefined ? jobLines(plan.jobs) : runPlanText(run)),
    `${short(plan.tokens)} tokens and ${(plan.flops / 1e15).toPrecision(3)} PFLOP at most`,
    `on one card ${timeText(plan.seconds)} at most${estimated}: ${speeds.from}`,
    ...(schedule.cards > 1
      ? [`on ${schedule.cards} cards, longest job first, ${timeText(schedule.seconds)} at most${estimated}`]
      : []),
    `on the disk at most ${bytesText(disk.totalBytes)}: a run ${bytesText(disk.runBytes)} while it goes on, ${bytesText(disk.finishedBytes)} when it has finished; shared results ${bytesText(disk.sharedBytes)}; the packed student ${bytesText(disk.studentBytes)} a machine`,
  ];
  if (fit !== undefined) {
    const needs = `${bytesText(peak.gpuBytes)} (${peak.phase} of ${peak.job})`;
    if (fit.fits) lines.push(`fits a card of ${bytesText(fit.memoryBytes)}: at most ${needs}`);
    else {
      const enough = (fit.remedies.at(-1)?.gpuBytes ?? Infinity) <= fit.memoryBytes;
      lines.push(`does not fit a card of ${bytesText(fit.memoryBytes)}: ${needs}`);
      lines.push(
        enough
          ? 'it would fit with'
          : fit.remedies.length === 0
            ? 'no setting helps'
            : 'not even with all of these would it fit',
      );
      for (const { setting, gpuBytes } of fit.remedies) lines.push(`  ${setting}: ${bytesText(gpuBytes)}`);
    }
  } else lines.push(`at most ${bytesText(peak.gpuBytes)} on one card (${peak.phase} of ${peak.job})`);
  lines.push(...plan.warnings.map((text) => `warning: ${text}`));
  if (plan.estimates.length > 0) {
    lines.push('assumed, since it is not here:', ...plan.estimates.map((text) => `  ${text}`));
  }
  return lines.join('\n');
}
