// fakeFetch.ts: the fake API in this process, on a virtual clock: hours pass in microseconds, and always in the same order.
// Nothing in it waits for anything real. Tests only.
import type { Clock } from '../../src/teachers/apiRequest';
import type { FakeApi } from './fakeApi';

interface Timer {
  at: number;
  end: () => void;
}

/** How long no timer may lie ahead: far longer than a hash takes on a machine with other work. */
const PATIENCE_MS = 5000;
/** So often at once, then a millisecond apart. */
const IDLE_TURNS = 500;

/** A clock that stands still until it is moved to the next thing that waits for it. */
export class VirtualClock implements Clock {
  private timers: Timer[] = [];

  constructor(private time = Date.UTC(2026, 0, 1)) {}

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const timer: Timer = {
        at: this.time + ms,
        end: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.timers.splice(this.timers.indexOf(timer), 1);
        resolve();
      };
      signal?.addEventListener('abort', onAbort);
      this.timers.push(timer);
    });
  }

  /**
   * Lets time pass until the work is done, or `until`; undefined then. Throws where the work is not done and nothing that
   * it could wait for lies ahead.
   */
  async drive<T>(work: Promise<T>, until = Infinity): Promise<T | undefined> {
    let result: { value: T } | { error: unknown } | undefined;
    work.then(
      (value) => (result = { value }),
      (error: unknown) => (result = { error }),
    );
    const start = this.time;
    for (let [idle, idleSince] = [0, 0]; ;) {
      // All that can happen at this moment happens; what threads compute (hashes) takes real time.
      await new Promise((resolve) => (idle < IDLE_TURNS ? setImmediate(resolve) : setTimeout(resolve, 1)));
      if (result !== undefined) {
        if ('error' in result) throw result.error;
        return result.value;
      }
      const next = this.timers.reduce<Timer | undefined>((a, b) => (a === undefined || b.at < a.at ? b : a), undefined);
      if (next === undefined) {
        if (idle++ === 0) idleSince = Date.now();
        if (Date.now() - idleSince > PATIENCE_MS) throw new Error('the work waits for nothing');
        continue;
      }
      idle = 0;
      if (next.at - start >= until) return undefined;
      this.timers.splice(this.timers.indexOf(next), 1);
      this.time = next.at;
      next.end();
    }
  }
}

/** A fetch whose every request goes to the fake API. */
export function fakeFetch(api: FakeApi, clock: VirtualClock): typeof fetch {
  return (async (_url: string, init: RequestInit): Promise<Response> => {
    const signal = init.signal!;
    const reply = api.reply(init.body as string, new Headers(init.headers));
    await clock.sleep(reply.afterMs, signal);
    if (signal.aborted) throw new DOMException('This operation was aborted', 'AbortError');
    if (reply.breaks === 'headers') throw new TypeError('fetch failed');
    let at = 0;
    const reader = {
      read: async () => {
        const piece = reply.body[at++];
        if (piece === undefined) {
          if (reply.breaks === 'body') throw new TypeError('terminated');
          api.onDelivered(reply);
          return { done: true, value: undefined };
        }
        if (piece.afterMs > 0) await clock.sleep(piece.afterMs, signal);
        if (signal.aborted) throw new DOMException('This operation was aborted', 'AbortError');
        return { done: false, value: piece.bytes };
      },
      cancel: () => Promise.resolve(),
    };
    // Less than a Response, and as much of one as is read; real ones come over HTTP.
    return { status: reply.status, headers: new Headers(reply.headers), body: { getReader: () => reader } } as never;
  }) as typeof fetch;
}
