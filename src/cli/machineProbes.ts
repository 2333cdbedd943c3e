// machineProbes.ts: what this machine lacks for a browser with a GPU, and the command that mends it, as Debian and Ubuntu
// name things. Every probe is a function of a Machine alone, so that made-up ones can be examined. It starts no browser and
// mends nothing.
import { listCards, USER_NAMESPACES } from './cards';
import { hasCommand, hasNvidiaDevice, nvidiaMinors, type Machine } from './machine';

export interface Finding {
  /** `problem`: a GPU run will not work, or may break off. `notice`: worth knowing. */
  level: 'problem' | 'notice';
  /** What is missing or wrong. */
  what: string;
  /** The command that mends it. */
  mend: string;
}

type Probe = (machine: Machine) => Finding[];

const problem = (what: string, mend: string): Finding => ({ level: 'problem', what, mend });
const notice = (what: string, mend: string): Finding => ({ level: 'notice', what, mend });

const asRoot = (machine: Machine, command: string): string => (machine.uid === 0 ? command : `sudo ${command}`);
const install = (machine: Machine, packages: string): string => asRoot(machine, `apt-get install ${packages}`);

/** Folders of a Vulkan loader's driver files, and where clusters put NVIDIA's (scripts/vulkan.mjs hands those on). */
const ICD_FOLDERS = [
  '/usr/share/vulkan/icd.d',
  '/etc/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/usr/local/nvidia/share/vulkan/icd.d',
  '/usr/local/nvidia/vulkan/icd.d',
];
const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/lib64',
  '/usr/local/nvidia/lib64',
  '/usr/local/nvidia/lib',
  '/usr/lib/x86_64-linux-gnu/nvidia/current',
];
const BROWSER_FOLDERS = [
  '/opt/google/chrome',
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/opt/microsoft/msedge',
];

