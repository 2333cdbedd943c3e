// indexedDb.ts: runs, and the choice of kernel variants, in the browser's IndexedDB. Raw transactions, because a commit and
// the run's record must change together or not at all. Nothing is cached: a failed open (a blocked upgrade, a private window)
// may succeed next time.
import { PupilError } from '../base/errors';
import type { CheckpointPart } from '../formats/trainingCheckpoint';
import { Checkpoints, type CheckpointPlace } from './checkpoints';
import {
  byUpdate,
  expectRunId,
  type ListedCheckpoints,
  type RunRecord,
  type RunStore,
  type StoredCheckpoint,
  type StoredFile,
} from './runStore';
import type { VariantStore } from './variantStore';

/** 2: checkpoints in parts; those of version 1 are not read any more. 3: kernel variants. 4: sizes of artefacts. */
const VERSION = 4;
const RUNS = 'runs'; // key runId → RunRecord
const COMMITS = 'commits'; // key [runId, slot 0 or 1] → bytes
const PARTS = 'parts'; // key [runId, number] → bytes
const ARTEFACTS = 'artefacts'; // key [runId, path] → bytes
const SIZES = 'sizes'; // key [runId, path] → StoredFile: an artefact's size without reading it
const OF_RUNS = [RUNS, COMMITS, PARTS, ARTEFACTS, SIZES] as const;
const VARIANTS = 'variants'; // key of session/variants.ts → text
const STORES = [...OF_RUNS, VARIANTS] as const;
const OF_VERSION_1 = 'checkpoints';

type StoreName = (typeof STORES)[number];

