// cards.ts: one GPU for one browser. Dawn takes the first adapter and ignores CUDA_VISIBLE_DEVICES, so among identical
// NVIDIA cards only hiding the others works: bubblewrap gives the browser a /dev with one card in it. Here are the cards of
// a machine, the command line that hides the others, and the checks that it did. It starts no browser.
import { PupilError } from '../base/errors';
import { hasCommand, nvidiaMinors, type Machine } from './machine';
import { shellWord } from './shellWord';

/** One NVIDIA card. */
export interface Card {
  /** As nvidia-smi counts and as `--gpus` names it: by bus address. */
  index: number;
  /** N of /dev/nvidiaN: by the order in which the kernel met the cards, which need not be that of the bus. */
  minor: number;
  /** Bus address as the kernel writes it, `0000:3b:00.0`; absent where only the device file is known. */
  pci?: string;
  uuid?: string;
  name?: string;
}

/** Device files without which no card works, and those that some drivers have. */
const SHARED_DEVICES = ['nvidiactl', 'nvidia-uvm', 'nvidia-uvm-tools', 'nvidia-modeset', 'nvidia-caps'];
const DRIVER = '/proc/driver/nvidia';

/** `00000000:3B:00.0`, as nvidia-smi writes it, as the kernel does. */
function busAddress(text: string): string {
  const [, domain = '0', rest = ''] = /^([0-9a-f]+):(.+)$/i.exec(text.trim()) ?? [];
  return `${domain.slice(-4).padStart(4, '0')}:${rest}`.toLowerCase();
}

/** A `key: value` of the driver's files and of nvidia-smi's long form. */
function field(text: string, name: string): string | undefined {
  return new RegExp(`^\\s*${name}\\s*:\\s*(.+?)\\s*$`, 'm').exec(text)?.[1];
}

/** The sections of nvidia-smi's long form: one for each card, by bus address. */
function cardSections(text: string): { pci: string; text: string }[] {
  return text.split(/^(?=GPU [0-9A-Fa-f]{4,}:)/m).flatMap((part) => {
    const address = /^GPU ([0-9A-Fa-f]+:[0-9A-Fa-f:.]+)/.exec(part)?.[1];
    return address === undefined ? [] : [{ pci: busAddress(address), text: part }];
  });
}

/** The cards as the driver tells them in /proc. */
function fromDriver(machine: Machine): Omit<Card, 'index'>[] {
  return machine.list(`${DRIVER}/gpus`).flatMap((folder) => {
    const text = machine.read(`${DRIVER}/gpus/${folder}/information`);
    const minor = text === undefined ? undefined : field(text, 'Device Minor');
    if (text === undefined || minor === undefined) return [];
    const uuid = field(text, 'GPU UUID');
    const name = field(text, 'Model');
    return [
      {
        minor: Number(minor),
        pci: busAddress(field(text, 'Bus Location') ?? folder),
        ...(uuid === undefined || uuid.includes('?') ? {} : { uuid }),
        ...(name === undefined ? {} : { name }),
      },
    ];
  });
}

/** The same from nvidia-smi, where a container hides the driver's files. */
function fromNvidiaSmi(machine: Machine): Omit<Card, 'index'>[] {
  const { status, stdout } = machine.run('nvidia-smi', ['-q']);
  if (status !== 0) return [];
  return cardSections(stdout).flatMap(({ pci, text }) => {
    const minor = Number(field(text, 'Minor Number') ?? NaN);
    if (!Number.isInteger(minor)) return [];
    const uuid = field(text, 'GPU UUID');
    const name = field(text, 'Product Name');
    return [{ minor, pci, ...(uuid === undefined ? {} : { uuid }), ...(name === undefined ? {} : { name }) }];
  });
}

/**
 * The NVIDIA cards whose device files are here, numbered as nvidia-smi numbers them: by bus address. Where neither driver
 * nor nvidia-smi tell an address, in the order of the device files.
 */
export function listCards(machine: Machine): Card[] {
  const present = nvidiaMinors(machine);
  const told = fromDriver(machine);
  const known = told.length > 0 ? told : present.length === 0 ? [] : fromNvidiaSmi(machine);
  const found: Omit<Card, 'index'>[] = known.length > 0 ? known : present.map((minor) => ({ minor }));
  return found
    .filter(({ minor }) => present.includes(minor))
    .sort((a, b) => (a.pci ?? '').localeCompare(b.pci ?? '') || a.minor - b.minor)
    .map((card, index) => ({ index, ...card }));
}

/** `GPU 2: NVIDIA RTX A6000, 0000:3b:00.0, /dev/nvidia1` */
export function cardText({ index, minor, pci, name }: Card): string {
  return `GPU ${index}: ${[name, pci, `/dev/nvidia${minor}`].filter((part) => part !== undefined).join(', ')}`;
}

/** The card that `--gpus` names by its number. @throws PupilError `usage` where there is none. */
export function cardOf(machine: Machine, index: number): Card {
  const cards = listCards(machine);
  const card = cards.find((one) => one.index === index);
  if (card !== undefined) return card;
  throw new PupilError(
    'usage',
    `--gpus: expected a card of this machine, got ${index}; ${cards.length === 0 ? 'it has no /dev/nvidia0' : `it has ${cards.map(cardText).join('; ')}`}`,
    cards.length === 0
      ? '`pupil doctor` says what is missing. Without --gpus the browser takes the adapter that it finds.'
      : 'The numbers are those of nvidia-smi.',
  );
}