/** Whether a shared library is found: by the linker's cache, or in a usual folder. */
function hasLibrary(machine: Machine, name: string): boolean {
  const cache = machine.run('ldconfig', ['-p']);
  const cached = cache.status === 0 ? cache.stdout : machine.run('/sbin/ldconfig', ['-p']).stdout;
  const own = (machine.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return (
    cached.split('\n').some((line) => line.trim().startsWith(`${name} `)) ||
    [...own, ...LIBRARY_FOLDERS].some((folder) => machine.exists(`${folder}/${name}`))
  );
}

/** Inside a container the driver belongs to the host. */
function inContainer(machine: Machine): boolean {
  return machine.exists('/.dockerenv') || machine.exists('/run/.containerenv');
}

/** An NVIDIA card on the bus, whatever its driver does. */
function hasNvidiaOnBus(machine: Machine): boolean {
  return machine.list('/sys/bus/pci/devices').some((address) => {
    const base = `/sys/bus/pci/devices/${address}`;
    return machine.read(`${base}/vendor`)?.trim() === '0x10de' && /^0x03/.test(machine.read(`${base}/class`) ?? '');
  });
}

/** `580.159.04` of the loaded kernel module. */
function moduleVersion(machine: Machine): string | undefined {
  return /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(machine.read('/proc/driver/nvidia/version') ?? '')?.[1];
}

const isUbuntu = (machine: Machine): boolean => /^ID=ubuntu$/m.test(machine.read('/etc/os-release') ?? '');

/** The packages with NVIDIA's Vulkan library, of the loaded driver's version where Ubuntu names one. */
function vulkanPackages(machine: Machine): string {
  if (!isUbuntu(machine)) return 'nvidia-vulkan-icd';
  return `libnvidia-gl-${moduleVersion(machine)?.split('.')[0] ?? '580'}-server`;
}

const CONTAINER_GRAPHICS =
  'start the container with --gpus all -e NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility (NVIDIA Container Toolkit)';

/** The driver's kernel module and its device files. */
const driverFiles: Probe = (machine) => {
  if (hasNvidiaDevice(machine)) {
    const files = [...nvidiaMinors(machine).map((minor) => `/dev/nvidia${minor}`), '/dev/nvidiactl'];
    const missing = files.filter((file) => !machine.exists(file));
    if (missing.length > 0)
      return [problem(`${missing.join(', ')} is missing`, asRoot(machine, 'nvidia-modprobe -u -c 0'))];
    const closed = files.filter((file) => !machine.writable(file));
    if (closed.length === 0) return [];
    const mend = 'sudo usermod -aG video,render $USER, then log in anew';
    return [problem(`this user may not open ${closed.join(', ')}`, mend)];
  }
  if (!hasNvidiaOnBus(machine)) return [];
  if (inContainer(machine))
    return [problem('an NVIDIA card, but no /dev/nvidia0 in this container', CONTAINER_GRAPHICS)];
  if (machine.exists('/proc/driver/nvidia/version')) {
    return [
      problem('the NVIDIA driver is loaded, but there is no /dev/nvidia0', asRoot(machine, 'nvidia-modprobe -u -c 0')),
    ];
  }
  const driver = isUbuntu(machine)
    ? 'sudo ubuntu-drivers install --gpgpu'
    : `${install(machine, 'nvidia-driver')} (component non-free)`;
  return [problem('an NVIDIA card, but its driver is not loaded', `${driver}, then reboot; or sudo modprobe nvidia`)];
};

/** Rights on the render nodes, for cards of other vendors. NVIDIA's driver works without. */
const renderNodes: Probe = (machine) => {
  const nodes = machine.list('/dev/dri').filter((name) => /^renderD\d+$/.test(name));
  const closed = nodes.map((name) => `/dev/dri/${name}`).filter((file) => !machine.writable(file));
  if (closed.length === 0) return [];
  const say = hasNvidiaDevice(machine) ? notice : problem;
  return [say(`this user may not open ${closed.join(', ')}`, 'sudo usermod -aG render,video $USER, then log in anew')];
};

/** The Vulkan loader. */
const loader: Probe = (machine) => {
  if (!hasNvidiaDevice(machine) || hasLibrary(machine, 'libvulkan.so.1')) return [];
  const mend = install(machine, 'libvulkan1');
  return BROWSER_FOLDERS.some((folder) => machine.exists(`${folder}/libvulkan.so.1`))
    ? [notice('no Vulkan loader (libvulkan.so.1) but the one that comes with the browser', mend)]
    : [problem('no Vulkan loader (libvulkan.so.1)', mend)];
};

/** What NVIDIA's library links against, also where there is no screen. */
const driverLibraries: Probe = (machine) => {
  if (!hasNvidiaDevice(machine)) return [];
  const wanted = { 'libX11.so.6': 'libx11-6', 'libxcb.so.1': 'libxcb1', 'libXext.so.6': 'libxext6' };
  const missing = Object.entries(wanted).filter(([library]) => !hasLibrary(machine, library));
  if (missing.length === 0) return [];
  return [
    problem(
      `${missing.map(([library]) => library).join(', ')} missing: NVIDIA's Vulkan library cannot be loaded`,
      install(machine, missing.map(([, name]) => name).join(' ')),
    ),
  ];
};

/** The file by which a Vulkan loader finds NVIDIA's library, and that library. */
const driverFileOfVulkan: Probe = (machine) => {
  if (!hasNvidiaDevice(machine)) return [];
  const named = (machine.env['VK_DRIVER_FILES'] ?? machine.env['VK_ICD_FILENAMES'] ?? '')
    .split(':')
    .filter((file) => file !== '');
  const gone = named.filter((file) => !machine.exists(file));
  const variables = 'unset VK_DRIVER_FILES VK_ICD_FILENAMES';
  if (gone.length > 0) return [problem(`VK_DRIVER_FILES names ${gone.join(', ')}, which is not there`, variables)];
  const software = named.length > 0 && named.every((file) => /lvp|swiftshader|gfxstream/.test(file));
  if (software) return [problem(`VK_DRIVER_FILES names only software: ${named.join(', ')}`, variables)];
  const files =
    named.length > 0
      ? named
      : ICD_FOLDERS.flatMap((folder) =>
          machine.list(folder).flatMap((name) => (/nvidia.*\.json$/.test(name) ? [`${folder}/${name}`] : [])),
        );
  if (files.length === 0) {
    return [
      problem(
        'no Vulkan driver file of NVIDIA (nvidia_icd.json)',
        inContainer(machine) ? CONTAINER_GRAPHICS : install(machine, vulkanPackages(machine)),
      ),
    ];
  }
  const libraries = files.flatMap((file) => /"library_path"\s*:\s*"([^"]+)"/.exec(machine.read(file) ?? '')?.[1] ?? []);
  const found = libraries.some((library) =>
    library.startsWith('/') ? machine.exists(library) : hasLibrary(machine, library),
  );
  if (libraries.length === 0 || found) return [];
  return [
    problem(
      `${files[0]} names ${libraries.join(', ')}, which is not there`,
      inContainer(machine) ? CONTAINER_GRAPHICS : install(machine, vulkanPackages(machine)),
    ),
  ];
};

