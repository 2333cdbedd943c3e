// boardReader.ts: reads a board out of a queue, with as few questions as possible: what has finished does not change any
// more. What a board is, is boardState.ts.
import { boardGrid, type Board, type BoardGrid, type JobInfo } from './boardState';
import type { JobProgress } from './jobProgress';
import type { GridQueue } from './queue';
import { tableId, type QueuedGrid } from './queueJobs';

export class BoardReader {
  private readonly ended = new Map<string, JobInfo>();

  constructor(private readonly queue: GridQueue) {}

  async read(): Promise<Board> {
    const { queue } = this;
    const grids: BoardGrid[] = [];
    const workers = new Set<string>();
    const nowMs = Date.now();
    for (const name of await queue.grids()) {
      const grid = await queue.grid(name);
      if (grid === undefined) continue;
      const infos = await this.infosOf(grid);
      for (const { state, progress } of infos.values())
        if (state === 'running' && progress) workers.add(progress.worker);
      grids.push(boardGrid(grid, infos, await queue.stateOf(tableId(name)), nowMs));
    }
    const [paused, stopping] = await Promise.all([queue.queue.isPaused(), queue.isToStop()]);
    return {
      namespace: queue.namespace,
      ...{ paused, stopping },
      at: new Date(nowMs).toISOString(),
      workers: [...workers].sort(),
      grids,
    };
  }

  private async infosOf({ jobs }: QueuedGrid): Promise<Map<string, JobInfo>> {
    const infos = await Promise.all(
      jobs.map(async ({ id }) => [id, this.ended.get(id) ?? (await this.infoOf(id))] as const),
    );
    for (const [id, info] of infos) if (info.state === 'finished') this.ended.set(id, info);
    return new Map(infos);
  }

  private async infoOf(id: string): Promise<JobInfo> {
    const state = await this.queue.stateOf(id);
    const job = await this.queue.job(id);
    if (job === undefined) return { state, begun: 0 };
    const progress = job.progress as Partial<JobProgress> | number;
    const value = job.returnvalue as { before?: boolean } | null | undefined;
    return {
      state,
      begun: job.attemptsStarted,
      ...(typeof progress === 'object' && progress.at !== undefined ? { progress: progress as JobProgress } : {}),
      ...(job.failedReason ? { error: job.failedReason } : {}),
      ...(job.processedOn === undefined ? {} : { startedMs: job.processedOn }),
      ...(job.finishedOn === undefined ? {} : { endedMs: job.finishedOn }),
      ...(value?.before === true ? { before: true } : {}),
    };
  }
}
