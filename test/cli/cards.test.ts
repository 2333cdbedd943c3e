// cards.test.ts: one card for one browser: the cards of made-up machines, the command line that hides the others, and what it
// is checked for. The sandbox itself is in sandbox.test.ts.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cardMounts,
  cardOf,
  cardsInUse,
  dockerCommand,
  driverParameters,
  expectOnly,
  expectSandbox,
  listCards,
  sandboxArguments,
  wrapperScript,
} from '../../src/cli/cards';
import { cardOfSession, cardsOf, deviceOptions, expectsHardware, type CommonFlags } from '../../src/cli/options';
import { confirmCard } from '../../src/cli/pinnedBrowser';
import { pupil } from './fakeSession';
import { FOUR_CARDS, IN_ORDER, madeUpMachine, nvidiaFiles } from './madeUpMachine';

const SERVER = madeUpMachine(IN_ORDER);

/** nvidia-smi's long form of the four cards, as a container without the driver's files shows it. */
const LONG_FORM = FOUR_CARDS.map(({ pci, minor }) =>
  [
    `GPU 0000${pci.toUpperCase()}`,
    '    Product Name                          : NVIDIA RTX A6000',
    `    GPU UUID                              : GPU-${minor}`,
    `    Minor Number                          : ${minor}`,
    '',
  ].join('\n'),
).join('');

