// local.ts: a grid on this machine: as many jobs at once as there are GPUs (or as is asked for), each a supervised run in its
// own folder, with the table of all after every finished cell. Said again, the command skips what is finished and goes on
// with what was interrupted. Which job comes next is order.ts, what is shared jobs.ts.
import { join } from 'node:path';
import { toPlainError, type PlainError } from '../../base/errors';
import type { ExitCode, VerbContext } from '../context';
import type { LoadedSeries } from '../experimentFile';
import { stopOnInterrupt } from '../interrupt';
import { cacheRequest } from '../options';
import type { Output } from '../output';
import { prepareRunFolder, runIdIn } from '../runFolder';
import { superviseOptions, type RunFlags } from '../runs';
import { writeTable } from '../series';
import { jobStateIn, noteEnded, noteExperiment, openGridFolder, type GridFolder } from './gridFolder';
import { jobOutput } from './jobOutput';
import { gridJobs, type GridJob } from './jobs';
import { nextJob, settled, type JobState } from './order';
import { SessionPlace } from './sessionPlace';
import type { Slot } from './slots';
import { forgetRuns } from './storedRuns';
import { superviseRun, type SuperviseOptions } from './supervise';

export interface LocalGrid {
  out: string;
  slots: readonly Slot[];
  flags: RunFlags;
  /** The command line that goes on with it. */
  again: string;
}

/** How a job ended. */
export type JobEnd = { state: 'done' | 'stopped' } | { state: 'failed'; error: PlainError };

export interface JobOptions extends Pick<SuperviseOptions, 'onEvent'> {
  place: SessionPlace;
  signal: AbortSignal;
  /** Whether its folder holds the job's beginning; absent: looked up there. */
  resume?: boolean;
}

/**
 * Runs one job of a grid in its folder, from where it is to its end, a stop or a failure that no relaunch mends.
 *
 * @throws PupilError where its folder cannot be used.
 */
export async function runJob(
  context: VerbContext,
  output: Output,
  flags: RunFlags,
  grid: GridFolder,
  job: GridJob,
  { resume = jobStateIn(grid, job) === 'begun', ...options }: JobOptions,
): Promise<JobEnd> {
  const { folder, record, release } = prepareRunFolder(join(grid.folder, job.id), job.experiment, resume, job.inputs);
  try {
    noteExperiment(folder, job);
    const { experiment, inputs, until } = job;
    const { runId } = record;
    const run = {
      ...{ runId, experiment, inputs, folder, resume, shared: grid.shared, cache: cacheRequest(flags) },
      force: flags.force === true,
      ...(until === undefined ? {} : { until }),
    };
    const { summary } = await superviseRun(context, flags, output, run, { ...superviseOptions(flags), ...options });
    if (summary.state === 'failed') {
      return { state: 'failed', error: summary.error ?? { code: 'internal', message: 'it did not say why' } };
    }
    // A job that ends early is stopped by its own plan, or by a person before that.
    const ended = summary.state === 'finished' || (until !== undefined && !options.signal.aborted);
    if (ended && until !== undefined) noteEnded(grid, job);
    return { state: ended ? 'done' : 'stopped' };
  } catch (error) {
    return { state: 'failed', error: toPlainError(error) };
  } finally {
    release();
  }
}

