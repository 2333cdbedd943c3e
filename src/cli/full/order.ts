// order.ts: which job of a grid comes next, and which one cannot come any more. Decisions only; who runs jobs is local.ts
// and worker.ts.
import type { GridJob } from './jobs';

/** How far a job is. `blocked`: what it waits for has failed. `unneeded`: nobody waits for it any more. */
export type JobState = 'waiting' | 'running' | 'done' | 'failed' | 'blocked' | 'unneeded';
export type JobStates = ReadonlyMap<string, JobState>;

const open = (state: JobState | undefined): boolean => state === 'waiting' || state === 'running';

/** The states with what follows from them: jobs behind a failed one are blocked, shared ones that no open job waits for unneeded. */
export function settled(jobs: readonly GridJob[], states: JobStates): Map<string, JobState> {
  const found = new Map(states);
  for (const { id, after } of jobs) {
    const before = after === undefined ? undefined : found.get(after);
    if (found.get(id) === 'waiting' && (before === 'failed' || before === 'blocked')) found.set(id, 'blocked');
  }
  // From the last to the first: those that wait come after what they wait for.
  for (const { id, kind } of [...jobs].reverse()) {
    if (kind === 'cell' || found.get(id) !== 'waiting') continue;
    if (!jobs.some((job) => job.after === id && open(found.get(job.id)))) found.set(id, 'unneeded');
  }
  return found;
}

/**
 * The job to start now: the first cell that is missing, or what it still waits for. So whole cells are there early. Undefined
 * where all that could start is running.
 */
export function nextJob(jobs: readonly GridJob[], states: JobStates): GridJob | undefined {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  for (const cell of jobs) {
    if (cell.kind !== 'cell' || states.get(cell.id) !== 'waiting') continue;
    let job = cell;
    for (let before = openBefore(job); before !== undefined; before = openBefore(job)) job = before;
    if (states.get(job.id) === 'waiting') return job;
  }
  return undefined;

  /** What a job has to wait for and has not got. */
  function openBefore({ after }: GridJob): GridJob | undefined {
    const job = after === undefined ? undefined : byId.get(after);
    return job !== undefined && open(states.get(job.id)) ? job : undefined;
  }
}
