// indexedDb.ts: runs in the browser's IndexedDB. Raw transactions, because a checkpoint and its record must change
// together or not at all. Nothing is cached: a failed open (a blocked upgrade, a private window) may succeed next time.
import { PupilError } from '../base/errors';
import {
  byUpdate,
  expectRunId,
  newestIntact,
  sealCheckpoint,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
} from './runStore';

const VERSION = 1;
const RUNS = 'runs'; // key runId → RunRecord
const CHECKPOINTS = 'checkpoints'; // key [runId, slot 0 or 1] → sealed bytes
const ARTEFACTS = 'artefacts'; // key [runId, path] → bytes

type StoreName = typeof RUNS | typeof CHECKPOINTS | typeof ARTEFACTS;

function storageError(doing: string, cause: unknown): PupilError {
  const name = (cause as DOMException | null)?.name ?? '';
  const text = cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
  if (name === 'QuotaExceededError') {
    return new PupilError(
      'storage-full',
      `IndexedDB: ${doing}: the browser has no room left (${text})`,
      'Delete old runs or free disk space, then resume; the last checkpoint is still there.',
      { cause },
    );
  }
  return new PupilError(
    'storage',
    `IndexedDB: ${doing} failed: ${name} ${text}`.trim(),
    'Storage may be switched off in a private window, or another tab holds an older version: close it and try again.',
    { cause },
  );
}

/** All keys whose first part is the run's id. */
function ofRun(runId: string): IDBKeyRange {
  return IDBKeyRange.bound([runId], [runId, []]); // an array sorts after every number and string
}

export class IndexedDbRunStore implements RunStore {
  constructor(
    private readonly databaseName = 'pupil',
    private readonly factory: IDBFactory = indexedDB,
  ) {}

  async saveCheckpoint(record: RunRecord, bytes: Uint8Array): Promise<void> {
    expectRunId(record.runId);
    const sealed = await sealCheckpoint(record.sequence, bytes);
    await this.write('saving a checkpoint', [RUNS, CHECKPOINTS], (transaction) => {
      transaction.objectStore(CHECKPOINTS).put(sealed, [record.runId, record.sequence % 2]);
      transaction.objectStore(RUNS).put({ ...record }, record.runId);
    });
  }

  async loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    const slots = await this.read<Uint8Array[]>('loading a checkpoint', CHECKPOINTS, (store) =>
      store.getAll(ofRun(runId)),
    );
    return newestIntact(runId, slots);
  }

  async saveRecord(record: RunRecord): Promise<void> {
    expectRunId(record.runId);
    await this.write('saving a run', [RUNS], (transaction) => {
      transaction.objectStore(RUNS).put({ ...record }, record.runId);
    });
  }

  async saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void> {
    expectRunId(runId);
    await this.write(`saving ${path}`, [ARTEFACTS], (transaction) => {
      // slice: a view would store all of its buffer
      transaction.objectStore(ARTEFACTS).put(bytes.slice(), [runId, path]);
    });
  }

  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined> {
    return this.read(`loading ${path}`, ARTEFACTS, (store) => store.get([runId, path]));
  }

  async listArtefacts(runId: string): Promise<string[]> {
    const keys = await this.read<[string, string][]>(
      'listing artefacts',
      ARTEFACTS,
      (store) => store.getAllKeys(ofRun(runId)) as unknown as IDBRequest<[string, string][]>,
    );
    return keys.map(([, path]) => path).sort();
  }

  async listRuns(): Promise<RunRecord[]> {
    return byUpdate(await this.read<RunRecord[]>('listing runs', RUNS, (store) => store.getAll()));
  }

  async deleteRun(runId: string): Promise<void> {
    await this.write('deleting a run', [RUNS, CHECKPOINTS, ARTEFACTS], (transaction) => {
      transaction.objectStore(RUNS).delete(runId);
      transaction.objectStore(CHECKPOINTS).delete(ofRun(runId));
      transaction.objectStore(ARTEFACTS).delete(ofRun(runId));
    });
  }

  private open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      let request: IDBOpenDBRequest;
      try {
        request = this.factory.open(this.databaseName, VERSION);
      } catch (cause) {
        reject(storageError('opening the database', cause));
        return;
      }
      request.onupgradeneeded = () => {
        for (const name of [RUNS, CHECKPOINTS, ARTEFACTS]) {
          if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name);
        }
      };
      request.onsuccess = () => {
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = () => reject(storageError('opening the database', request.error));
      request.onblocked = () =>
        reject(storageError('opening the database', new Error('another tab holds an older version open')));
    });
  }

  /** One atomic transaction; resolves when it is on disk, not merely queued. */
  private async write(doing: string, names: StoreName[], change: (transaction: IDBTransaction) => void): Promise<void> {
    const database = await this.open();
    try {
      await new Promise<void>((resolve, reject) => {
        const transaction = database.transaction(names, 'readwrite', { durability: 'strict' });
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(storageError(doing, transaction.error ?? new Error('aborted')));
        try {
          change(transaction);
        } catch (cause) {
          reject(storageError(doing, cause));
          transaction.abort();
        }
      });
    } finally {
      database.close();
    }
  }

  private async read<T>(doing: string, name: StoreName, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await this.open();
    try {
      return await new Promise<T>((resolve, reject) => {
        const request = ask(database.transaction(name, 'readonly').objectStore(name));
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(storageError(doing, request.error));
      });
    } finally {
      database.close();
    }
  }
}
