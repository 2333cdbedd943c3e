// client.ts: the page's hold on the session in its worker: starts the worker, turns answers back into values and errors,
// and notices a worker that failed to load. It is the only file of the page that names a worker or Comlink.
import { proxy, wrap, type Remote } from 'comlink';
import { fromAnswer, type Answer } from '../base/answer';
import { PupilError } from '../base/errors';
import type { SessionApi } from '../session/protocol';
import { SESSION_METHODS, type Answering } from '../worker/answering';

export interface SessionClient extends SessionApi {
  /** Ends the worker at once, as a closed tab would. The client is of no use afterwards. */
  terminate(): void;
}

/** Starts a worker with a session of its own. Nothing is asked of the GPU before the first call. */
export function createSessionClient(): SessionClient {
  const worker = new Worker(new URL('../worker/session.worker.ts', import.meta.url), {
    type: 'module',
    name: 'pupil-session',
  });
  return wrapSession(worker);
}

/** The client of a worker that exposes an answering SessionApi. */
export function wrapSession(worker: Worker): SessionClient {
  const remote: Remote<Answering<SessionApi>> = wrap<Answering<SessionApi>>(worker);
  // A worker that cannot be loaded, or is ended, answers nothing: without this every call would wait for ever.
  let fail: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined);
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    fail(
      new PupilError(
        'browser',
        `worker: the session's worker failed: ${event.message || 'its script could not be loaded'}`,
        'Reload the page. If it happens again the page was not built or is not served completely.',
      ),
    );
  });

  const call =
    (name: keyof SessionApi) =>
    async (...args: unknown[]): Promise<unknown> => {
      const method = remote[name] as unknown as (...args: unknown[]) => Promise<Answer<unknown>>;
      const passed = args.map((arg) => (typeof arg === 'function' ? proxy(arg) : arg));
      return fromAnswer(await Promise.race([method(...passed), broken]));
    };
  const methods = Object.fromEntries(SESSION_METHODS.map((name) => [name, call(name)])) as unknown as SessionApi;
  return {
    ...methods,
    terminate() {
      worker.terminate();
      fail(new PupilError('cancelled', 'worker: the session was ended', 'Reload the page to start another one.'));
    },
  };
}
