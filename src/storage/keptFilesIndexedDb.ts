// keptFilesIndexedDb.ts: the files that a person gave to the page, in the browser's IndexedDB, in a database of their own:
// deleting runs leaves them.
import { del, entries, get, set } from 'idb-keyval';
import { byName, type KeptFile, type KeptFileStore } from './keptFiles';
import { KeyValueDatabase } from './keyValueDatabase';

export class IndexedDbKeptFiles implements KeptFileStore {
  private readonly database: KeyValueDatabase;

  constructor(databaseName = 'pupil-files') {
    const whenFull = 'Delete old runs or kept files, or free disk space, then add the file again.';
    this.database = new KeyValueDatabase(databaseName, 'files', whenFull);
  }

  async saveFile(name: string, bytes: Uint8Array): Promise<void> {
    await this.database.use('keeping a file', (store) => set(name, bytes, store));
  }

  loadFile(name: string): Promise<Uint8Array | undefined> {
    return this.database.use('reading a kept file', (store) => get<Uint8Array>(name, store));
  }

  async listFiles(): Promise<KeptFile[]> {
    const all = await this.database.use('listing kept files', (store) => entries<string, Uint8Array>(store));
    return all.map(([name, bytes]) => ({ name, sizeBytes: bytes.byteLength })).sort(byName);
  }

  async deleteFile(name: string): Promise<void> {
    await this.database.use('deleting a kept file', (store) => del(name, store));
  }
}