/** All jobs that are missing. 130 after Ctrl-C or a kill that asks, with checkpoints written; 1 where a job failed. */
export async function runGridHere(
  context: VerbContext,
  output: Output,
  loaded: LoadedSeries,
  { out, slots, flags, again }: LocalGrid,
): Promise<ExitCode> {
  const { series, runs } = loaded;
  const jobs = gridJobs(loaded);
  const grid = openGridFolder(out, loaded, jobs);
  const found = jobs.map((job) => [job.id, jobStateIn(grid, job) === 'finished' ? 'done' : 'waiting'] as const);
  let states: Map<string, JobState> = settled(jobs, new Map(found));
  const count = (...wanted: JobState[]): number =>
    [...states.values()].filter((state) => wanted.includes(state)).length;
  const open = count('waiting');
  output.note(
    `${series.name}: ${runs.length} runs in ${jobs.length} jobs, ${open} to make, ${slots.length} at once → ${grid.folder}`,
  );
  const stop = new AbortController();
  const leaveSignals = stopOnInterrupt({ stop: () => Promise.resolve(stop.abort()) }, output, 'writing checkpoints');
  const failures: { job: GridJob; error: PlainError }[] = [];
  let table = await writeTable(grid.folder, loaded);
  let wake: () => void = () => undefined;
  let changed = new Promise<void>((resolve) => (wake = resolve));

  const runOf = (id: string): string | undefined => runIdIn(join(grid.folder, id));
  const make = async (job: GridJob, slot: Slot, place: SessionPlace): Promise<void> => {
    const alone = slots.length === 1;
    const voice = alone ? output : jobOutput(output, job.id);
    const tell = (state: string, more: Record<string, unknown> = {}): void => {
      const value = { job: job.id, kind: job.kind, title: job.title, slot: slot.name, state, ...more };
      if (output.json) output.result('grid-job', value, () => '');
      else output.note(`${job.id}: ${state}${alone ? '' : ` on ${slot.name}`} (${job.title})`);
    };
    if (alone) output.progressPrefix = `[${jobs.length - count('waiting', 'running') + 1}/${jobs.length}] `;
    tell('started');
    const end = await runJob(context, voice, flags, grid, job, { place, signal: stop.signal });
    if (end.state === 'failed') failures.push({ job, error: end.error });
    states.set(job.id, end.state === 'stopped' ? 'waiting' : end.state);
    states = settled(jobs, states);
    if (end.state === 'done') {
      const needed = new Set(jobs.filter(({ id }) => states.get(id) !== 'done').map(({ id }) => runOf(id)));
      await forgetRuns(place, voice, (runId) => needed.has(runId));
    }
    if (voice !== output) voice.close();
    tell(end.state, end.state === 'failed' ? { error: end.error } : {});
    if (end.state === 'done' && job.kind === 'cell') table = await writeTable(grid.folder, loaded);
  };
  const work = async (slot: Slot): Promise<void> => {
    // One browser a slot, with a profile of its own: jobs that follow each other share what is compiled.
    const own = slot.card === undefined ? flags : { ...flags, gpus: [slot.card] };
    const place = new SessionPlace(context, own, output, join(grid.folder, `.${slot.name}`));
    try {
      while (!stop.signal.aborted) {
        const job = nextJob(jobs, states);
        if (job !== undefined) {
          states.set(job.id, 'running');
          await make(job, slot, place);
          wake();
          changed = new Promise<void>((resolve) => (wake = resolve));
        } else if (count('running') > 0) await changed;
        else return;
      }
    } finally {
      await place.close();
    }
  };
  try {
    await Promise.all(slots.map(work));
  } finally {
    output.progressPrefix = '';
    leaveSignals();
  }

  const finished = runs.filter(({ id }) => states.get(id) === 'done').length;
  const value = {
    ...{ name: series.name, folder: grid.folder, runs: runs.length, finished },
    failed: failures.map(({ job, error }) => ({ job: job.id, code: error.code, message: error.message })),
    blocked: jobs.filter(({ id }) => states.get(id) === 'blocked').map(({ id }) => id),
  };
  output.result('grid', value, () =>
    [
      ...(table === '' ? [] : [table]),
      ...failures.map(
        ({ job, error }) => `failed: ${job.id}: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`,
      ),
      ...value.blocked.map((id) => `not run: ${id}, what it waits for failed`),
      `${finished} of ${runs.length} runs finished: ${join(grid.folder, 'series.html')}`,
    ].join('\n'),
  );
  if (finished < runs.length) output.note(`the grid can be continued: ${again}`);
  if (stop.signal.aborted) return 130;
  return failures.length > 0 || finished < runs.length ? 1 : 0;
}
