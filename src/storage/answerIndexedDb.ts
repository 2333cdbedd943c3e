// answerIndexedDb.ts: a teacher's answers in the browser's IndexedDB, in a database of their own: clearing runs leaves them,
// and no version of the runs' database depends on them.
import { getMany, set } from 'idb-keyval';
import type { AnswerStore } from './answerStore';
import { KeyValueDatabase } from './keyValueDatabase';

/** Keys of one transaction: reading ten thousand at once would hold them all in one request list. */
const KEYS_AT_ONCE = 1000;

export class IndexedDbAnswerStore implements AnswerStore {
  private readonly database: KeyValueDatabase;

  constructor(databaseName = 'pupil-answers') {
    const whenFull = 'Delete old runs or free disk space, then go on: what was answered before is kept.';
    this.database = new KeyValueDatabase(databaseName, 'answers', whenFull);
  }

  async loadAnswers(keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
      const some = keys.slice(at, at + KEYS_AT_ONCE);
      const texts = await this.database.use('reading answers', (store) => getMany<unknown>(some, store));
      texts.forEach((text, i) => {
        if (typeof text === 'string') found.set(some[i]!, text);
      });
    }
    return found;
  }

  async saveAnswer(key: string, text: string): Promise<void> {
    await this.database.use('keeping an answer', (store) => set(key, text, store));
  }
}
