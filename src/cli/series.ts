// series.ts: a series of runs, one after the other in one session (supervised: full/supervise.ts), each in its own folder `OUT/<cell>-seed<k>/`, with the
// table of all in OUT after every finished run. Said again, the same command skips what is finished and resumes what was
// interrupted. What a series is, is config/series.ts; its numbers are report/series.ts.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PupilError } from '../base/errors';
import { slug } from '../base/slug';
import { experimentChanges } from '../config/changes';
import type { Experiment } from '../config/experiment';
import type { RunSummary } from '../session/protocol';
import type { ExitCode, VerbContext } from './context';
import type { LoadedSeries } from './experimentFile';
import { outputFolder } from './files';
import { SessionPlace } from './full/sessionPlace';
import { superviseRun } from './full/supervise';
import { stopOnInterrupt } from './interrupt';
import { cacheRequest } from './options';
import type { Output } from './output';
import { prepareRunFolder, RUN_FOLDER_FILE, writeFileAtomically } from './runFolder';
import { resumable, resumeCommand, superviseOptions, tellResult, type RunFlags } from './runs';

type LoadedRun = LoadedSeries['runs'][number];

/** In each run's folder: the complete experiment, with this machine's paths, so that the run can be made again alone. */
export const EXPERIMENT = 'experiment.json';

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch {
    return undefined; // not there, or half written by a killed process: as good as not there
  }
}

/**
 * How far the run in a folder is. Its own experiment tells whether it is this run, never the folder's name alone.
 *
 * @throws PupilError `usage` where the folder holds a run of another experiment.
 */
export function stateOf(folder: string, run: Pick<LoadedRun, 'experiment'>): 'finished' | 'begun' | 'new' {
  const report = readJson(join(folder, 'report.json')) as { state?: string; experiment?: Experiment } | undefined;
  const before = report?.experiment ?? (readJson(join(folder, EXPERIMENT)) as Experiment | undefined);
  if (before !== undefined) {
    const now = JSON.parse(JSON.stringify(run.experiment)) as Record<string, unknown>;
    const changes = experimentChanges(before as unknown as Record<string, unknown>, now);
    if (changes.length > 0) {
      throw new PupilError(
        'usage',
        `--out: expected ${folder} to hold a run of this series or none, its ${changes.join(', ')} differ`,
        'The series was changed since. Name another --out folder, or move that run away.',
      );
    }
  }
  if (report?.state === 'finished') return 'finished';
  return existsSync(join(folder, RUN_FOLDER_FILE)) ? 'begun' : 'new';
}

/** `25 %, both, seed 1` */
const titleOf = (run: LoadedRun): string => [...run.cell.labels, `seed ${run.seed}`].join(', ');

/** The table as far as there are runs, and what it has; resolves with it as text. */
export async function writeTable(folder: string, { series, cells, runs }: LoadedSeries): Promise<string> {
  const { writeSeriesReport } = await import('./nodeHost');
  return writeSeriesReport(folder, series, cells, runs);
}

