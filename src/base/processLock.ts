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

/** Linux tells when a process started, in ticks since the machine did; elsewhere, and of no process, undefined. */
function startOf(processId: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22; the second may contain spaces
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
  return started === startOf(processId);
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
  const started = startOf(process.pid);
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