/** The kernel's part of the driver and its libraries must be of one version; an update without a reboot parts them. */
const driverVersions: Probe = (machine) => {
  const loaded = moduleVersion(machine);
  if (loaded === undefined) return [];
  const versions = LIBRARY_FOLDERS.flatMap((folder) =>
    machine.list(folder).flatMap((name) => /^libnvidia-glcore\.so\.(\d+(?:\.\d+)+)$/.exec(name)?.[1] ?? []),
  );
  const mismatch = machine.run('nvidia-smi', ['-L']);
  const told = /Driver\/library version mismatch/.test(mismatch.stdout + mismatch.stderr);
  if (!told && (versions.length === 0 || versions.includes(loaded))) return [];
  const of = versions.length === 0 ? 'another version' : [...new Set(versions)].join(', ');
  return [
    problem(
      `the loaded NVIDIA driver is ${loaded}, its libraries are ${of}`,
      inContainer(machine)
        ? 'recreate the container: it holds libraries of an older driver'
        : asRoot(machine, 'reboot'),
    ),
  ];
};

/** What hides the other cards from a browser (`--gpus`). */
const sandbox: Probe = (machine) => {
  const cards = listCards(machine).length;
  if (cards < 2) return [];
  if (!hasCommand(machine, 'bwrap')) {
    return [
      problem(`${cards} cards, but no bubblewrap: --gpus cannot give each run its own`, install(machine, 'bubblewrap')),
    ];
  }
  const tried = machine.run('bwrap', ['--dev-bind', '/', '/', '--dev', '/dev', '--', 'true']);
  if (tried.status === 0) return [];
  return [problem(`bubblewrap does not start: ${tried.stderr.trim().split('\n')[0] ?? ''}`, USER_NAMESPACES)];
};

/** The display of the last way that is tried. */
const display: Probe = (machine) =>
  machine.platform !== 'linux' || !hasNvidiaDevice(machine) || hasCommand(machine, 'Xvfb')
    ? []
    : [notice('no Xvfb: a browser in a window, the last way to a GPU, is not tried', install(machine, 'xvfb'))];

const SHARED_MEMORY_BYTES = 256 * 2 ** 20;

/** Chrome is told not to use /dev/shm for its own; drivers and other programs do. */
const sharedMemory: Probe = (machine) => {
  const room = machine.platform === 'linux' ? machine.room('/dev/shm') : undefined;
  if (room === undefined || room.sizeBytes >= SHARED_MEMORY_BYTES) return [];
  const mend = inContainer(machine)
    ? 'start the container with --shm-size=1g'
    : asRoot(machine, 'mount -o remount,size=1G /dev/shm');
  return [notice(`/dev/shm holds only ${Math.round(room.sizeBytes / 2 ** 20)} MiB`, mend)];
};

/** Chrome refuses its own sandbox to root, and many servers refuse it to users: Pupil starts it without one. */
const rootUser: Probe = (machine) =>
  machine.platform === 'linux' && machine.uid === 0
    ? [
        notice(
          'the browser runs as root and without a sandbox of its own (--no-sandbox)',
          'give it a user: adduser pupil; usermod -aG video,render pupil',
        ),
      ]
    : [];

