// client.ts: the page's hold on what lives in workers, the session and a teacher of its own: starts them, turns answers back
// into values and errors, and notices a worker that failed to load. It is the only file of the page that names a worker or
// Comlink.
import { proxy, wrap } from 'comlink';
import { fromAnswer, type Answer } from '../base/answer';
import { PupilError } from '../base/errors';
import type { SessionApi, TeacherModelApi } from '../session/protocol';
import { hasWebGpu } from '../gpu/presence';
import { SESSION_METHODS, TEACHER_METHODS } from '../worker/answering';

/** Known without a worker, so that the page can say so before anything is started. */
export const webGpuIsMissing = (): boolean => !hasWebGpu();

/** An interface whose object lives in a worker. */
export type Client<Api> = Api & {
  /** Ends the worker at once, as a closed tab would. The client is of no use afterwards. */
  terminate(): void;
};

export type SessionClient = Client<SessionApi>;
export type TeacherModelClient = Client<TeacherModelApi>;

/** Starts a worker with a session of its own. Nothing is asked of the GPU before the first call. */
export function createSessionClient(): SessionClient {
  const worker = new Worker(new URL('../worker/session.worker.ts', import.meta.url), {
    type: 'module',
    name: 'pupil-session',
  });
  return wrapSession(worker);
}

function startTeacherWorker(): TeacherModelClient {
  const worker = new Worker(new URL('../worker/teacher.worker.ts', import.meta.url), {
    type: 'module',
    name: 'pupil-teacher',
  });
  return wrapWorker<TeacherModelApi, (typeof TEACHER_METHODS)[number]>(worker, 'teacher', TEACHER_METHODS);
}

/**
 * A teacher that runs in this browser, in a worker of its own. The library behind it is fetched with its first model; after
 * a model that did not load it makes no other one (transformers.js 4.3 chains the making of sessions), so that then the
 * worker is replaced.
 */
export function createTeacherModelClient(): TeacherModelClient {
  let current = startTeacherWorker();
  let ended = false;
  return {
    async load(request, onProgress) {
      const mine = current;
      try {
        return await mine.load(request, onProgress);
      } catch (error) {
        if (!ended && mine === current) {
          mine.terminate();
          current = startTeacherWorker();
        }
        throw error;
      }
    },
    answer: (request) => current.answer(request),
    interrupt: () => current.interrupt(),
    unload: () => current.unload(),
    terminate() {
      ended = true;
      current.terminate();
    },
  };
}

/** The client of a worker that exposes an answering SessionApi. */
export const wrapSession = (worker: Worker): SessionClient =>
  wrapWorker<SessionApi, (typeof SESSION_METHODS)[number]>(worker, 'session', SESSION_METHODS);

function wrapWorker<Api extends object, Name extends keyof Api & string>(
  worker: Worker,
  what: string,
  names: readonly Name[],
): Client<Api> {
  const remote = wrap(worker) as unknown as Record<Name, (...args: unknown[]) => Promise<Answer<unknown>>>;
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
        `worker: the ${what}'s worker failed: ${event.message || 'its script could not be loaded'}`,
        'Reload the page. If it happens again the page was not built or is not served completely.',
      ),
    );
  });

  const call =
    (name: Name) =>
    async (...args: unknown[]): Promise<unknown> => {
      const passed = args.map((arg) => (typeof arg === 'function' ? proxy(arg) : arg));
      return fromAnswer(await Promise.race([remote[name](...passed), broken]));
    };
  const methods = Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as Api;
  return {
    ...methods,
    terminate() {
      worker.terminate();
      fail(new PupilError('cancelled', `worker: the ${what} was ended`, 'Reload the page to start another one.'));
    },
  };
}
