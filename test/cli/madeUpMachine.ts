// madeUpMachine.ts: machines that are not here: files as texts, commands as answers. For tests of what looks at a machine.
import type { CommandOutcome, Machine } from '../../src/cli/machine';

export interface MadeUp {
  /** Path → contents. A folder is there when something is in it. */
  files?: Record<string, string>;
  /** Paths that this user may not write. */
  closed?: readonly string[];
  /** Command line → what it says; everything else is not installed. */
  commands?: Record<string, Partial<CommandOutcome>>;
  /** Folder → free and whole bytes of its disk. */
  rooms?: Record<string, { freeBytes: number; sizeBytes: number }>;
  env?: Record<string, string>;
  platform?: NodeJS.Platform;
  uid?: number;
}

export function madeUpMachine(made: MadeUp = {}): Machine {
  const { files = {}, closed = [], commands = {}, rooms = {}, env = {}, platform = 'linux', uid = 1000 } = made;
  const paths = Object.keys(files);
  return {
    platform,
    env: { PATH: '/usr/bin', ...env },
    uid,
    exists: (path) => paths.some((file) => file === path || file.startsWith(`${path}/`)),
    list: (folder) =>
      [
        ...new Set(
          paths.flatMap((file) => (file.startsWith(`${folder}/`) ? file.slice(folder.length + 1).split('/')[0]! : [])),
        ),
      ].sort(),
    read: (path) => files[path],
    writable: (path) => paths.includes(path) && !closed.includes(path),
    room: (path) => rooms[path],
    run: (command, args) => ({
      status: undefined,
      stdout: '',
      stderr: '',
      ...Object.entries(commands).find(([line]) => line === [command, ...args].join(' '))?.[1],
    }),
  };
}

const information = (name: string, pci: string, minor: number): string =>
  [
    `Model: \t\t ${name}`,
    'IRQ:   \t\t 142',
    `GPU UUID: \t GPU-0000000${minor}-aaaa-bbbb-cccc-dddddddddddd`,
    'Video BIOS: \t 94.02.5c.00.02',
    'Bus Type: \t PCIe',
    'DMA Size: \t 47 bits',
    `Bus Location: \t ${pci}`,
    `Device Minor: \t ${minor}`,
    'GPU Excluded:\t No',
    '',
  ].join('\n');

/** Bus addresses of four cards in nvidia-smi's order, with the minor numbers that the kernel gave them. */
export const FOUR_CARDS = [
  { pci: '0000:01:00.0', minor: 2 },
  { pci: '0000:25:00.0', minor: 0 },
  { pci: '0000:81:00.0', minor: 1 },
  { pci: '0000:c1:00.0', minor: 3 },
] as const;

/** Files of a server with cards of one kind, its driver and Vulkan in order. */
export function nvidiaFiles(cards: readonly { pci: string; minor: number }[] = FOUR_CARDS): Record<string, string> {
  const files: Record<string, string> = {
    '/etc/os-release': 'NAME="Debian GNU/Linux"\nID=debian\n',
    '/dev/nvidiactl': '',
    '/dev/nvidia-uvm': '',
    '/dev/nvidia-uvm-tools': '',
    '/dev/shm/x': '',
    '/proc/driver/nvidia/version':
      'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2026\n',
    '/proc/driver/nvidia/params': 'ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 1\nDeviceFileUID: 0\n',
    '/usr/share/vulkan/icd.d/nvidia_icd.json':
      '{"ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.4.303"}}',
    '/usr/bin/bwrap': '',
    '/usr/bin/Xvfb': '',
  };
  for (const library of ['libvulkan.so.1', 'libX11.so.6', 'libxcb.so.1', 'libXext.so.6', 'libGLX_nvidia.so.0']) {
    files[`/usr/lib/x86_64-linux-gnu/${library}`] = '';
  }
  files['/usr/lib/x86_64-linux-gnu/libnvidia-glcore.so.580.95.05'] = '';
  cards.forEach(({ pci, minor }, i) => {
    files[`/dev/nvidia${minor}`] = '';
    files[`/dev/dri/card${i + 1}`] = '';
    files[`/dev/dri/renderD${128 + i}`] = '';
    files[`/proc/driver/nvidia/gpus/${pci}/information`] = information('NVIDIA RTX A6000', pci, minor);
    files[`/sys/bus/pci/devices/${pci}/vendor`] = '0x10de\n';
    files[`/sys/bus/pci/devices/${pci}/class`] = '0x030000\n';
    files[`/sys/bus/pci/devices/${pci}/drm/card${i + 1}/dev`] = '';
    files[`/sys/bus/pci/devices/${pci}/drm/renderD${128 + i}/dev`] = '';
  });
  return files;
}

/** A server in order: commands answer as they should. */
export const IN_ORDER: MadeUp = {
  files: nvidiaFiles(),
  commands: {
    'bwrap --dev-bind / / --dev /dev -- true': { status: 0 },
    'nvidia-smi -L': { status: 0, stdout: 'GPU 0: NVIDIA RTX A6000\n' },
    'ldd /opt/google/chrome/chrome': { status: 0, stdout: '\tlibc.so.6 => /lib/libc.so.6 (0x0)\n' },
  },
  rooms: {
    '/dev/shm': { freeBytes: 2 ** 34, sizeBytes: 2 ** 34 },
    '/runs': { freeBytes: 2 ** 40, sizeBytes: 2 ** 41 },
  },
};
