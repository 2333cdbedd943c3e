// machine.ts: what the command line asks of the machine it runs on: files, rights, room, short commands. One interface, so
// that whatever looks at a machine (machineProbes.ts, cards.ts) can be shown made-up ones. It decides nothing.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';

export interface CommandOutcome {
  /** Exit status; undefined where the command could not be started or was ended for taking too long. */
  status: number | undefined;
  stdout: string;
  stderr: string;
}

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's number, 0 for root; undefined where there are none. */
  readonly uid: number | undefined;
  exists(path: string): boolean;
  /** Names in a folder, sorted; none where it cannot be read. */
  list(folder: string): string[];
  /** A small text file, or undefined. */
  read(path: string): string | undefined;
  /** Whether this user may read and write it. */
  writable(path: string): boolean;
  /** Bytes free to this user on the disk of a path, and its size; undefined where that cannot be told. */
  room(path: string): { freeBytes: number; sizeBytes: number } | undefined;
  run(command: string, args: readonly string[]): CommandOutcome;
}

/** Longest that a command may take: nvidia-smi without its daemon takes seconds on a machine of eight cards. */
const COMMAND_MS = 20_000;

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  return {
    platform: process.platform,
    env: process.env,
    uid: process.getuid?.(),
    exists: existsSync,
    list: (folder) => {
      try {
        return readdirSync(folder).sort();
      } catch {
        return [];
      }
    },
    read: (path) => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
    writable: (path) => {
      try {
        accessSync(path, constants.R_OK | constants.W_OK);
        return true;
      } catch {
        return false;
      }
    },
    room: (path) => {
      try {
        const { bavail, blocks, bsize } = statfsSync(path);
        return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
      } catch {
        return undefined;
      }
    },
    run: (command, args) => {
      const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: COMMAND_MS });
      return { status: status ?? undefined, stdout: stdout ?? '', stderr: stderr ?? '' };
    },
  };
}

/** Whether a command is on the PATH. */
export function hasCommand(machine: Machine, command: string): boolean {
  const folders = (machine.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return folders.some((folder) => machine.exists(`${folder}/${command}`));
}

/** Numbers N of the device files /dev/nvidiaN. */
export function nvidiaMinors(machine: Pick<Machine, 'list'>): number[] {
  return machine
    .list('/dev')
    .flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Whether this machine has an NVIDIA card with its driver loaded: a fall-back to software is then a fault. */
export function hasNvidiaDevice(machine: Pick<Machine, 'list'>): boolean {
  return nvidiaMinors(machine).length > 0;
}
