// automation.ts: `window.pupil`, the port through which the command line (or a curious engineer in the console) drives the
// page's session. Everything that crosses it is plain JSON-like data; errors come back as answers, never as exceptions.
import { toAnswer, type Answer } from '../base/answer';
import { PupilError } from '../base/errors';
import type { SessionApi } from '../session/protocol';

export interface Automation {
  /**
   * Calls a method of the session. Where the method takes a listener, `listener` names a function of `window` that is
   * given arrays of events in order; all events have been handed over when the answer arrives.
   */
  call(method: keyof SessionApi, args: unknown[], listener?: string): Promise<Answer<unknown>>;
}

declare global {
  interface Window {
    pupil?: Automation;
  }
}

/** Events are handed over in batches at most this often: each crossing to the command line costs a message. */
const BATCH_MS = 20;

type Sink = (events: unknown[]) => unknown;

function findListener(name: string): Sink {
  const found = (globalThis as unknown as Record<string, unknown>)[name];
  if (typeof found === 'function') return found as Sink;
  throw new PupilError('usage', `pupil.call: expected a function window.${name}, found ${typeof found}`);
}

/** Collects events and hands them on in batches; `flush` resolves when all have been taken. */
class EventBatcher {
  private waiting: unknown[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private taken: Promise<unknown> = Promise.resolve();

  constructor(private readonly sink: Sink) {}

  readonly add = (event: unknown): void => {
    this.waiting.push(event);
    this.timer ??= setTimeout(() => void this.flush(), BATCH_MS);
  };

  flush(): Promise<unknown> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const events = this.waiting;
    this.waiting = [];
    if (events.length > 0) this.taken = this.taken.then(() => this.sink(events));
    return this.taken;
  }
}

/** The automation port of a session. */
export function automationFor(session: SessionApi): Automation {
  return {
    call: (method, args, listener) =>
      toAnswer(async () => {
        // Own methods only: `toString` and the like are no part of a session.
        if (!Object.hasOwn(session, method)) {
          throw new PupilError(
            'usage',
            `pupil.call: expected a method of the session, got ${JSON.stringify(method)}`,
            `Methods: ${Object.keys(session).join(', ')}.`,
          );
        }
        const target = session[method] as unknown as (...args: unknown[]) => Promise<unknown>;
        if (listener === undefined) return await target(...args);
        const batcher = new EventBatcher(findListener(listener));
        try {
          return await target(...args, batcher.add);
        } finally {
          await batcher.flush();
        }
      }),
  };
}