/** All runs that are missing (of its shard, where there is one), in order. 130 after Ctrl-C; 1 where a run failed; the same command goes on from there. */
export async function runSeries(
  context: VerbContext,
  output: Output,
  name: string,
  flags: RunFlags,
  loaded: LoadedSeries,
): Promise<ExitCode> {
  const { series, runs } = loaded;
  const { index, of } = flags.shard ?? { index: 1, of: 1 };
  const out = flags.out ?? join('runs', slug(series.name));
  const folder = outputFolder('--out', out, [...new Set(runs.flatMap(({ inputs }) => inputs))]);
  if (existsSync(join(folder, RUN_FOLDER_FILE))) {
    throw new PupilError(
      'usage',
      `--out: expected a folder for a series, ${folder} holds a single run`,
      'Name another folder.',
    );
  }
  const states = runs.map((run) => stateOf(join(folder, run.id), run));
  const own = (i: number): boolean => i % of === index - 1;
  const missing = runs.filter((_, i) => own(i) && states[i] !== 'finished');
  const finishedBefore = states.filter((state) => state === 'finished').length;
  output.note(
    `${series.name}: ${runs.length} runs, ${finishedBefore} finished${of > 1 ? `, ${missing.length} to make here (shard ${index}/${of})` : ''} → ${folder}`,
  );
  runs.forEach((run, i) => {
    if (own(i) && states[i] === 'finished') tellRun(output, run, i, runs.length, 'skipped');
  });
  const again = resumeCommand(name, out, flags);
  let code: ExitCode = 0;
  let table = '';
  const makeMissing = async (): Promise<ExitCode> => {
    const keepIn = of > 1 ? join(folder, `.shard-${index}-of-${of}`) : folder; // a browser's profile is that browser's
    const place = new SessionPlace(context, flags, output, keepIn);
    const stop = new AbortController();
    const leaveSignals = stopOnInterrupt({ stop: () => Promise.resolve(stop.abort()) }, output);
    const make = async (run: LoadedRun, resume: boolean): Promise<RunSummary> => {
      const own = prepareRunFolder(join(folder, run.id), run.experiment, resume, run.inputs);
      try {
        writeFileAtomically(join(own.folder, EXPERIMENT), `${JSON.stringify(run.experiment, null, 2)}\n`);
        const { experiment, inputs } = run;
        const { runId } = own.record;
        const force = flags.force === true;
        const cache = cacheRequest(flags);
        const one = { runId, experiment, inputs, folder: own.folder, resume, force, cache };
        const options = { ...superviseOptions(flags), place, signal: stop.signal };
        const { summary, rows } = await superviseRun(context, flags, output, one, options);
        tellResult(output, summary, rows, own.folder);
        return summary;
      } finally {
        own.release();
      }
    };
    try {
      let failed = 0;
      for (const [i, run] of runs.entries()) {
        if (!own(i) || states[i] === 'finished') continue;
        if (stop.signal.aborted) return 130; // asked for when the run before was already at its end
        output.progressPrefix = `[${i + 1}/${runs.length}] `;
        tellRun(output, run, i, runs.length, states[i] === 'begun' ? 'resumed' : 'started');
        const summary = await make(run, states[i] === 'begun');
        table = await writeTable(folder, loaded);
        if (summary.state === 'stopped') return 130;
        // A loss that is no number is that run's own; whatever else went wrong would go wrong with the next as well.
        if (summary.state === 'failed' && summary.error?.code !== 'training') return 1;
        if (summary.state === 'failed') failed++;
      }
      return failed > 0 ? 1 : 0;
    } finally {
      output.progressPrefix = '';
      leaveSignals();
      await place.close();
    }
  };
  if (missing.length > 0) {
    try {
      code = await makeMissing();
    } catch (error) {
      if (resumable(error)) output.note(`the series can be continued: ${again}`);
      throw error;
    }
  } else table = await writeTable(folder, loaded);
  const ends = runs.map((run) => stateOf(join(folder, run.id), run) === 'finished');
  const finished = ends.filter(Boolean).length;
  output.result('series', { name: series.name, folder, runs: runs.length, finished }, () =>
    [
      ...(table === '' ? [] : [table]),
      `${finished} of ${runs.length} runs finished: ${join(folder, 'series.html')}`,
    ].join('\n'),
  );
  if (ends.some((end, i) => own(i) && !end)) output.note(`the series can be continued: ${again}`);
  return code;
}

/** Which run of how many comes now, or needs not come. */
function tellRun(
  output: Output,
  run: LoadedRun,
  index: number,
  total: number,
  state: 'started' | 'resumed' | 'skipped',
): void {
  const { id, cell, seed } = run;
  const text = `run ${index + 1} of ${total}: ${titleOf(run)}${state === 'started' ? '' : state === 'resumed' ? ', resumed' : ', finished before'}`;
  if (!output.json) output.note(text);
  else output.result('series-run', { run: index + 1, runs: total, id, cell: cell.labels, seed, state }, () => text);
}
