// browserProcesses.ts: the processes of a browser as the system sees them, found by the profile that it was started on, and
// their end the hard way: one that is stopped, hangs or was left behind by a killed launcher does not close when asked.
// Linux and macOS; elsewhere none are found. It starts nothing.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long killed processes may take to be gone. */
const GONE_MS = 5_000;

/** Process group of a process, from its line in /proc; undefined where it is gone. */
function groupOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  } catch {
    return undefined;
  }
}

function groupsOnLinux(argument: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words.includes(argument) ? (groupOf(pid) ?? []) : [];
      } catch {
        return []; // gone meanwhile, or another user's
      }
    });
}

function groupsOnMac(argument: string): number[] {
  const lines = execFileSync('ps', ['-axo', 'pgid=,command='], { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\n');
  return lines.filter((line) => `${line} `.includes(` ${argument} `)).map((line) => Number.parseInt(line, 10));
}

/** The process groups of all browsers that run on this profile: each browser leads one, and its helpers are in it. */
export function browserGroups(profile: string): number[] {
  const argument = `--user-data-dir=${profile}`;
  let found: number[] = [];
  if (process.platform === 'linux') found = groupsOnLinux(argument);
  else if (process.platform === 'darwin') found = groupsOnMac(argument);
  const own = process.platform === 'linux' ? groupOf('self') : undefined;
  return [...new Set(found)].filter((group) => group > 1 && group !== own);
}

/** Kills the groups and waits until they are gone. Those that are gone already are no error. */
export async function endGroups(groups: readonly number[]): Promise<void> {
  const lives = (group: number, signal: 'SIGKILL' | 0): boolean => {
    try {
      process.kill(-group, signal);
      return true;
    } catch {
      return false;
    }
  };
  let left = groups.filter((group) => lives(group, 'SIGKILL'));
  for (const end = performance.now() + GONE_MS; left.length > 0 && performance.now() < end;) {
    await sleep(20);
    left = left.filter((group) => lives(group, 0));
  }
}