/** A file or folder of this machine and where the browser finds it. */
export interface Mount {
  from: string;
  to: string;
}

/** What of /dev the browser of one card sees, beside the harmless files that every sandbox has. */
export function cardMounts(machine: Machine, card: Card): Mount[] {
  const drm = card.pci === undefined ? [] : machine.list(`/sys/bus/pci/devices/${card.pci}/drm`);
  const wanted = [
    `/dev/nvidia${card.minor}`,
    ...SHARED_DEVICES.map((name) => `/dev/${name}`),
    ...drm.filter((name) => /^(card|renderD)\d+$/.test(name)).map((name) => `/dev/dri/${name}`),
    '/dev/shm',
  ];
  return wanted.filter((path) => machine.exists(path)).map((path) => ({ from: path, to: path }));
}

/**
 * bubblewrap's arguments up to the command: everything as it is, but for a /dev that holds only these mounts. Process
 * numbers stay, so that the launcher and nvidia-smi name the browser alike.
 *
 * `params`, where given, is put over the driver's parameters: a copy that says that nobody makes device files
 * ({@link driverParameters}). As root the right to make them is given up as well: the driver's library would have
 * nvidia-modprobe make the files of the cards that it misses.
 */
export function sandboxArguments(mounts: readonly Mount[], options: { root: boolean; params?: string }): string[] {
  return [
    '--die-with-parent',
    '--dev-bind',
    '/',
    '/',
    '--dev',
    '/dev',
    ...mounts.flatMap(({ from, to }) => ['--dev-bind', from, to]),
    ...(options.params === undefined ? [] : ['--ro-bind', options.params, `${DRIVER}/params`]),
    ...(options.root ? ['--cap-drop', 'CAP_MKNOD'] : []),
  ];
}

/** The driver's parameters with `ModifyDeviceFiles: 0`, or undefined where it tells none. */
export function driverParameters(machine: Machine): string | undefined {
  return machine.read(`${DRIVER}/params`)?.replace(/^ModifyDeviceFiles:.*$/m, 'ModifyDeviceFiles: 0');
}

/** A program that starts another one inside the sandbox, for a launcher that takes an executable and adds its flags. */
export function wrapperScript(sandbox: readonly string[], executable: string): string {
  const line = ['exec', 'bwrap', ...sandbox, '--', executable].map(shellWord).join(' ');
  return `#!/bin/sh\n# One GPU for one browser; see docs/full-runs.md. Written by pupil at every start.\n${line} "$@"\n`;
}

/** The same isolation by Docker, where bubblewrap cannot be had: for people to run. */
export function dockerCommand({ index, uuid }: Card, command: string): string {
  return (
    `docker run --rm --gpus '"device=${uuid ?? index}"' -e NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility ` +
    `--shm-size=1g -v "$PWD":/pupil -w /pupil pupil ${command}`
  );
}

/** @throws PupilError `browser` where bubblewrap is not installed or may not hide devices. */
export function expectSandbox(machine: Machine, card: Card): void {
  const instead = `or give each container one card: ${dockerCommand(card, 'run …')}`;
  if (!hasCommand(machine, 'bwrap')) {
    throw new PupilError(
      'browser',
      `--gpus: expected bubblewrap (bwrap), which hides the other cards from a browser; it is not installed`,
      `sudo apt-get install bubblewrap; ${instead}`,
    );
  }
  const { status, stderr } = machine.run('bwrap', ['--dev-bind', '/', '/', '--dev', '/dev', '--', 'true']);
  if (status === 0) return;
  throw new PupilError(
    'browser',
    `--gpus: expected bubblewrap to start, it said: ${stderr.trim().split('\n')[0] ?? ''}`,
    `User namespaces are forbidden here: ${USER_NAMESPACES}; ${instead}`,
  );
}

/** What allows bubblewrap to work for users that are not root. */
export const USER_NAMESPACES =
  'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu from 23.10) or kernel.unprivileged_userns_clone=1 ' +
  '(older Debian); inside Docker start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN';

/**
 * Looks from inside the sandbox: of all cards only this one's file may be there.
 * @throws PupilError `browser`
 */
export function expectOnly(machine: Machine, sandbox: readonly string[], card: Card): void {
  const { status, stdout, stderr } = machine.run('bwrap', [...sandbox, '--', 'ls', '-1', '/dev']);
  const seen = stdout.split('\n').filter((name) => /^nvidia\d+$/.test(name));
  if (status === 0 && seen.length === 1 && seen[0] === `nvidia${card.minor}`) return;
  throw new PupilError(
    'browser',
    `--gpus: expected the browser of ${cardText(card)} to see that card only, it sees ${seen.join(', ') || `none (${stderr.trim() || `bwrap ended with ${status}`})`}`,
    'Nothing was started. Start one container a card instead; see docs/full-runs.md.',
  );
}

/**
 * The bus addresses of the cards on which one of these processes works, as nvidia-smi tells them; undefined where it tells
 * of no process of ours, as in most containers.
 */
export function cardsInUse(machine: Machine, processIds: readonly number[]): string[] | undefined {
  const { status, stdout } = machine.run('nvidia-smi', ['-q', '-d', 'PIDS']);
  if (status !== 0) return undefined;
  const wanted = new Set(processIds);
  const used = cardSections(stdout)
    .filter(({ text }) => [...text.matchAll(/^\s*Process ID\s*:\s*(\d+)/gm)].some(([, id]) => wanted.has(Number(id))))
    .map(({ pci }) => pci);
  return used.length === 0 ? undefined : used;
}
