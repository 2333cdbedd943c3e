// runLog.ts: DIR/run.log, what happened to a run from its first start to its end, over all relaunches and all launchers:
// JSON lines, appended, of bounded size. It holds no results: those are metrics.jsonl and report.json.
import { appendFileSync, closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const RUN_LOG = 'run.log';
/** Then it becomes run.log.1, in place of an earlier one. */
const MOST_BYTES = 2 ** 20;
const MOST_TEXT = 2000;

/** One line, beside its time. */
export interface LogEntry {
  event:
    | 'start'
    | 'opened'
    | 'failed'
    | 'relaunch'
    | 'waiting'
    | 'room'
    | 'warning'
    | 'stopping'
    | 'stopped'
    | 'finished'
    | 'given up';
  /** In words. */
  what?: string;
  /** The error's code, of a failure. */
  code?: string;
}

/** What stands in every line. */
export interface LogState {
  adapter?: string;
  phase?: string;
  step?: number;
  relaunches: number;
}

export class RunLog {
  private readonly file: string;

  constructor(folder: string) {
    this.file = join(folder, RUN_LOG);
  }

  /** Appends a line. Never throws: a full disk must not end a run by its log. */
  write(entry: LogEntry, state: LogState): void {
    const { what, ...rest } = entry;
    const line = {
      time: new Date().toISOString(),
      ...rest,
      ...(what === undefined ? {} : { what: what.slice(0, MOST_TEXT) }),
      ...state,
    };
    try {
      const size = statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
      if (size > MOST_BYTES) renameSync(this.file, `${this.file}.1`);
      appendFileSync(this.file, `${endsWithinLine(this.file) ? '\n' : ''}${JSON.stringify(line)}\n`);
    } catch {
      // see above
    }
  }
}

/** Whether a crash has cut off the last line: the next must not be swallowed by it. */
function endsWithinLine(file: string): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return false;
  const handle = openSync(file, 'r');
  try {
    const last = Buffer.alloc(1);
    readSync(handle, last, 0, 1, size - 1);
    return last.toString() !== '\n';
  } finally {
    closeSync(handle);
  }
}
