// keyValueDatabase.ts: one IndexedDB database of keys and values through idb-keyval, with errors that say what to do. What is
// kept in it, and for how long, is the business of those who have one.
import { createStore, type UseStore } from 'idb-keyval';
import { PupilError } from '../base/errors';

export class KeyValueDatabase {
  private store: UseStore | undefined;

  constructor(
    private readonly databaseName: string,
    private readonly storeName: string,
    /** What to do where the browser has no room, for its error. */
    private readonly whenFull: string,
  ) {}

  /** @throws PupilError `storage-full` or `storage`, saying what was being done. */
  async use<T>(doing: string, work: (store: UseStore) => Promise<T>): Promise<T> {
    this.store ??= createStore(this.databaseName, this.storeName);
    try {
      return await work(this.store);
    } catch (cause) {
      this.store = undefined; // a connection that broke must not be used for ever
      const { name, message } = cause as DOMException;
      const full = name === 'QuotaExceededError';
      throw new PupilError(
        full ? 'storage-full' : 'storage',
        `IndexedDB: ${doing} failed: ${name} ${message}`.trim(),
        full ? this.whenFull : 'Storage may be switched off in a private window.',
        { cause },
      );
    }
  }
}
