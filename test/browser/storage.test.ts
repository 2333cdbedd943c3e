// storage.test.ts: runs in the browser's real IndexedDB: what is saved is found again, by another connection too; a write
// that breaks changes nothing; no room and no database are typed errors; nothing failed is remembered.
import { afterEach, describe, expect, it } from 'vitest';
import { IndexedDbRunStore } from '../../src/storage/indexedDb';
import type { RunRecord } from '../../src/storage/runStore';

let databases: string[] = [];

function freshName(): string {
  const name = `pupil-test-${crypto.randomUUID()}`;
  databases.push(name);
  return name;
}

afterEach(async () => {
  for (const name of databases) {
    await new Promise((resolve) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = request.onerror = request.onblocked = resolve;
    });
  }
  databases = [];
});

function record(sequence: number, runId = 'run'): RunRecord {
  return {
    runId,
    name: 'A run',
    state: 'running',
    phase: 'instruct',
    step: sequence * 10,
    updatedAt: new Date(2026, 0, sequence).toISOString(),
    sizeBytes: 4,
    sequence,
  };
}

/** The raw value of a checkpoint slot, replaced. */
async function overwriteSlot(name: string, slot: number, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('open'));
  });
  await new Promise<void>((resolve, reject) => {
    const transaction = database.transaction('checkpoints', 'readwrite');
    const store = transaction.objectStore('checkpoints');
    const read = store.get(['run', slot]) as IDBRequest<Uint8Array>;
    read.onsuccess = () => store.put(change(read.result.slice()), ['run', slot]);
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error ?? new Error('write'));
  });
  database.close();
}

/** An IDBFactory whose writes to one store fail after earlier writes of the same transaction went through. */
function failingFactory(storeName: string, error: () => DOMException): IDBFactory {
  return {
    open: (name: string, version?: number) => {
      const request = indexedDB.open(name, version);
      request.addEventListener('success', () => {
        const database = request.result;
        const begin = database.transaction.bind(database);
        database.transaction = ((...args: Parameters<typeof begin>) => {
          const transaction = begin(...args);
          const objectStore = transaction.objectStore.bind(transaction);
          transaction.objectStore = (wanted: string) => {
            const store = objectStore(wanted);
            if (wanted === storeName) {
              store.put = () => {
                throw error();
              };
            }
            return store;
          };
          return transaction;
        }) as typeof database.transaction;
      });
      return request;
    },
  } as unknown as IDBFactory;
}

describe('runs in IndexedDB', () => {
  it('finds a checkpoint again through another connection, the newest of two', async () => {
    const name = freshName();
    const store = new IndexedDbRunStore(name);
    expect(await store.loadCheckpoint('run')).toBeUndefined();
    await store.saveCheckpoint(record(1), new Uint8Array([1, 2, 3, 4]));
    await store.saveCheckpoint(record(2), new Uint8Array([5, 6, 7, 8]));
    const found = await new IndexedDbRunStore(name).loadCheckpoint('run');
    expect(found?.sequence).toBe(2);
    expect([...(found?.bytes ?? [])]).toEqual([5, 6, 7, 8]);
    expect(await store.listRuns()).toEqual([record(2)]);
  });

  it('keeps 8 MiB of bytes exactly', async () => {
    const store = new IndexedDbRunStore(freshName());
    const bytes = Uint8Array.from({ length: 8 * 2 ** 20 }, (_, i) => (i * 2654435761) >>> 24);
    await store.saveCheckpoint(record(1), bytes);
    const found = await store.loadCheckpoint('run');
    expect(found?.bytes.length).toBe(bytes.length);
    expect(found?.bytes.every((byte, i) => byte === bytes[i])).toBe(true);
  });

  it('falls back to the previous checkpoint where the newest is damaged, and refuses where both are', async () => {
    const name = freshName();
    const store = new IndexedDbRunStore(name);
    await store.saveCheckpoint(record(1), new Uint8Array([1, 2, 3, 4]));
    await store.saveCheckpoint(record(2), new Uint8Array([5, 6, 7, 8]));
    const flipLast = (bytes: Uint8Array): Uint8Array => {
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return bytes;
    };
    await overwriteSlot(name, 0, flipLast);
    expect((await store.loadCheckpoint('run'))?.sequence).toBe(1);
    await overwriteSlot(name, 1, (bytes) => bytes.subarray(0, 20));
    await expect(store.loadCheckpoint('run')).rejects.toMatchObject({ code: 'checkpoint' });
  });

  it('writes checkpoint and record together or not at all', async () => {
    const name = freshName();
    await new IndexedDbRunStore(name).saveCheckpoint(record(1), new Uint8Array([1]));
    // The checkpoint's own put succeeds; the record's, in the same transaction, does not.
    const broken = new IndexedDbRunStore(
      name,
      failingFactory('runs', () => new DOMException('on purpose', 'UnknownError')),
    );
    await expect(broken.saveCheckpoint(record(2), new Uint8Array([2]))).rejects.toMatchObject({ code: 'storage' });
    const store = new IndexedDbRunStore(name);
    expect((await store.loadCheckpoint('run'))?.sequence).toBe(1);
    expect(await store.listRuns()).toEqual([record(1)]);
  });

  it('says storage-full where there is no room, and keeps what was there', async () => {
    const name = freshName();
    await new IndexedDbRunStore(name).saveCheckpoint(record(1), new Uint8Array([1]));
    const full = new IndexedDbRunStore(
      name,
      failingFactory('checkpoints', () => new DOMException('no room', 'QuotaExceededError')),
    );
    await expect(full.saveCheckpoint(record(2), new Uint8Array([2]))).rejects.toMatchObject({
      code: 'storage-full',
      hint: expect.stringContaining('resume') as string,
    });
    expect((await new IndexedDbRunStore(name).loadCheckpoint('run'))?.sequence).toBe(1);
  });

  it('does not remember a failed open', async () => {
    const name = freshName();
    let refuse = true;
    const store = new IndexedDbRunStore(name, {
      open: (...args: Parameters<IDBFactory['open']>) => {
        if (refuse) throw new DOMException('switched off', 'SecurityError');
        return indexedDB.open(...args);
      },
    } as IDBFactory);
    await expect(store.listRuns()).rejects.toMatchObject({ code: 'storage' });
    refuse = false;
    expect(await store.listRuns()).toEqual([]);
  });

  it('keeps artefacts by path and deletes a run whole, and only it', async () => {
    const store = new IndexedDbRunStore(freshName());
    for (const runId of ['run', 'run-2']) {
      await store.saveCheckpoint(record(1, runId), new Uint8Array([1]));
      await store.saveArtefact(runId, 'adapters/instruct/adapter_config.json', new Uint8Array([7]));
      await store.saveArtefact(runId, 'report.html', new Uint8Array([8, 9]));
    }
    expect(await store.listArtefacts('run')).toEqual(['adapters/instruct/adapter_config.json', 'report.html']);
    expect([...((await store.loadArtefact('run', 'report.html')) ?? [])]).toEqual([8, 9]);
    await store.deleteRun('run');
    expect(await store.loadCheckpoint('run')).toBeUndefined();
    expect(await store.listArtefacts('run')).toEqual([]);
    expect(await store.listArtefacts('run-2')).toHaveLength(2);
    expect((await store.listRuns()).map((run) => run.runId)).toEqual(['run-2']);
  });
});
