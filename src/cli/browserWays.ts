// browserWays.ts: the ways to start a browser on this machine's GPU, in the order in which they are tried, and which of
// them is kept. Under the flags for a GPU a browser falls back to software SILENTLY, so an adapter alone proves nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { PupilError } from '../base/errors';
import type { DoctorReport, SessionApi } from '../session/protocol';
import type { GpuMode, LaunchedBrowser } from './browser';
import type { TriedWay } from './host';
import { hasCommand, hasNvidiaDevice, type Machine } from './machine';

export interface Way {
  /** In a few words, for `doctor`. */
  title: string;
  gpu: GpuMode;
  extraFlags?: readonly string[];
  /** In a window on a display without a screen. */
  headed?: boolean;
  /** To be waited for before it. */
  afterMs?: number;
}

/** To be tried in turn where a server's GPU does not show itself under the first. */
const VULKAN_WAYS: readonly Way[] = [
  { title: 'headless on Vulkan', gpu: 'vulkan' },
  {
    title: 'headless, Vulkan from ANGLE',
    gpu: 'vulkan',
    extraFlags: ['--enable-features=Vulkan,VulkanFromANGLE,DefaultANGLEVulkan'],
  },
  { title: "headless on the system's Vulkan", gpu: 'vulkan', extraFlags: ['--use-vulkan=native'] },
];
/** A card that nobody has used since the machine started may take longer than a browser waits: seen on an H100. */
const AGAIN: Way = { title: 'headless on Vulkan once more, with the card awake', gpu: 'vulkan', afterMs: 5_000 };
const HEADED: Way = { title: 'in a window under Xvfb', gpu: 'vulkan', headed: true };
const SOFTWARE: Way = { title: 'in software', gpu: 'software' };
const NATIVE: Way = { title: 'as on a desktop', gpu: 'native' };

/** The ways that belong to a `--gpu` mode on this machine. */
export function waysFor(mode: string, machine: Machine): readonly Way[] {
  if (mode === 'software') return [SOFTWARE];
  if (mode === 'native') return [NATIVE];
  const vulkan = [
    ...VULKAN_WAYS,
    ...(hasNvidiaDevice(machine) ? [AGAIN] : []),
    ...(hasCommand(machine, 'Xvfb') ? [HEADED] : []),
  ];
  if (mode === 'vulkan') return vulkan;
  if (machine.platform !== 'linux') return [NATIVE, SOFTWARE];
  const hasGpu = hasNvidiaDevice(machine) || machine.exists('/dev/nvidiactl') || machine.exists('/dev/dri/renderD128');
  return hasGpu ? [...vulkan, SOFTWARE] : [SOFTWARE];
}

/** What a way to start the browser gave. */
interface Opened {
  browser: Pick<LaunchedBrowser, 'close' | 'flags'>;
  session: Pick<SessionApi, 'doctor'>;
}

/** `hardware adapter nvidia ampere` */
function gaveText({ adapter, tiers, software }: DoctorReport): string {
  if (tiers.length === 0) return 'no adapter';
  const word = (key: string): string => (typeof adapter[key] === 'string' ? adapter[key] : '');
  const name = [word('vendor'), word('architecture') || word('description')].filter((part) => part !== '').join(' ');
  return `${software ? 'only a software adapter' : 'a hardware adapter'}${name === '' ? '' : ` (${name})`}`;
}

/**
 * Tries the ways in turn until one gives a hardware adapter, or software where that is what the way asks for; the last is
 * kept whatever it gives, so that `doctor` can say what.
 *
 * @throws PupilError `browser`: what the first way met, where even the last did not start.
 */
export async function firstThatServes<T extends Opened>(
  ways: readonly Way[],
  open: (way: Way) => Promise<T>,
  note: (text: string) => void,
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<{ opened: T; tried: TriedWay[] }> {
  const tried: TriedWay[] = [];
  let failure: PupilError | undefined;
  for (const [i, way] of ways.entries()) {
    const last = i === ways.length - 1;
    let opened: T | undefined;
    if (way.afterMs !== undefined) {
      note(`browser: ${way.title}, in ${way.afterMs / 1000} s`);
      await pause(way.afterMs);
    }
    try {
      opened = await open(way);
      const report = await opened.session.doctor();
      const gave = gaveText(report);
      tried.push({ way: way.title, flags: opened.browser.flags.join(' '), gave });
      const serves = report.tiers.length > 0 && (!report.software || way.gpu === 'software');
      if (serves || last) {
        if (report.software && ways.length > 1) {
          note('browser: this machine has a GPU, but the browser computes in software; `pupil doctor` says why');
        }
        return { opened, tried };
      }
      note(`browser: ${gave} with ${opened.browser.flags.slice(-3).join(' ')}; trying another way`);
    } catch (error) {
      await opened?.browser.close();
      if (!(error instanceof PupilError && error.code === 'browser')) throw error;
      failure ??= error;
      if (last) throw failure;
      tried.push({ way: way.title, flags: (way.extraFlags ?? []).join(' '), gave: error.message });
      note(`browser: ${error.message}; trying another way`);
      continue;
    }
    await opened.browser.close();
  }
  throw new PupilError('browser', 'browser: expected at least one way to start it, there is none');
}

/** The ways that were tried with what each gave, for a log; undefined where the first one served. */
export function waysText(tried: readonly TriedWay[] = []): string | undefined {
  if (tried.length < 2) return undefined;
  return tried.map(({ way, gave }) => `${way}: ${gave}`).join('; ');
}
