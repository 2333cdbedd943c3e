// processLock.ts: a file that says which process has something in hand, so that no other takes it meanwhile; that of a process
// which was killed counts for nothing. Node only: never loaded by a browser. Within one process it locks nothing.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';

interface LockRecord {
  processId: number;
  host: string;
  /** When the process started, where the system says so: numbers of processes are used again. */
  started?: string;
}

/**
 * Linux tells when a process started, in ticks since the machine did, and whether it has ended and only its parent has not
 * asked for it yet: in a container without an init that may last for ever. Elsewhere, and of no process, undefined.
 */
function statusOf(processId: number): { started: string; ended: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from field 3 on; the second may contain spaces
    return { started: fields[19]!, ended: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return undefined;
  }
}

/** Whether the process that left a lock still runs here. Of another machine's processes nothing can be known. */
function isHeld({ processId, host, started }: Partial<LockRecord>): boolean {
  if (typeof processId !== 'number' || host !== hostname() || processId === process.pid) return false;
  try {
    process.kill(processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const status = statusOf(processId);
  return status?.ended !== true && started === status?.started;
}

/** What came of asking for a lock: what gives it back, or the process that has it, where that is known. */
export interface ProcessLock {
  release?: () => void;
  holder?: number;
}

/**
 * Takes the lock `file` for this process. One that a killed process left is replaced.
 * @throws whatever writing the file throws where its folder cannot be written
 */
export function takeProcessLock(file: string): ProcessLock {
  const started = statusOf(process.pid)?.started;
  const lock: LockRecord = { processId: process.pid, host: hostname(), ...(started === undefined ? {} : { started }) };
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, `${JSON.stringify(lock)}\n`, { flag: 'wx' });
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    let found: Partial<LockRecord> = {};
    try {
      found = JSON.parse(readFileSync(file, 'utf8')) as Partial<LockRecord>;
    } catch {
      // damaged or just removed: as good as none
    }
    if (isHeld(found)) return found.processId === undefined ? {} : { holder: found.processId };
    rmSync(file, { force: true });
  }
  return {};
}