function storageError(doing: string, cause: unknown): PupilError {
  const name = (cause as DOMException | null)?.name ?? '';
  const text = cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
  if (name === 'QuotaExceededError') {
    return new PupilError(
      'storage-full',
      `IndexedDB: ${doing}: the browser has no room left${text === '' ? '' : ` (${text})`}`,
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

/** Sizes of the artefacts that an earlier version stored. Part of the upgrade: it is done with it or not at all. */
function fillSizes(transaction: IDBTransaction): void {
  const sizes = transaction.objectStore(SIZES);
  const walk = transaction.objectStore(ARTEFACTS).openCursor();
  walk.onsuccess = () => {
    const cursor = walk.result;
    if (cursor === null) return;
    const [, path] = cursor.key as [string, string];
    sizes.put({ path, sizeBytes: (cursor.value as Uint8Array).byteLength } satisfies StoredFile, cursor.key);
    cursor.continue();
  };
}

export class IndexedDbRunStore implements RunStore, VariantStore {
  private readonly checkpoints = new Checkpoints((runId) => this.place(runId));

  constructor(
    private readonly databaseName = 'pupil',
    private readonly factory: IDBFactory = indexedDB,
  ) {}

  place(runId: string): CheckpointPlace {
    return {
      description: `IndexedDB "${this.databaseName}"`,
      readCommit: (slot) => this.get('loading a checkpoint', COMMITS, [runId, slot]),
      writeCommit: (slot, bytes, record) =>
        this.write('saving a checkpoint', [RUNS, COMMITS], (transaction) => {
          transaction.objectStore(COMMITS).put(bytes, [runId, slot]);
          transaction.objectStore(RUNS).put({ ...record }, runId);
        }),
      readPart: (number) => this.get('loading a checkpoint', PARTS, [runId, number]),
      writePart: (number, bytes) => this.put('saving a checkpoint', PARTS, [runId, number], bytes),
      removePart: (number) =>
        this.write('removing a part', [PARTS], (transaction) => {
          transaction.objectStore(PARTS).delete([runId, number]);
        }),
      listParts: async () => {
        const keys = await this.read('listing parts', PARTS, (store) => store.getAllKeys(ofRun(runId)));
        return (keys as [string, number][]).map(([, number]) => number);
      },
      clear: () =>
        this.write('deleting checkpoints', [COMMITS, PARTS], (transaction) => {
          for (const name of [COMMITS, PARTS]) transaction.objectStore(name).delete(ofRun(runId));
        }),
    };
  }

  async saveCheckpoint(record: RunRecord, parts: readonly CheckpointPart[]): Promise<void> {
    expectRunId(record.runId);
    await this.checkpoints.save(record, parts);
  }

  loadCheckpoint(runId: string): Promise<StoredCheckpoint | undefined> {
    return this.checkpoints.load(runId);
  }

  listCheckpoints(runId: string): Promise<ListedCheckpoints> {
    return this.checkpoints.list(expectRunId(runId));
  }

  deleteCheckpoints(runId: string): Promise<void> {
    return this.checkpoints.delete(expectRunId(runId));
  }

  async saveRecord(record: RunRecord): Promise<void> {
    expectRunId(record.runId);
    await this.write('saving a run', [RUNS], (transaction) => {
      transaction.objectStore(RUNS).put({ ...record }, record.runId);
    });
  }

  async saveArtefact(runId: string, path: string, bytes: Uint8Array): Promise<void> {
    expectRunId(runId);
    await this.write(`saving ${path}`, [ARTEFACTS, SIZES], (transaction) => {
      transaction.objectStore(ARTEFACTS).put(bytes.slice(), [runId, path]); // slice: a view would store all of its buffer
      transaction.objectStore(SIZES).put({ path, sizeBytes: bytes.byteLength } satisfies StoredFile, [runId, path]);
    });
  }

  loadArtefact(runId: string, path: string): Promise<Uint8Array | undefined> {
    return this.get(`loading ${path}`, ARTEFACTS, [runId, path]);
  }

  async listArtefacts(runId: string): Promise<string[]> {
    const keys = await this.read<[string, string][]>(
      'listing artefacts',
      ARTEFACTS,
      (store) => store.getAllKeys(ofRun(runId)) as unknown as IDBRequest<[string, string][]>,
    );
    return keys.map(([, path]) => path).sort();
  }

  artefactSizes(runId: string): Promise<StoredFile[]> {
    return this.read<StoredFile[]>('listing artefacts', SIZES, (store) => store.getAll(ofRun(runId)));
  }

  async listRuns(): Promise<RunRecord[]> {
    return byUpdate(await this.read<RunRecord[]>('listing runs', RUNS, (store) => store.getAll()));
  }

  async deleteRun(runId: string): Promise<void> {
    await this.write('deleting a run', OF_RUNS, (transaction) => {
      transaction.objectStore(RUNS).delete(runId);
      for (const name of [COMMITS, PARTS, ARTEFACTS, SIZES]) transaction.objectStore(name).delete(ofRun(runId));
    });
  }

  loadVariants(key: string): Promise<string | undefined> {
    return this.read<string | undefined>('loading variants', VARIANTS, (store) => store.get(key));
  }

  async saveVariants(key: string, text: string): Promise<void> {
    await this.write('saving variants', [VARIANTS], (transaction) => {
      transaction.objectStore(VARIANTS).put(text, key);
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
        const { objectStoreNames } = request.result;
        if (objectStoreNames.contains(OF_VERSION_1)) request.result.deleteObjectStore(OF_VERSION_1);
        const hadSizes = objectStoreNames.contains(SIZES);
        for (const name of STORES) if (!objectStoreNames.contains(name)) request.result.createObjectStore(name);
        if (!hadSizes) fillSizes(request.transaction!);
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

  private put(doing: string, name: StoreName, key: IDBValidKey, bytes: Uint8Array): Promise<void> {
    return this.write(doing, [name], (transaction) => {
      transaction.objectStore(name).put(bytes.slice(), key); // slice: a view would store all of its buffer
    });
  }

  private get(doing: string, name: StoreName, key: IDBValidKey): Promise<Uint8Array | undefined> {
    return this.read<Uint8Array | undefined>(doing, name, (store) => store.get(key));
  }

  /** One atomic transaction; resolves when it is on disk, not merely queued. */
  private async write(
    doing: string,
    names: readonly StoreName[],
    change: (transaction: IDBTransaction) => void,
  ): Promise<void> {
    const database = await this.open();
    try {
      await new Promise<void>((resolve, reject) => {
        const transaction = database.transaction([...names], 'readwrite', { durability: 'strict' });
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
