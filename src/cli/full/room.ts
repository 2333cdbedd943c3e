// room.ts: how much room a run's folder needs for its next checkpoint, how much its disk has, and waiting until that is
// enough. It frees nothing.
import { readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RoomLimits {
  /** Beside the checkpoint: report, predictions, log, the browser's own files. */
  spareBytes: number;
  everyMs: number;
  /** Then the run is given up; it can be resumed later. */
  longestMs: number;
}

export const ROOM: RoomLimits = { spareBytes: 64 * 2 ** 20, everyMs: 15_000, longestMs: 24 * 3_600_000 };

/** Bytes that this process may still write there; undefined where the system does not say. */
export function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** The size of the checkpoints that lie in a run's folder: as large as the next one, or larger. */
function storedCheckpointBytes(folder: string): number {
  const checkpoints = join(folder, 'checkpoints');
  try {
    const sizes = readdirSync(checkpoints).map((name) => statSync(join(checkpoints, name)).size);
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    return 0;
  }
}

/**
 * What must be free for the next checkpoint: it is written beside the last one, in the folder and in the browser's storage,
 * which lies in the folder as well.
 * @param checkpointBytes of the largest checkpoint seen; 0 where none was
 */
export function neededBytes(folder: string, checkpointBytes: number, spareBytes: number): number {
  return 2 * (checkpointBytes || storedCheckpointBytes(folder)) + spareBytes;
}

/** Whether enough became free in time; false also where the signal came first. */
export async function waitForRoom(
  folder: string,
  needed: number,
  { everyMs, longestMs }: RoomLimits,
  signal: AbortSignal,
): Promise<boolean> {
  const end = performance.now() + longestMs;
  for (;;) {
    if (signal.aborted) return false;
    if ((freeBytes(folder) ?? Infinity) >= needed) return true;
    if (performance.now() >= end) return false;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** `1.4 GiB`, `66 MiB` */
export function sizeText(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
