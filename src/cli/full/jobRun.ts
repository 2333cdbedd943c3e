// jobRun.ts: one job of a queue on this machine, from the store and back to it: what the store has of the run is fetched, a
// supervised run goes on from there, every checkpoint goes up, and its end last. What the queue is told is worker.ts.
import { existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlainError } from '../../base/errors';
import { takeProcessLock } from '../../base/processLock';
import { parseExperiment } from '../../config/experiment';
import type { SessionEvent } from '../../session/protocol';
import type { VerbContext } from '../context';
import { locate } from '../experimentFile';
import type { Output } from '../output';
import { experimentsFolder } from '../project';
import { RUN_FOLDER_FILE, runIdIn } from '../runFolder';
import type { RunFlags } from '../runs';
import type { ArtefactStore } from './artefactStore';
import { noteExperiment } from './gridFolder';
import type { ProgressMeter } from './jobProgress';
import { runsIn } from './leftFolders';
import { runJob } from './local';
import { jobHash, type QueuedJob } from './queueJobs';
import type { SessionPlace } from './sessionPlace';
import type { SharedResults } from './sharedResults';
import { ClaimedFolder, newestSnapshot, runArea } from './snapshots';
import { forgetRuns } from './storedRuns';

/** What a job's run is given. */
export interface JobPlace {
  context: VerbContext;
  output: Output;
  flags: RunFlags;
  store: ArtefactStore;
  /** In the store, and the folder for jobs on this machine. */
  area: string;
  work: string;
  shared: SharedResults;
  place: SessionPlace;
}

export type QueuedJobEnd =
  /** `before`: it was finished already, and nothing was computed. */
  | { state: 'finished'; before: boolean }
  | { state: 'stopped' }
  | { state: 'failed'; error: PlainError }
  /** Another process of this machine still has its folder. */
  | { state: 'busy' }
  /** Another worker has taken it over. */
  | { state: 'lost' };

/**
 * Runs a job to its end, a stop, or a failure that no relaunch mends. A stop comes by the signal.
 *
 * @param forerunners the jobs that it waited for
 * @throws PupilError where the store fails or files are missing here
 */
export async function runQueuedJob(
  at: JobPlace,
  job: QueuedJob,
  forerunners: readonly string[],
  meter: ProgressMeter,
  signal: AbortSignal,
): Promise<QueuedJobEnd> {
  const area = runArea(at.area, job.id);
  const hash = jobHash(job);
  const newest = await newestSnapshot(at.store, area);
  if (newest?.state === 'finished' && newest.job === hash) return { state: 'finished', before: true };
  const folder = join(at.work, job.id);
  mkdirSync(at.work, { recursive: true });
  const { release } = takeProcessLock(`${folder}.lock`);
  if (release === undefined) return { state: 'busy' };
  try {
    const checked = parseExperiment(job.experiment);
    const { experiment, inputs } = locate(checked, experimentsFolder(), at.flags);
    const claimed = await ClaimedFolder.claim(at.store, area, folder, hash);
    return await new JobRun(at, { ...job, experiment }, inputs, claimed, meter).run(forerunners, signal);
  } catch (error) {
    if ((error as Error).name === 'ClaimLost') return { state: 'lost' };
    throw error;
  } finally {
    release();
  }
}

class JobRun {
  private readonly folder: string;
  /** Aborted with the caller's signal, or when another worker has taken the run over. */
  private readonly stop = new AbortController();
  private lost = false;
  private saving: Promise<void> | undefined;
  private savedAgain = false;

  constructor(
    private readonly at: JobPlace,
    private readonly job: QueuedJob,
    private readonly inputs: string[],
    private readonly claimed: ClaimedFolder,
    private readonly meter: ProgressMeter,
  ) {
    this.folder = join(at.work, job.id);
  }

  async run(forerunners: readonly string[], signal: AbortSignal): Promise<QueuedJobEnd> {
    const { at, job, stop } = this;
    const abort = (): void => stop.abort();
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await at.shared.fetch(job.id, forerunners);
      const resume = existsSync(join(this.folder, RUN_FOLDER_FILE));
      if (resume && this.claimed.fetched) await this.forgetOwnRun(); // of an earlier sitting here, on another branch
      if (resume) noteExperiment(this.folder, { ...job, inputs: this.inputs }); // with the paths of this machine
      const grid = { folder: at.work, shared: at.shared.folder };
      const end = await runJob(
        at.context,
        at.output,
        at.flags,
        grid,
        { ...job, inputs: this.inputs },
        {
          resume,
          place: at.place,
          signal: stop.signal,
          onEvent: (event) => this.hear(event),
        },
      );
      await this.saving;
      if (this.lost) return { state: 'lost' };
      return await this.conclude(end);
    } finally {
      signal.removeEventListener('abort', abort);
      await at.shared.leave(job.id, forerunners);
    }
  }

  private async conclude(end: Awaited<ReturnType<typeof runJob>>): Promise<QueuedJobEnd> {
    const { job } = this;
    await this.putShared();
    if (end.state === 'done') {
      // A job that ends early has put what others need among the shared results; nobody goes on with its run.
      await this.claimed.save('finished', job.until === undefined ? {} : { without: 'checkpoints' });
      await rm(this.folder, { recursive: true, force: true }); // the store has it
      const needed = await runsIn(this.at.work);
      await forgetRuns(this.at.place, this.at.output, (runId) => needed.has(runId));
      return { state: 'finished', before: false };
    }
    await this.claimed.save(end.state);
    return end.state === 'failed' ? { state: 'failed', error: end.error } : { state: 'stopped' };
  }

  private hear(event: SessionEvent): void {
    this.meter.hear(event);
    if (event.type !== 'checkpoint') return;
    if (this.saving === undefined) this.saving = this.save();
    else this.savedAgain = true; // one upload at a time; the newest state follows it
  }

  /** Takes the run as it is up. That fails only the end of the run, which tries it again: until then it just goes on. */
  private async save(): Promise<void> {
    do {
      this.savedAgain = false;
      try {
        await this.putShared();
        await this.claimed.save('running');
        this.meter.stored();
      } catch (error) {
        if ((error as Error).name === 'ClaimLost') {
          this.lost = true;
          this.stop.abort();
        }
        this.at.output.note(`not stored: ${(error as Error).message}`);
      }
    } while (this.savedAgain && !this.lost);
    this.saving = undefined;
  }

  private async putShared(): Promise<void> {
    await this.at.shared.put(this.job.id, this.runId());
  }

  private runId(): string {
    return runIdIn(this.folder) ?? this.job.id;
  }

  private async forgetOwnRun(): Promise<void> {
    const own = runIdIn(this.folder);
    await forgetRuns(this.at.place, this.at.output, (runId) => runId !== own);
  }
}
