// answerIndexedDb.ts: a teacher's answers in the browser's IndexedDB, in a database of their own: clearing runs leaves them,
// and no version of the runs' database depends on them.
import { createStore, getMany, set, type UseStore } from 'idb-keyval';
import { PupilError } from '../base/errors';
import type { AnswerStore } from './answerStore';

/** Keys of one transaction: reading ten thousand at once would hold them all in one request list. */
const KEYS_AT_ONCE = 1000;

export class IndexedDbAnswerStore implements AnswerStore {
  private store: UseStore | undefined;

  constructor(private readonly databaseName = 'pupil-answers') {}

  async loadAnswers(keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
      const some = keys.slice(at, at + KEYS_AT_ONCE);
      const texts = await this.use('reading answers', (store) => getMany<unknown>(some, store));
      texts.forEach((text, i) => {
        if (typeof text === 'string') found.set(some[i]!, text);
      });
    }
    return found;
  }

  async saveAnswer(key: string, text: string): Promise<void> {
    await this.use('keeping an answer', (store) => set(key, text, store));
  }

  private async use<T>(doing: string, work: (store: UseStore) => Promise<T>): Promise<T> {
    this.store ??= createStore(this.databaseName, 'answers');
    try {
      return await work(this.store);
    } catch (cause) {
      this.store = undefined; // a connection that broke must not be used for ever
      const { name, message } = cause as DOMException;
      const full = name === 'QuotaExceededError';
      throw new PupilError(
        full ? 'storage-full' : 'storage',
        `IndexedDB: ${doing} failed: ${name} ${message}`.trim(),
        full
          ? 'Delete old runs or free disk space, then go on: what was answered before is kept.'
          : 'Storage may be switched off in a private window.',
        { cause },
      );
    }
  }
}
