// boardState.ts: a namespace of a queue as people look at it: every grid with its jobs, where each is, how far, and why not.
// Pure: the queue is read by boardReader.ts, shown by boardText.ts and the page.
import type { JobProgress } from './jobProgress';
import { missingRuns, type JobState, type QueuedGrid } from './queueJobs';

/** What the queue says of a job. Times in milliseconds since 1970. */
export interface JobInfo {
  state: JobState;
  progress?: JobProgress;
  error?: string;
  /** How often it was begun. */
  begun: number;
  startedMs?: number;
  endedMs?: number;
  /** Found finished in the store: nothing was computed this time. */
  before?: boolean;
}

export interface BoardRow {
  id: string;
  kind: string;
  title: string;
  state: JobState;
  begun: number;
  /** 0 to 1, of one that runs. */
  share?: number;
  /** `instruct, 12 of 40 steps` */
  doing?: string;
  tokensPerSecond?: number;
  secondsLeft?: number;
  /** `gpu-box, GPU 2` */
  where?: string;
  /** How long it took, of a finished one. */
  seconds?: number;
  /** Of one that is not where it should be. */
  why?: string;
}

export interface BoardGrid {
  grid: string;
  name: string;
  /** The runs of its table. */
  runs: number;
  finished: number;
  /** Of all jobs. */
  counts: Record<JobState, number>;
  /** A guess from what has finished; absent while nothing has. */
  secondsLeft?: number;
  table: JobState;
  rows: BoardRow[];
}

export interface Board {
  namespace: string;
  paused: boolean;
  /** Paused, and what runs is to stop as well. */
  stopping: boolean;
  /** ISO 8601. */
  at: string;
  workers: string[];
  grids: BoardGrid[];
}

/** Nothing was heard of a job for so long: its worker may be dead. */
const SILENT_MS = 30_000;

/** All, as somebody who looks wants to see them: a grid of the paper has hundreds of jobs. */
export const JOB_STATES = [
  'running',
  'failed',
  'delayed',
  'waiting',
  'blocked',
  'cancelled',
  'finished',
] as const satisfies readonly JobState[];

/** One grid. `table`: where the job is that makes its table. */
export function boardGrid(
  grid: QueuedGrid,
  infos: ReadonlyMap<string, JobInfo>,
  table: JobState,
  nowMs: number,
): BoardGrid {
  const infoOf = (id: string): JobInfo => infos.get(id) ?? { state: 'blocked', begun: 0 };
  const missing = new Map(missingRuns({ ...grid, runs: grid.jobs as never }, infoOf).map(({ id, why }) => [id, why]));
  const rows = grid.jobs.map((job) => boardRow(job, infoOf(job.id), missing.get(job.id), nowMs));
  const counts = Object.fromEntries(
    JOB_STATES.map((state) => [state, rows.filter((row) => row.state === state).length]),
  );
  const secondsLeft = timeLeft(rows, infos);
  return {
    grid: grid.grid,
    name: grid.series.name,
    runs: grid.runs.length,
    finished: grid.runs.filter(({ id }) => infoOf(id).state === 'finished').length,
    counts: counts as Record<JobState, number>,
    ...(secondsLeft === undefined ? {} : { secondsLeft }),
    table,
    rows,
  };
}

function boardRow(
  { id, kind, title }: QueuedGrid['jobs'][number],
  info: JobInfo,
  why: string | undefined,
  nowMs: number,
): BoardRow {
  const row: BoardRow = { id, kind, title, state: info.state, begun: info.begun };
  const { progress } = info;
  if (info.state === 'running' && progress !== undefined) {
    const { phase, done, total, unit, share, tokensPerSecond, secondsLeft } = progress;
    const count = done === undefined ? '' : `${done}${total === undefined ? '' : ` of ${total}`} ${unit ?? ''}`.trim();
    const doing = [phase ?? progress.task, count].filter((text) => text !== undefined && text !== '').join(', ');
    if (doing !== '') row.doing = doing;
    Object.assign(row, { where: whereOf(progress) });
    if (share !== undefined) row.share = share;
    if (tokensPerSecond !== undefined) row.tokensPerSecond = tokensPerSecond;
    if (secondsLeft !== undefined) row.secondsLeft = secondsLeft;
    const silentMs = nowMs - Date.parse(progress.at);
    if (silentMs > SILENT_MS) row.why = `nothing heard for ${Math.round(silentMs / 1000)} s`;
  }
  if (info.state === 'finished') {
    if (progress !== undefined) row.where = whereOf(progress);
    const { startedMs, endedMs } = info;
    if (startedMs !== undefined && endedMs !== undefined && info.before !== true)
      row.seconds = (endedMs - startedMs) / 1000;
  }
  if (info.state === 'delayed' && info.error !== undefined) row.why = `tried again after: ${info.error}`;
  if (['failed', 'blocked'].includes(info.state) && why !== undefined) row.why = why.replace(/^failed: /, '');
  return row;
}

const whereOf = ({ host, gpu, slot }: JobProgress): string => `${host}, ${gpu === undefined ? slot : `GPU ${gpu}`}`;

/** What is left by the mean of what has finished, shared by those that work now. */
function timeLeft(rows: readonly BoardRow[], infos: ReadonlyMap<string, JobInfo>): number | undefined {
  const mean = (kind: string): number | undefined => {
    const taken = rows.flatMap((row) => (row.kind === kind && row.seconds !== undefined ? [row.seconds] : []));
    return taken.length === 0 ? undefined : taken.reduce((sum, seconds) => sum + seconds, 0) / taken.length;
  };
  let sum = 0;
  for (const row of rows) {
    if (!['waiting', 'delayed', 'running', 'blocked'].includes(row.state)) continue;
    if (row.state === 'blocked' && row.why?.includes('which it waits for') === true) continue; // it will not come
    const left = row.secondsLeft ?? mean(row.kind) ?? mean('cell');
    if (left === undefined) return undefined;
    sum += left;
  }
  const running = [...infos.values()].filter(({ state }) => state === 'running').length;
  return sum / Math.max(1, running);
}
