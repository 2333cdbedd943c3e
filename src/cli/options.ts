// options.ts: flags that several verbs share, and how their texts become values. A wrong value is a `usage` error that
// names the flag, the text and what was expected.
import { join, resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { cacheFolder } from '../../scripts/browser.mjs';
import { PupilError } from '../base/errors';
import type { CacheUse, DeviceOptions } from '../session/protocol';
import { PATIENCE } from './full/patience';
import type { Host } from './host';

export interface CommonFlags {
  host: 'chrome' | 'node';
  tier?: 'auto' | 'f32' | 'f16';
  gpu: string;
  expectVendor?: string;
  requireHardware?: boolean;
  allowSoftware?: boolean;
  /** Cards of `--gpus`, by nvidia-smi's numbers; of one session at most one. */
  gpus?: readonly number[];
  json?: boolean;
  /** A folder, or false for `--no-cache`. */
  cache?: string | false;
}

/** Where packed students are kept unless a flag says otherwise: beside Pupil's other caches, for every host. */
export const studentFolder = (): string => join(cacheFolder(), 'students');

/** Flags of every verb that loads a student. */
export function withCacheFlags(command: Command): Command {
  return command
    .option(
      '--cache <dir>',
      "keep the student in this folder as it is packed for the GPU, and take it from there; without it only students from a network are kept, in Pupil's cache (see: pupil students path)",
    )
    .option('--no-cache', 'neither keep a packed student nor take one from the cache');
}

export interface RelaunchFlags {
  /** Relaunches without a new checkpoint. */
  retries: number;
  hangMinutes?: number;
}

/** What the scripts around a run rely on; docs/supervision.md has it as a table. */
const EXIT_CODES = `
Exit code: 0 finished; 1 something failed; 2 the command line is wrong; 130 stopped in order by Ctrl-C, SIGTERM or
SIGHUP, with its checkpoints: the same command (of \`run\`, with --resume) goes on.`;

/** Flags of every verb whose runs are supervised, and what its exit code says. */
export function withRelaunchFlags(command: Command): Command {
  return command
    .addHelpText('after', EXIT_CODES)
    .option(
      '--retries <n>',
      'how often in a row a run is relaunched without getting as far as another checkpoint; 0: a failure ends it',
      integerIn(0, 1000),
      PATIENCE.retries,
    )
    .option(
      '--hang-minutes <n>',
      'how long a run may say nothing at least before it is taken for hung and relaunched (default: 20, or 8 times its longest silence)',
      numberIn(0.01),
    );
}

/** What the cache flags ask of a request. */
export function cacheRequest({ cache }: CommonFlags): { cache?: CacheUse } {
  if (cache === undefined) return {};
  return { cache: cache === false ? 'off' : 'on' };
}

/** Flags of every verb that opens a GPU. */
export function withDeviceFlags(command: Command, defaultTier?: 'f32' | 'auto'): Command {
  const tier = new Option('--tier <tier>', 'precision of stored weights and activations').choices([
    'auto',
    'f32',
    'f16',
  ]);
  if (defaultTier !== undefined) tier.default(defaultTier);
  return command
    .addOption(
      new Option('--host <host>', 'where it runs: headless Chrome, or this process on Dawn')
        .choices(['chrome', 'node'])
        .default('chrome'),
    )
    .addOption(tier)
    .addOption(
      new Option(
        '--gpu <mode>',
        'how Chrome is started: with a GPU where one works, on Vulkan, as a desktop, in software',
      )
        .choices(['auto', 'vulkan', 'native', 'software'])
        .default('auto'),
    )
    .option('--expect-vendor <vendor>', 'fail unless the adapter is of this vendor, e.g. nvidia')
    .addOption(
      new Option(
        '--require-hardware',
        'fail on a software adapter; so it is anyway with --gpu vulkan, with --gpus, and where the machine has an NVIDIA card',
      ).conflicts('allowSoftware'),
    )
    .option('--allow-software', 'go on in software where a GPU was expected and none works')
    .option('--json', 'one JSON object a line on stdout');
}

/** Flags of every verb that gives a run a card of its own. */
export function withCardFlags(command: Command): Command {
  return command.option(
    '--gpus <list>',
    "NVIDIA cards by nvidia-smi's numbers, e.g. 0,1,2,3: a browser sees one of them only (needs bubblewrap)",
    cardsOf,
  );
}

/** The one card of a session, if the flags name one. @throws PupilError `usage` for several, or without a browser. */
export function cardOfSession({ gpus, host }: Pick<CommonFlags, 'gpus' | 'host'>): number | undefined {
  if (gpus === undefined) return undefined;
  if (host === 'node') {
    throw new PupilError(
      'usage',
      '--gpus: expected --host chrome, got --host node: a process cannot hide cards from itself',
      'Start the process in a sandbox or container of its own; see docs/full-runs.md.',
    );
  }
  if (gpus.length === 1) return gpus[0];
  throw new PupilError(
    'usage',
    `--gpus: expected one card for one run, got ${gpus.join(', ')}`,
    '`pupil full … --local --gpus` works on several runs at once, one a card.',
  );
}

/** Whether a software adapter is a fault: a GPU was asked for, or the machine has a card that a browser should find. */
export function expectsHardware(flags: CommonFlags, hasCard: boolean, env: NodeJS.ProcessEnv = process.env): boolean {
  if (flags.allowSoftware === true) return false;
  if (flags.requireHardware === true || flags.gpus !== undefined) return true;
  const software = /^(swiftshader|lavapipe)$/.test(env['PUPIL_NODE_ADAPTER'] ?? '');
  if (flags.host === 'node') return hasCard && !software;
  return flags.gpu === 'vulkan' || (flags.gpu !== 'software' && hasCard);
}

/** How a session opens its device. Measured kernel variants are remembered beside Pupil's other caches, for every host. */
export function deviceOptions(flags: CommonFlags, host: Pick<Host, 'folder' | 'own'>, hasCard: boolean): DeviceOptions {
  const expectVendor = flags.expectVendor ?? (flags.gpus === undefined ? undefined : 'nvidia');
  return {
    variantFiles: host.folder(join(cacheFolder(), 'variants')),
    studentFiles: host.own(typeof flags.cache === 'string' ? resolve(flags.cache) : studentFolder()),
    ...(flags.tier === undefined ? {} : { tier: flags.tier }),
    ...(expectsHardware(flags, hasCard) ? { requireHardware: true } : {}),
    ...(expectVendor === undefined ? {} : { expectVendor }),
  };
}

export const QUANTIZE = ['none', 'nf4', 'nf4-double'] as const;

/** A parser of whole numbers in [low, high] for one flag. */
export function integerIn(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text.trim()) ? Number(text) : NaN;
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
    const range = high === Number.MAX_SAFE_INTEGER ? `from ${low}` : `from ${low} to ${high}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** `k/n`: the k-th of n shards, counted from 1. */
export function shardOf(text: string): { index: number; of: number } {
  const [index = 0, of = 0] = /^(\d+)\/(\d+)$/.exec(text.trim())?.slice(1).map(Number) ?? [];
  if (index >= 1 && index <= of && of <= 10_000) return { index, of };
  throw new InvalidArgumentError('Expected k/n with 1 ≤ k ≤ n, e.g. 2/4.');
}

/** Numbers of cards, each once: `0,1,2,3`. */
export function cardsOf(text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  const cards = parts.map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : NaN));
  if (cards.some(Number.isNaN)) throw new InvalidArgumentError('Expected numbers of cards, e.g. 0,1,2,3.');
  const twice = cards.find((card, i) => cards.indexOf(card) !== i);
  if (twice !== undefined) throw new InvalidArgumentError(`Expected each card once, ${twice} is named twice.`);
  return cards;
}

/** A parser of finite numbers in [low, high] for one flag. */
export function numberIn(low: number, high = Infinity): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (Number.isFinite(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(
      `Expected a number ${high === Infinity ? `of at least ${low}` : `from ${low} to ${high}`}.`,
    );
  };
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** A number of bytes, with a unit or without: 8GB, 7.5GiB, 500MB, 1000000. */
export function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(|[kmg]i?)b?$/i.exec(text.trim()) ?? [];
  const bytes = number === '' ? NaN : Math.round(Number(number) * BYTE_UNITS[unit.toLowerCase()]!);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError('Expected a number of bytes, e.g. 8GB, 7.5GiB or 500MB.');
}
