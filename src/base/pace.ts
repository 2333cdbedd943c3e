// pace.ts: how many requests go out to one server at once and how long to wait before one is sent again: additive increase,
// multiplicative decrease; exponential back-off with jitter; `retry-after`. Rules only: no timers, no requests.
import type { RandomStream } from './random';

/**
 * How many requests may be under way. A success adds 1/limit (so one more per round), a throttled request halves, but only
 * once for those that were sent before the last halving: they tell of the same moment. Browsers hide most rate-limit
 * headers of other origins, so this is what adapts. (Chiu and Jain 1989, for why this rule is stable.)
 */
export class Concurrency {
  private size: number;
  private generation = 0;

  constructor(
    start: number,
    private readonly most: number,
  ) {
    this.size = Math.min(start, most);
  }

  /** At least 1. */
  get limit(): number {
    return Math.floor(this.size);
  }

  /** To be kept with a request that is sent now. */
  get sentIn(): number {
    return this.generation;
  }

  onSuccess(): void {
    this.size = Math.min(this.most, this.size + 1 / this.size);
  }

  onThrottled(sentIn: number): void {
    if (sentIn < this.generation) return;
    this.generation++;
    this.size = Math.max(1, this.size / 2);
  }
}

export const BACKOFF_BASE_MS = 1000;
export const BACKOFF_MOST_MS = 60_000;

/** The wait before the n-th repetition (from 1): half of min(60 s, 1 s · 2^(n−1)), and a random part of the other half. */
export function backoffMs(
  repetition: number,
  random: Pick<RandomStream, 'nextUnit'>,
  baseMs = BACKOFF_BASE_MS,
): number {
  const whole = Math.min(BACKOFF_MOST_MS, baseMs * 2 ** (repetition - 1));
  return (whole / 2) * (1 + random.nextUnit());
}

/** `retry-after`: seconds, or an HTTP date. Undefined where it says neither; 0 for a date that has passed. */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  // Date.parse reads much that is no HTTP date ("-5" is a year to it): three letters of the day come first.
  if (!/^(mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
