// patience.ts: what is done about a run that failed: relaunch it, wait for room on the disk, or give it up; and how often.
// Rules and counts only: nothing is started, waited for or written here.
import type { PlainError } from '../../base/errors';

/** What may be done after a failure. */
export type Remedy =
  /** `afresh`: with a new browser profile; the old one is set aside. */
  | { do: 'relaunch'; afterMs: number; afresh: boolean }
  | { do: 'wait for room' }
  /** `why` in words, for the person who reads the last error. */
  | { do: 'give up'; why: string };

export interface PatienceLimits {
  /** Relaunches in a row without a new checkpoint. */
  retries: number;
  /** Relaunches of one run, whatever progress it made: a run that needs more is ill. */
  most: number;
  /** The wait before the first relaunch; doubled for each further one without progress. */
  baseMs: number;
  longestMs: number;
}

export const PATIENCE: PatienceLimits = { retries: 3, most: 200, baseMs: 5_000, longestMs: 5 * 60_000 };

/** Where a run was when it failed. */
export type Stage =
  /** No device has been open yet: what is missing now was never there. */
  | 'first opening'
  /** Opened before, and now it cannot be. */
  | 'opening'
  | 'running';

type Code = PlainError['code'];

/** A relaunch is what mends these: the browser, its GPU process or the driver begins anew. */
const MENDED: ReadonlySet<Code> = new Set<Code>(['browser', 'hung', 'gpu-device-lost', 'gpu-unavailable']);
/** These may have been chance: memory that leaked is free after a relaunch, a network file system is back. Twice is none. */
const ONCE: ReadonlySet<Code> = new Set<Code>(['gpu-out-of-memory', 'gpu-validation', 'internal', 'source', 'storage']);

/** What a full disk may look like from where it failed. */
const OF_A_FULL_DISK: ReadonlySet<Code> = new Set<Code>(['storage-full', 'storage', 'browser', 'source', 'internal']);

export class Patience {
  /** Of this run so far. */
  relaunches = 0;
  /** Relaunches since the last checkpoint. */
  inVain = 0;
  /** Failures since then that are borne once. */
  private borne = new Set<Code>();

  constructor(private readonly limits: PatienceLimits = PATIENCE) {}

  /** A checkpoint was written: the failures before it are overcome. */
  progressed(): void {
    this.inVain = 0;
    this.borne.clear();
  }

  /**
   * The next thing to do. A relaunch is counted as made.
   * @param disk whether the folder's disk lacks room
   */
  after(failure: Pick<PlainError, 'code'>, stage: Stage, disk: 'full' | 'has room' = 'has room'): Remedy {
    const { code } = failure;
    const { retries, most, baseMs, longestMs } = this.limits;
    if (retries === 0) return { do: 'give up', why: 'relaunching is switched off (--retries 0)' };
    if (stage === 'first opening') return { do: 'give up', why: 'it could not be started at all' };
    if (disk === 'full' && OF_A_FULL_DISK.has(code)) return { do: 'wait for room' };
    // Room that a quota or another disk lacks cannot be measured here: as an error that may pass.
    const once = ONCE.has(code) || code === 'storage-full';
    if (!once && !MENDED.has(code)) return { do: 'give up', why: 'a relaunch would not mend it' };
    if (this.relaunches >= most) return { do: 'give up', why: `it was relaunched ${most} times` };
    if (once && this.borne.has(code))
      return { do: 'give up', why: 'it happened again in the same place after a relaunch' };
    if (this.inVain >= retries) {
      return { do: 'give up', why: `it was relaunched ${times(retries)} without getting as far as another checkpoint` };
    }
    if (once) this.borne.add(code);
    const afterMs = Math.min(longestMs, baseMs * 2 ** this.inVain);
    this.relaunches++;
    this.inVain++;
    // A profile that a crash has damaged damages every browser that is started on it.
    const afresh = code === 'storage' || (this.inVain >= 2 && (stage === 'opening' || code === 'browser'));
    return { do: 'relaunch', afterMs, afresh };
  }
}

const times = (n: number): string => (n === 1 ? 'once' : `${n} times`);
