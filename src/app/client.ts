// client.ts: the page's hold on what lives in workers, the session and a teacher of its own: starts them when they are first
// asked something, turns answers back into values and errors, notices a worker that failed, fell silent or was ended, and
// starts another one for the next call. It is the only file of the page that names a worker or Comlink.
import { proxy, wrap } from 'comlink';
import { fromAnswer, type Answer } from '../base/answer';
import { PupilError } from '../base/errors';
import type { SessionApi, TeacherModelApi } from '../session/protocol';
import { hasWebGpu } from '../gpu/presence';
import { SESSION_METHODS, TEACHER_METHODS } from '../worker/answering';
import { Heartbeat, HEARTBEAT, type HeartbeatLimits } from '../base/heartbeat';
import type { WorkerNews } from './lab/workerNews';

/** Known without a worker, so that the page can say so before anything is started. */
export const webGpuIsMissing = (): boolean => !hasWebGpu();

/** An interface whose object lives in a worker. */
export type Client<Api> = Api & {
  /** Ends the worker at once, as a closed tab would. The client is of no use afterwards. */
  terminate(): void;
};

export type SessionClient = Client<SessionApi> & {
  /** Ends a worker that is of no use any more: what waits for it fails, and the next call starts another. */
  replace(): void;
  /** One listener at a time. */
  onNews(listener: (news: WorkerNews) => void): void;
};
export type TeacherModelClient = Client<TeacherModelApi>;

type AnyAnswers = Record<string, (...args: unknown[]) => Promise<Answer<unknown>>>;

const startSessionWorker = (): Worker =>
  new Worker(new URL('../worker/session.worker.ts', import.meta.url), { type: 'module', name: 'pupil-session' });

/**
 * A session in a worker of its own. The worker is started by the first call, and nothing is asked of the GPU before a call
 * that needs it. Where the worker fails, the calls under way reject with a PupilError `browser`, and the next call starts
 * another one: what is stored is there, what was in its memory is not.
 */
export function createSessionClient(
  start: () => Worker = startSessionWorker,
  limits: HeartbeatLimits = HEARTBEAT,
): SessionClient {
  let news: (news: WorkerNews) => void = () => undefined;
  let current: HeldWorker | undefined;
  let ended: PupilError | undefined;
  /** Settings that live in the session's memory alone: another session must be told again. */
  let hub: unknown[] | undefined;

  const hold = (): HeldWorker => {
    if (current === undefined) {
      const held: HeldWorker = new HeldWorker(start(), 'session', limits, (what) => {
        if (what.kind === 'lost' && current === held) current = undefined;
        if (ended === undefined) news(what);
      });
      current = held;
      if (hub !== undefined) held.call('setHub', hub).catch(() => undefined); // a person was told when they were set
    }
    return current;
  };
  const call =
    (name: (typeof SESSION_METHODS)[number]) =>
    async (...args: unknown[]): Promise<unknown> => {
      if (ended !== undefined) throw ended;
      const answer = await hold().call(name, args);
      if (name === 'setHub') hub = args;
      return answer;
    };
  return {
    ...(Object.fromEntries(SESSION_METHODS.map((name) => [name, call(name)])) as unknown as SessionApi),
    onNews: (listener) => {
      news = listener;
    },
    replace: () =>
      current?.end(
        new PupilError(
          'browser',
          'worker: the session was ended and is started anew',
          'What is stored is still there: a run goes on from its last checkpoint.',
        ),
      ),
    terminate: () => {
      ended = new PupilError('cancelled', 'worker: the session was ended', 'Reload the page to start another one.');
      current?.end(ended);
    },
  };
}

function startTeacherWorker(): TeacherModelClient {
  const worker = new Worker(new URL('../worker/teacher.worker.ts', import.meta.url), {
    type: 'module',
    name: 'pupil-teacher',
  });
  const held = new HeldWorker(worker, 'teacher', undefined);
  return {
    ...(Object.fromEntries(
      TEACHER_METHODS.map((name) => [name, (...args: unknown[]) => held.call(name, args)]),
    ) as unknown as TeacherModelApi),
    terminate: () =>
      held.end(new PupilError('cancelled', 'worker: the teacher was ended', 'Reload the page to start another one.')),
  };
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

/** One worker that exposes an answering object, and what waits for its answers. */
class HeldWorker {
  private readonly remote: AnyAnswers;
  private readonly broken: Promise<never>;
  private reject: (error: Error) => void = () => undefined;
  private over = false;
  private waiting = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly heartbeat: Heartbeat | undefined;
  private silent = false;
  private asked = false;

  constructor(
    private readonly worker: Worker,
    private readonly what: string,
    /** Absent: it is not asked whether it lives. */
    private readonly limits: HeartbeatLimits | undefined,
    private readonly news: (news: WorkerNews) => void = () => undefined,
  ) {
    this.remote = wrap(worker) as unknown as AnyAnswers;
    this.heartbeat = limits === undefined ? undefined : new Heartbeat(limits);
    // A worker that cannot be loaded, or is ended, answers nothing: without this every call would wait for ever.
    this.broken = new Promise<never>((_, reject) => (this.reject = reject));
    this.broken.catch(() => undefined);
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.lose(`failed: ${event.message || 'its script could not be loaded'}`);
    });
    worker.addEventListener('messageerror', () => this.lose('sent something that this page could not take'));
  }

  async call(name: string, args: unknown[]): Promise<unknown> {
    const passed = args.map((arg) => (typeof arg === 'function' ? proxy(this.listening(arg as Listener)) : arg));
    this.waiting++;
    this.watch();
    try {
      return fromAnswer(await Promise.race([this.remote[name]!(...passed), this.broken]));
    } finally {
      if (--this.waiting === 0) this.unwatch();
      this.heard();
    }
  }

  /** Ends the worker; what waits for it rejects with the error. */
  end(error: PupilError): void {
    if (this.over) return;
    this.over = true;
    this.unwatch();
    this.worker.terminate();
    this.reject(error);
    this.news({ kind: 'lost', error });
  }

  private lose(how: string): void {
    this.end(
      new PupilError(
        'browser',
        `worker: the ${this.what}'s worker ${how}`,
        'What is stored is still there. The next action starts another worker; where it fails at once again, reload the page: it was not served completely, or this browser is short of memory.',
      ),
    );
  }

  /** What a worker says while it works is a sign of life. */
  private listening(listener: Listener): Listener {
    return (...args) => {
      this.heard();
      return listener(...args);
    };
  }

  private heard(): void {
    this.heartbeat?.heard();
    if (!this.silent || this.over) return;
    this.silent = false;
    this.news({ kind: 'answers' });
  }

  private watch(): void {
    if (this.limits === undefined || this.over) return;
    this.timer ??= setInterval(() => this.tick(), this.limits.everyMs);
  }

  private unwatch(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.heartbeat?.rest();
  }

  private tick(): void {
    const { heartbeat } = this;
    if (heartbeat === undefined) return;
    if (!this.asked) {
      this.asked = true;
      void this.remote['alive']!().then(() => {
        this.asked = false;
        this.heard();
      });
    }
    const life = heartbeat.tick(performance.now());
    const seconds = Math.round(heartbeat.silentForMs / 1000);
    if (life === 'dead') this.lose(`has not answered for ${seconds} s`);
    else if (life === 'silent') {
      this.silent = true;
      this.news({ kind: 'silent', seconds });
    }
  }
}

type Listener = (...args: unknown[]) => unknown;
