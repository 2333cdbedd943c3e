// progress.ts: how long work tells how far it is and learns that it should stop. Not a logger and not an event bus.
import { PupilError } from './errors';

/** One report of progress. `done` and `total` are in `unit`; `total` is absent while unknown. */
export interface Progress {
  task: string;
  done: number;
  total?: number;
  unit: string;
}

export type ProgressListener = (progress: Progress) => void;

/** Throws a `cancelled` error if the signal has been aborted. Call between units of work. */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw new PupilError('cancelled', `${what}: stopped as asked`);
}
