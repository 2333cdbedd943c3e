// machineProbes.test.ts: what `doctor` finds missing on made-up machines, and the command that mends it.
import { describe, expect, it } from 'vitest';
import { examineMachine, type Finding } from '../../src/cli/machineProbes';
import { IN_ORDER, madeUpMachine, nvidiaFiles, type MadeUp } from './madeUpMachine';

const CHROME = '/opt/google/chrome/chrome';

function examine(made: MadeUp, executable: string | undefined = CHROME): Finding[] {
  return examineMachine(madeUpMachine(made), { browser: { executable }, folders: ['/runs'] });
}

/** The machine in order with some files taken away and others put there. */
function changed(files: Record<string, string | undefined>, more: Omit<MadeUp, 'files'> = {}): MadeUp {
  const all = Object.entries({ ...nvidiaFiles(), ...files });
  const commands = { ...IN_ORDER.commands, ...more.commands };
  const kept = all.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...IN_ORDER, ...more, commands, files: Object.fromEntries(kept) };
}

const LIB = '/usr/lib/x86_64-linux-gnu';
const UBUNTU = { '/etc/os-release': 'NAME="Ubuntu"\nID=ubuntu\n' };
const NO_CARD_FILES = Object.fromEntries(
  Object.keys(nvidiaFiles()).flatMap((file) => (file.startsWith('/dev/nvidia') ? [[file, undefined]] : [])),
);
const NO_DRIVER = Object.fromEntries(
  Object.keys(nvidiaFiles()).flatMap((file) => (/^\/(dev|proc)\/.*nvidia/.test(file) ? [[file, undefined]] : [])),
);

describe('a machine in order', () => {
  it('lacks nothing', () => {
    expect(examine(IN_ORDER)).toEqual([]);
  });

  it('without a GPU and with a browser has no problem either', () => {
    expect(examine({ commands: IN_ORDER.commands!, rooms: IN_ORDER.rooms! })).toEqual([]);
  });
});

