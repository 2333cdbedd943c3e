// workerNews.ts: what the page is told of the worker in which its session lives. Types only.
import type { PupilError } from '../../base/errors';

export type WorkerNews =
  /** Nothing was heard for so long: it may be in a long piece of work, or gone without a word. */
  | { kind: 'silent'; seconds: number }
  /** After a silence. */
  | { kind: 'answers' }
  /** It is gone, and every call that waited was rejected with this error. The next call starts another one. */
  | { kind: 'lost'; error: PupilError };
