// processLock.ts: what Linux says of a process, and a lock as that process would have written it. Tests only.
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Fields of /proc/PID/stat from the third on: its state first. */
export function fieldsOf(processId: number): string[] {
  const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

export const writeLockOf = (processId: number, file: string): void =>
  writeFileSync(file, JSON.stringify({ processId, host: hostname(), started: fieldsOf(processId)[19] }));