/** Packages of the libraries that a Chrome without its package misses. */
const BROWSER_LIBRARIES: Readonly<Record<string, string>> = {
  'libnss3.so': 'libnss3',
  'libnspr4.so': 'libnspr4',
  'libatk-1.0.so.0': 'libatk1.0-0',
  'libatk-bridge-2.0.so.0': 'libatk-bridge2.0-0',
  'libatspi.so.0': 'libatspi2.0-0',
  'libcups.so.2': 'libcups2',
  'libdbus-1.so.3': 'libdbus-1-3',
  'libdrm.so.2': 'libdrm2',
  'libgbm.so.1': 'libgbm1',
  'libasound.so.2': 'libasound2',
  'libpango-1.0.so.0': 'libpango-1.0-0',
  'libcairo.so.2': 'libcairo2',
  'libxkbcommon.so.0': 'libxkbcommon0',
  'libXcomposite.so.1': 'libxcomposite1',
  'libXdamage.so.1': 'libxdamage1',
  'libXfixes.so.3': 'libxfixes3',
  'libXrandr.so.2': 'libxrandr2',
  'libX11.so.6': 'libx11-6',
  'libxcb.so.1': 'libxcb1',
  'libXext.so.6': 'libxext6',
};

/** The browser, and the libraries that its program links against. */
export function probeBrowser(machine: Machine, browser: string | undefined): Finding[] {
  if (browser === undefined) {
    const mend = isUbuntu(machine)
      ? "install the .deb of https://www.google.com/chrome (Ubuntu's chromium is a snap, which sees no GPU), or set PUPIL_BROWSER"
      : `${install(machine, 'chromium')}, or set PUPIL_BROWSER`;
    return [problem('no Chrome, Chromium or Edge was found', mend)];
  }
  if (machine.platform !== 'linux') return [];
  const missing = machine
    .run('ldd', [browser])
    .stdout.split('\n')
    .flatMap((line) => /^\s*(\S+) => not found/.exec(line)?.[1] ?? []);
  if (missing.length === 0) return [];
  const packages = missing.map((library) => BROWSER_LIBRARIES[library]);
  const known = packages.filter((name) => name !== undefined);
  return [
    problem(
      `${browser} misses ${missing.join(', ')}`,
      known.length === packages.length
        ? install(machine, known.join(' '))
        : `${install(machine, 'apt-file')}; apt-file update; apt-file search ${missing[packages.indexOf(undefined)]!}`,
    ),
  ];
}

/** A browser's profile with its IndexedDB of checkpoints; a 7B student's adapter and optimiser are about 2 GiB. */
const PROFILE_BYTES = 4 * 2 ** 30;

/** The disk on which the browser keeps its profile and a run its checkpoints. */
export function probeDisk(machine: Machine, folder: string): Finding[] {
  const room = machine.room(folder);
  if (room === undefined || room.freeBytes >= PROFILE_BYTES) return [];
  const what = `only ${(room.freeBytes / 2 ** 30).toFixed(1)} GiB free in ${folder}, where profiles and checkpoints go`;
  return [problem(what, 'make room, or name a folder on another disk: --out DIR (and TMPDIR=DIR)')];
}

const PROBES: readonly Probe[] = [
  driverFiles,
  renderNodes,
  loader,
  driverLibraries,
  driverFileOfVulkan,
  driverVersions,
  sandbox,
  display,
  sharedMemory,
  rootUser,
];

/**
 * Everything that this machine lacks; problems first. `browser` is the executable that was found, absent where none is
 * needed; `folders` are those that a run fills.
 */
export function examineMachine(
  machine: Machine,
  { browser, folders }: { browser?: { executable: string | undefined }; folders: readonly string[] },
): Finding[] {
  const found = [
    ...(browser === undefined ? [] : probeBrowser(machine, browser.executable)),
    ...(machine.platform === 'linux' ? PROBES.flatMap((probe) => probe(machine)) : []),
    ...folders.flatMap((folder) => probeDisk(machine, folder)),
  ];
  return [...found.filter(({ level }) => level === 'problem'), ...found.filter(({ level }) => level === 'notice')];
}