describe('the cards of a machine', () => {
  it('are numbered by bus address as nvidia-smi does, whatever the numbers of their device files', () => {
    expect(listCards(SERVER).map(({ index, minor, pci, name }) => [index, minor, pci, name])).toEqual([
      [0, 2, '0000:01:00.0', 'NVIDIA RTX A6000'],
      [1, 0, '0000:25:00.0', 'NVIDIA RTX A6000'],
      [2, 1, '0000:81:00.0', 'NVIDIA RTX A6000'],
      [3, 3, '0000:c1:00.0', 'NVIDIA RTX A6000'],
    ]);
  });

  it('are read from nvidia-smi where the driver’s files are hidden, and without both from /dev', () => {
    const devices = {
      '/dev/nvidiactl': '',
      '/dev/nvidia0': '',
      '/dev/nvidia1': '',
      '/dev/nvidia2': '',
      '/dev/nvidia3': '',
    };
    const hidden = madeUpMachine({ files: devices, commands: { 'nvidia-smi -q': { status: 0, stdout: LONG_FORM } } });
    expect(listCards(hidden).map(({ minor, pci }) => [minor, pci])).toEqual(
      FOUR_CARDS.map(({ minor, pci }) => [minor, pci]),
    );
    expect(listCards(madeUpMachine({ files: devices })).map(({ index, minor }) => [index, minor])).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it('are only those whose device file is here', () => {
    const { '/dev/nvidia0': _, ...files } = nvidiaFiles();
    expect(listCards(madeUpMachine({ files })).map(({ minor }) => minor)).toEqual([2, 1, 3]);
    expect(listCards(madeUpMachine())).toEqual([]);
  });

  it('that --gpus names and that are not there are a usage error with those that are', () => {
    expect(() => cardOf(SERVER, 4)).toThrow(
      /got 4; it has GPU 0: NVIDIA RTX A6000, 0000:01:00.0, \/dev\/nvidia2; GPU 1/,
    );
    expect(() => cardOf(madeUpMachine(), 0)).toThrow(/no \/dev\/nvidia0/);
  });
});

describe('the command line', () => {
  it('shows one of four identical cards with its own render node, and what all share', () => {
    const mounts = cardMounts(SERVER, cardOf(SERVER, 1));
    expect(mounts.map(({ to }) => to)).toEqual([
      '/dev/nvidia0',
      '/dev/nvidiactl',
      '/dev/nvidia-uvm',
      '/dev/nvidia-uvm-tools',
      '/dev/dri/card2',
      '/dev/dri/renderD129',
      '/dev/shm',
    ]);
    expect(sandboxArguments(mounts, { root: false, params: '/tmp/params' }).join(' ')).toBe(
      '--die-with-parent --dev-bind / / --dev /dev --dev-bind /dev/nvidia0 /dev/nvidia0 ' +
        '--dev-bind /dev/nvidiactl /dev/nvidiactl --dev-bind /dev/nvidia-uvm /dev/nvidia-uvm ' +
        '--dev-bind /dev/nvidia-uvm-tools /dev/nvidia-uvm-tools --dev-bind /dev/dri/card2 /dev/dri/card2 ' +
        '--dev-bind /dev/dri/renderD129 /dev/dri/renderD129 --dev-bind /dev/shm /dev/shm ' +
        '--ro-bind /tmp/params /proc/driver/nvidia/params',
    );
  });

  it('shares the folder of MIG and the mode-setting device where a machine has them', () => {
    const more = { ...nvidiaFiles(), '/dev/nvidia-caps/nvidia-cap1': '', '/dev/nvidia-modeset': '' };
    const machine = madeUpMachine({ files: more });
    const paths = cardMounts(machine, cardOf(machine, 0)).map(({ to }) => to);
    expect(paths).toEqual(expect.arrayContaining(['/dev/nvidia2', '/dev/nvidia-caps', '/dev/nvidia-modeset']));
  });

  it('keeps anybody from making the files of the other cards', () => {
    expect(driverParameters(SERVER)).toBe('ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 0\nDeviceFileUID: 0\n');
    expect(driverParameters(madeUpMachine())).toBeUndefined();
    expect(sandboxArguments([], { root: true })).toEqual(expect.arrayContaining(['--cap-drop', 'CAP_MKNOD']));
    expect(sandboxArguments([], { root: false })).not.toContain('--cap-drop'); // bubblewrap allows it to root only
  });

  it('is a program that hands its arguments on; odd paths stay one word', () => {
    const script = wrapperScript(['--dev', '/dev'], "/opt/my browser's/chrome");
    expect(script).toContain(`exec bwrap --dev /dev -- '/opt/my browser'\\''s/chrome' "$@"\n`);
  });

  it('by Docker names the card by what never changes', () => {
    expect(dockerCommand(cardOf(SERVER, 2), 'run smoke')).toContain(`--gpus '"device=GPU-00000001-aaaa`);
  });
});

describe('what is checked', () => {
  const card = cardOf(SERVER, 1);

  it('bubblewrap is there and may work', () => {
    expect(() => expectSandbox(SERVER, card)).not.toThrow();
    const { '/usr/bin/bwrap': _, ...files } = nvidiaFiles();
    expect(() => expectSandbox(madeUpMachine({ files }), card)).toThrow(/not installed/);
    const forbidden = madeUpMachine({
      ...IN_ORDER,
      commands: {
        'bwrap --dev-bind / / --dev /dev -- true': { status: 1, stderr: 'bwrap: setting up uid map: denied\n' },
      },
    });
    expect(() => expectSandbox(forbidden, card)).toThrow(/setting up uid map: denied/);
  });

  it.each([
    ['only its card: fine', 'null\nnvidia0\nnvidiactl\n', undefined],
    ['another card', 'nvidia1\nnvidiactl\n', /sees nvidia1/],
    ['two cards', 'nvidia0\nnvidia1\n', /sees nvidia0, nvidia1/],
    ['no card', 'null\n', /sees none/],
  ])('inside is %s', (_, stdout, error) => {
    const machine = madeUpMachine({ ...IN_ORDER, commands: { 'bwrap --x -- ls -1 /dev': { status: 0, stdout } } });
    const look = (): void => expectOnly(machine, ['--x'], card);
    if (error === undefined) expect(look).not.toThrow();
    else expect(look).toThrow(error);
  });

  const processes = (used: Record<string, number>): string =>
    FOUR_CARDS.map(({ pci }) =>
      [
        `GPU 0000${pci.toUpperCase()}`,
        '    Processes',
        '        GPU instance ID                   : N/A',
        `        Process ID                        : ${used[pci] ?? 7}`,
        '            Type                          : G',
        '',
      ].join('\n'),
    ).join('');

  it('the card that nvidia-smi names for the browser’s process', () => {
    const on = (pci: string) =>
      madeUpMachine({ commands: { 'nvidia-smi -q -d PIDS': { status: 0, stdout: processes({ [pci]: 4242 }) } } });
    expect(cardsInUse(on('0000:25:00.0'), [4242])).toEqual(['0000:25:00.0']);
    expect(confirmCard(on('0000:25:00.0'), card, [4242])).toContain('confirmed by nvidia-smi');
    expect(() => confirmCard(on('0000:81:00.0'), card, [4242])).toThrow(/finds it on 0000:81:00.0/);
    expect(confirmCard(on('0000:81:00.0'), card, [1])).toContain('tells nothing');
    expect(confirmCard(madeUpMachine(), card, [4242])).toContain('tells nothing');
  });
});

describe('flags', () => {
  const flags: CommonFlags = { host: 'chrome', gpu: 'auto' };

  it('--gpus takes each card once', () => {
    expect(cardsOf('0,1, 3')).toEqual([0, 1, 3]);
    expect(() => cardsOf('0,1,0')).toThrow(/0 is named twice/);
    for (const text of ['', 'all', '0,', '-1', '1.5']) expect(() => cardsOf(text)).toThrow(/Expected numbers of cards/);
  });

  it('--gpus gives one session one card, in a browser', async () => {
    expect(cardOfSession({ host: 'chrome', gpus: [3] })).toBe(3);
    expect(cardOfSession({ host: 'chrome' })).toBeUndefined();
    expect(() => cardOfSession({ host: 'chrome', gpus: [0, 1] })).toThrow(/one card for one run, got 0, 1/);
    expect(() => cardOfSession({ host: 'node', gpus: [0] })).toThrow(/--host node/);
    const { hosts, calls } = await pupil(['doctor', '--gpus', '2'], {}, { machine: SERVER });
    expect(hosts[0]).toMatchObject({ card: 2 });
    expect(calls[0]?.args[0]).toMatchObject({ requireHardware: true, expectVendor: 'nvidia' });
    const several = await pupil(['doctor', '--gpus', '0,1']);
    expect([several.code, several.hosts.length]).toEqual([2, 0]);
  });

  it('a fall-back to software stops where a GPU was asked for, or where there is a card', () => {
    const stops = (more: Partial<CommonFlags>, hasCard: boolean, env: NodeJS.ProcessEnv = {}): boolean =>
      expectsHardware({ ...flags, ...more }, hasCard, env);
    expect(stops({}, false)).toBe(false);
    expect(stops({}, true)).toBe(true);
    expect(stops({ gpu: 'vulkan' }, false)).toBe(true);
    expect(stops({ gpus: [0] }, false)).toBe(true);
    expect(stops({ requireHardware: true }, false)).toBe(true);
    expect(stops({ gpu: 'software' }, true)).toBe(false);
    expect(stops({ allowSoftware: true, gpu: 'vulkan', gpus: [0] }, true)).toBe(false);
    expect(stops({ host: 'node' }, true)).toBe(true);
    expect(stops({ host: 'node' }, true, { PUPIL_NODE_ADAPTER: 'swiftshader' })).toBe(false);
    const root = { kind: 'disk', directory: '' } as const;
    const host = { folder: () => root, own: () => root };
    expect(deviceOptions({ ...flags, gpus: [0], expectVendor: 'amd' }, host, true)).toMatchObject({
      requireHardware: true,
      expectVendor: 'amd',
    });
  });

  it.each(['run', 'doctor', 'check'])('%s hands that to the session, unless --allow-software', async (verb) => {
    const args =
      verb === 'run' ? ['run', 'smoke', '--out', join(mkdtempSync(join(tmpdir(), 'pupil-flags-')), 'run')] : [verb];
    const open = (): never => {
      throw new Error('far enough');
    };
    const strict = await pupil(args, { open }, { machine: SERVER });
    expect(strict.calls[0]?.args[0]).toMatchObject({ requireHardware: true });
    const lenient = await pupil([...args, '--allow-software'], { open }, { machine: SERVER });
    expect(lenient.calls[0]?.args[0]).not.toHaveProperty('requireHardware');
    const both = await pupil([...args, '--allow-software', '--require-hardware'], { open });
    expect([both.code, both.calls.length]).toEqual([2, 0]);
  });
});