describe('one thing is missing, and one finding says which command mends it:', () => {
  const cases: [string, MadeUp, level: Finding['level'], what: string, mend: string][] = [
    [
      'the driver on Debian',
      changed(NO_DRIVER),
      'problem',
      'driver is not loaded',
      'sudo apt-get install nvidia-driver',
    ],
    ['the driver on Ubuntu', changed({ ...NO_DRIVER, ...UBUNTU }), 'problem', 'driver is not loaded', 'ubuntu-drivers'],
    ['the device files', changed(NO_CARD_FILES), 'problem', 'no /dev/nvidia0', 'sudo nvidia-modprobe -u -c 0'],
    [
      'the card in a container',
      changed({ ...NO_CARD_FILES, '/.dockerenv': '' }),
      'problem',
      'in this container',
      'NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility',
    ],
    ['nvidiactl', changed({ '/dev/nvidiactl': undefined }), 'problem', '/dev/nvidiactl is missing', 'nvidia-modprobe'],
    [
      'rights on the card',
      { ...IN_ORDER, closed: ['/dev/nvidia1'] },
      'problem',
      'may not open /dev/nvidia1',
      'usermod -aG video,render',
    ],
    [
      'rights on a render node, where NVIDIA needs none',
      { ...IN_ORDER, closed: ['/dev/dri/renderD129'] },
      'notice',
      '/dev/dri/renderD129',
      'usermod -aG render,video',
    ],
    [
      'rights on a render node of another vendor',
      { ...IN_ORDER, files: { '/dev/dri/renderD128': '' }, closed: ['/dev/dri/renderD128'] },
      'problem',
      '/dev/dri/renderD128',
      'usermod -aG render,video',
    ],
    [
      'the loader',
      changed({ [`${LIB}/libvulkan.so.1`]: undefined }),
      'problem',
      'libvulkan.so.1',
      'apt-get install libvulkan1',
    ],
    [
      'the loader, but for the browser’s',
      changed({ [`${LIB}/libvulkan.so.1`]: undefined, '/opt/google/chrome/libvulkan.so.1': '' }),
      'notice',
      'comes with the browser',
      'apt-get install libvulkan1',
    ],
    [
      'two libraries of X',
      changed({ [`${LIB}/libX11.so.6`]: undefined, [`${LIB}/libXext.so.6`]: undefined }),
      'problem',
      'libX11.so.6, libXext.so.6 missing',
      'apt-get install libx11-6 libxext6',
    ],
    [
      'the driver file on Debian',
      changed({ '/usr/share/vulkan/icd.d/nvidia_icd.json': undefined }),
      'problem',
      'nvidia_icd.json',
      'apt-get install nvidia-vulkan-icd',
    ],
    [
      'the driver file on Ubuntu',
      changed({ '/usr/share/vulkan/icd.d/nvidia_icd.json': undefined, ...UBUNTU }),
      'problem',
      'nvidia_icd.json',
      'apt-get install libnvidia-gl-580-server',
    ],
    [
      'the library behind the driver file',
      changed({ [`${LIB}/libGLX_nvidia.so.0`]: undefined }),
      'problem',
      'libGLX_nvidia.so.0, which is not there',
      'nvidia-vulkan-icd',
    ],
    [
      'a named driver file',
      { ...IN_ORDER, env: { VK_ICD_FILENAMES: '/gone.json' } },
      'problem',
      '/gone.json',
      'unset VK_DRIVER_FILES VK_ICD_FILENAMES',
    ],
    [
      'a named driver that is a GPU’s',
      changed({ '/x/lvp_icd.json': '{}' }, { env: { VK_DRIVER_FILES: '/x/lvp_icd.json' } }),
      'problem',
      'only software',
      'unset',
    ],
    [
      'the same version of module and libraries',
      changed({ [`${LIB}/libnvidia-glcore.so.580.95.05`]: undefined, [`${LIB}/libnvidia-glcore.so.580.126.01`]: '' }),
      'problem',
      'driver is 580.95.05, its libraries are 580.126.01',
      'sudo reboot',
    ],
    [
      'the same version, as nvidia-smi tells it',
      changed({}, { commands: { 'nvidia-smi -L': { status: 18, stderr: 'Driver/library version mismatch\n' } } }),
      'problem',
      'driver is 580.95.05',
      'sudo reboot',
    ],
    [
      'bubblewrap',
      changed({ '/usr/bin/bwrap': undefined }),
      'problem',
      '4 cards, but no bubblewrap',
      'apt-get install bubblewrap',
    ],
    [
      'user namespaces',
      changed(
        {},
        { commands: { 'bwrap --dev-bind / / --dev /dev -- true': { status: 1, stderr: 'bwrap: No permissions' } } },
      ),
      'problem',
      'bwrap: No permissions',
      'apparmor_restrict_unprivileged_userns=0',
    ],
    ['Xvfb', changed({ '/usr/bin/Xvfb': undefined }), 'notice', 'no Xvfb', 'apt-get install xvfb'],
    [
      'shared memory',
      { ...IN_ORDER, rooms: { '/dev/shm': { freeBytes: 2 ** 26, sizeBytes: 2 ** 26 } } },
      'notice',
      '64 MiB',
      'remount,size=1G',
    ],
    [
      'shared memory in a container',
      changed({ '/.dockerenv': '' }, { rooms: { '/dev/shm': { freeBytes: 2 ** 26, sizeBytes: 2 ** 26 } } }),
      'notice',
      '64 MiB',
      '--shm-size=1g',
    ],
    [
      'room',
      { ...IN_ORDER, rooms: { '/runs': { freeBytes: 2 ** 30, sizeBytes: 2 ** 40 } } },
      'problem',
      'only 1.0 GiB free in /runs',
      '--out DIR',
    ],
    ['a user other than root', { ...IN_ORDER, uid: 0 }, 'notice', '--no-sandbox', 'adduser pupil'],
    [
      'libraries of the browser',
      changed(
        {},
        { commands: { [`ldd ${CHROME}`]: { stdout: '\tlibnss3.so => not found\n\tlibgbm.so.1 => not found\n' } } },
      ),
      'problem',
      'misses libnss3.so, libgbm.so.1',
      'apt-get install libnss3 libgbm1',
    ],
  ];

  it.each(cases)('%s', (_, made, level, what, mend) => {
    const found = examine(made);
    expect(found).toHaveLength(1);
    expect(found[0]).toEqual({
      level,
      what: expect.stringContaining(what) as string,
      mend: expect.stringContaining(mend) as string,
    });
  });

  it('the browser itself; a snap sees no GPU, so Ubuntu gets another command', () => {
    expect(examineMachine(madeUpMachine(IN_ORDER), { browser: { executable: undefined }, folders: [] })).toEqual([
      {
        level: 'problem',
        what: 'no Chrome, Chromium or Edge was found',
        mend: 'sudo apt-get install chromium, or set PUPIL_BROWSER',
      },
    ]);
    const ubuntu = examineMachine(madeUpMachine(changed(UBUNTU)), { browser: { executable: undefined }, folders: [] });
    expect(ubuntu[0]?.mend).toContain('snap');
  });
});

it('root is told commands without sudo, and problems come before notices', () => {
  const found = examine(changed({ '/usr/bin/Xvfb': undefined, [`${LIB}/libvulkan.so.1`]: undefined }, { uid: 0 }));
  expect(found.map(({ level }) => level)).toEqual(['problem', 'notice', 'notice']);
  expect(found[0]?.mend).toBe('apt-get install libvulkan1');
});

it('a library in the linker’s cache is found wherever it lies', () => {
  const made = changed(
    { [`${LIB}/libvulkan.so.1`]: undefined },
    {
      commands: {
        'ldconfig -p': { status: 0, stdout: '\tlibvulkan.so.1 (libc6,x86-64) => /odd/place/libvulkan.so.1\n' },
      },
    },
  );
  expect(examine(made)).toEqual([]);
});
