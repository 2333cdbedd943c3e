// runs.ts: what one run is on the command line, whether it is made alone (verbs/run.ts) or as one of a series (series.ts):
// its flags, its call of the session, its result, and how it is gone on with.
import { join } from 'node:path';
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import type { CacheUse, EvaluationRow, PhaseName, RunSummary, SessionApi, SessionEvent } from '../session/protocol';
import { PATIENCE } from './full/patience';
import type { PlanFlags } from './full/planVerb';
import type { Host } from './host';
import type { CommonFlags, RelaunchFlags } from './options';
import { rowText, type Output } from './output';
import { shellWord } from './shellWord';

/** Every `of`-th run of a series, from the `index`-th on (counted from 1). */
export interface Shard {
  index: number;
  of: number;
}

export interface RunFlags extends CommonFlags, RelaunchFlags, PlanFlags {
  out?: string;
  seed?: number;
  seeds?: number;
  shard?: Shard;
  resume?: boolean;
  force?: boolean;
  data?: string;
  student?: string;
  quantize?: string;
}

/** The command line that goes on with a run; flags that decide what runs and where are said again. */
export function resumeCommand(name: string, out: string, flags: RunFlags): string {
  const said: [string, string | number | undefined][] = [
    ['seed', flags.seed],
    ['seeds', flags.seeds],
    ['shard', flags.shard && `${flags.shard.index}/${flags.shard.of}`],
    ['host', flags.host === 'chrome' ? undefined : flags.host],
    ['gpu', flags.gpu === 'auto' ? undefined : flags.gpu],
    ['tier', flags.tier],
    ['data', flags.data],
    ['student', flags.student],
    ['quantize', flags.quantize],
    ['gpus', flags.gpus?.join(',')],
    ['expect-vendor', flags.expectVendor],
    ['cache', flags.cache === false ? undefined : flags.cache],
    ['retries', flags.retries === PATIENCE.retries ? undefined : flags.retries],
    ['hang-minutes', flags.hangMinutes],
  ];
  const again = said.flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, shellWord(String(value))]));
  const hardware = [
    ...(flags.requireHardware === true ? ['--require-hardware'] : []),
    ...(flags.allowSoftware === true ? ['--allow-software'] : []),
  ];
  const uncached = flags.cache === false ? ['--no-cache'] : [];
  return [
    'npm run pupil -- run',
    shellWord(name),
    '--out',
    shellWord(out),
    ...again,
    ...hardware,
    ...uncached,
    '--resume',
  ].join(' ');
}

/** What the flags ask of the supervision of a run. */
export function superviseOptions({ retries, hangMinutes }: RelaunchFlags): { retries: number; hangMinutes?: number } {
  return { retries, ...(hangMinutes === undefined ? {} : { hangMinutes }) };
}

/** Errors after which the same run can go on from its last checkpoint. */
export function resumable(error: unknown): boolean {
  return (
    error instanceof PupilError &&
    ['browser', 'hung', 'gpu-device-lost', 'gpu-out-of-memory', 'storage-full'].includes(error.code)
  );
}

/** One run in its folder. */
export interface FolderRun {
  runId: string;
  experiment: Experiment;
  /** Absolute paths that it reads. */
  inputs: readonly string[];
  folder: string;
  resume: boolean;
  force: boolean;
  /** What the flags ask of the cache of students. */
  cache: { cache?: CacheUse };
  /** The run ends in order behind this phase. */
  until?: PhaseName;
  /** The folder of phase results that runs share. */
  shared?: string;
}

/** Runs to the end, a stop or a failure; every event is told. The rows are those of all sittings. */
export async function runInFolder(
  session: SessionApi,
  host: Host,
  output: Output,
  run: FolderRun,
  listener: (event: SessionEvent) => void = () => undefined,
): Promise<{ summary: RunSummary; rows: EvaluationRow[] }> {
  const rows: EvaluationRow[] = [];
  const onEvent = (event: SessionEvent): void => {
    if (event.type === 'history') rows.push(...event.evaluations);
    if (event.type === 'evaluation') rows.push(event.row);
    output.event(event);
    listener(event);
  };
  const summary = await session.run(
    {
      runId: run.runId,
      experiment: run.experiment,
      files: host.reads(run.inputs),
      out: host.folder(run.folder),
      ...(run.resume ? { resume: true } : {}),
      ...(run.force ? { force: true } : {}),
      ...(run.until === undefined ? {} : { until: run.until }),
      ...(run.shared === undefined ? {} : { shared: host.folder(run.shared) }),
      ...run.cache,
    },
    onEvent,
  );
  return { summary, rows };
}

/** The result of a run, and why it is none where it is none. */
export function tellResult(output: Output, summary: RunSummary, rows: readonly EvaluationRow[], folder: string): void {
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
}
