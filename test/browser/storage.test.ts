// storage.test.ts: runs in the browser's real IndexedDB: what is saved is found again, by another connection too; a write
// that breaks changes nothing; no room and no database are typed errors; nothing failed is remembered.
import { afterEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../../src/formats/trainingCheckpoint';
import { IndexedDbRunStore } from '../../src/storage/indexedDb';
import { contents, part, record } from '../unit/storage/parts';

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

/** The raw value of a part, replaced. */
async function overwritePart(name: string, number: number, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const place = new IndexedDbRunStore(name).place('r');
  await place.writePart(number, change((await place.readPart(number))!.slice()));
}

/** An IDBFactory whose writes fail where `failure` says so, after earlier ones of the same transaction went through. */
function failingFactory(failure: (storeName: string) => DOMException | undefined): IDBFactory {
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
            const methods = store as unknown as Record<string, (...given: unknown[]) => unknown>;
            for (const method of ['put', 'delete']) {
              const write = methods[method]!.bind(store);
              methods[method] = (...given) => {
                const error = failure(wanted);
                if (error !== undefined) throw error;
                return write(...given);
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

/** No room from the k-th write on. */
function fullFrom(k: number): { factory: IDBFactory; writes: () => number } {
  let writes = 0;
  const full = (): DOMException | undefined =>
    ++writes < k ? undefined : new DOMException('no room', 'QuotaExceededError');
  return { factory: failingFactory(full), writes: () => writes };
}

it('IndexedDB remembers kernel variants by key, through another connection, and deleting a run leaves them', async () => {
  const name = freshName();
  const store = new IndexedDbRunStore(name);
  expect(await store.loadVariants('a')).toBeUndefined();
  await store.saveVariants('a', 'first');
  await store.saveVariants('a', 'second');
  await store.deleteRun('a');
  const again = new IndexedDbRunStore(name);
  expect([await again.loadVariants('a'), await again.loadVariants('b')]).toEqual(['second', undefined]);
});

describe('runs in IndexedDB', () => {
  it('finds a checkpoint again through another connection, the newest of two', async () => {
    const name = freshName();
    const store = new IndexedDbRunStore(name);
    expect(await store.loadCheckpoint('r')).toBeUndefined();
    await store.saveCheckpoint(record(1), [await part('state', 1, 2, 3, 4)]);
    await store.saveCheckpoint(record(2), [await part('state', 5, 6, 7, 8)]);
    const found = await new IndexedDbRunStore(name).loadCheckpoint('r');
    expect(found?.sequence).toBe(2);
    expect(contents(found)).toEqual({ state: [5, 6, 7, 8] });
    expect(await store.listRuns()).toEqual([record(2)]);
  });

  it('keeps 8 MiB of bytes exactly', async () => {
    const store = new IndexedDbRunStore(freshName());
    const bytes = Uint8Array.from({ length: 8 * 2 ** 20 }, (_, i) => (i * 2654435761) >>> 24);
    await store.saveCheckpoint(record(1), [{ name: 'adapter', sha256: await sha256Of(bytes), bytes }]);
    const kept = (await store.loadCheckpoint('r'))?.parts.get('adapter');
    expect(kept?.length).toBe(bytes.length);
    expect(kept?.every((byte, i) => byte === bytes[i])).toBe(true);
  });

  it('falls back to the previous checkpoint where the newest is damaged, and refuses where both are', async () => {
    const name = freshName();
    const store = new IndexedDbRunStore(name);
    await store.saveCheckpoint(record(1), [await part('state', 1, 2, 3, 4)]);
    await store.saveCheckpoint(record(2), [await part('state', 5, 6, 7, 8)]);
    const flipLast = (bytes: Uint8Array): Uint8Array => {
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return bytes;
    };
    await overwritePart(name, 1, flipLast);
    expect((await store.loadCheckpoint('r'))?.sequence).toBe(1);
    await overwritePart(name, 0, (bytes) => bytes.subarray(0, 2));
    await expect(store.loadCheckpoint('r')).rejects.toMatchObject({ code: 'checkpoint' });
  });

  it('lists sizes of artefacts and checkpoints, and deletes checkpoints alone', async () => {
    const name = freshName();
    const store = new IndexedDbRunStore(name);
    const shared = await part('pairs', 7, 7, 7, 7);
    for (const n of [1, 2]) await store.saveCheckpoint(record(n), [await part('state', n, n), shared]);
    await store.saveArtefact('r', 'report.json', new Uint8Array(100).subarray(0, 5));
    await store.saveArtefact('r', 'adapters/instruct/adapter_config.json', new Uint8Array(3));
    const again = new IndexedDbRunStore(name);
    expect(await again.artefactSizes('r')).toEqual([
      { path: 'adapters/instruct/adapter_config.json', sizeBytes: 3 },
      { path: 'report.json', sizeBytes: 5 },
    ]);
    const listed = await again.listCheckpoints('r');
    expect(listed.sizeBytes).toBe(8);
    expect(await listed.checkpoints[1]!.read('state')).toEqual(Uint8Array.of(1, 1));
    await again.deleteCheckpoints('r');
    expect(await store.loadCheckpoint('r')).toBeUndefined();
    expect((await store.listCheckpoints('r')).checkpoints).toEqual([]);
    expect(await store.loadArtefact('r', 'report.json')).toEqual(new Uint8Array(5));
    await store.saveCheckpoint(record(3), [shared]);
    expect(contents(await store.loadCheckpoint('r'))).toEqual({ pairs: [7, 7, 7, 7] });
    await store.deleteRun('r');
    expect(await store.artefactSizes('r')).toEqual([]);
  });

  it('knows the sizes of artefacts that an earlier version stored', async () => {
    const name = freshName();
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.open(name, 3);
      request.onupgradeneeded = () => {
        for (const one of ['runs', 'commits', 'parts', 'artefacts', 'variants']) request.result.createObjectStore(one);
        request.transaction!.objectStore('artefacts').put(new Uint8Array(12), ['r', 'report.json']);
        request.transaction!.objectStore('runs').put(record(1), 'r');
      };
      request.onsuccess = () => (request.result.close(), resolve());
      request.onerror = () => reject(request.error!);
    });
    const store = new IndexedDbRunStore(name);
    expect(await store.artefactSizes('r')).toEqual([{ path: 'report.json', sizeBytes: 12 }]);
    expect(await store.listRuns()).toEqual([record(1)]);
  });

  it('writes checkpoint and record together or not at all', async () => {
    const name = freshName();
    await new IndexedDbRunStore(name).saveCheckpoint(record(1), [await part('state', 1)]);
    // The checkpoint's own put succeeds; the record's, in the same transaction, does not.
    const broken = new IndexedDbRunStore(
      name,
      failingFactory((store) => (store === 'runs' ? new DOMException('on purpose', 'UnknownError') : undefined)),
    );
    await expect(broken.saveCheckpoint(record(2), [await part('state', 2)])).rejects.toMatchObject({ code: 'storage' });
    const store = new IndexedDbRunStore(name);
    expect((await store.loadCheckpoint('r'))?.sequence).toBe(1);
    expect(await store.listRuns()).toEqual([record(1)]);
  });

  it('says storage-full where there is no room, at whichever write, and keeps what was there', async () => {
    const both = async (n: number) => [await part('pairs', 7), await part('adapter', n), await part('state', n, n)];
    const rehearsal = fullFrom(Infinity);
    const name = freshName();
    for (const n of [1, 2]) await new IndexedDbRunStore(name).saveCheckpoint(record(n), await both(n));
    await new IndexedDbRunStore(name, rehearsal.factory).saveCheckpoint(record(3), await both(3));
    expect(rehearsal.writes()).toBe(6); // two parts, commit and record, two removals
    for (let k = 1; k <= 6; k++) {
      const own = freshName();
      for (const n of [1, 2]) await new IndexedDbRunStore(own).saveCheckpoint(record(n), await both(n));
      const saving = new IndexedDbRunStore(own, fullFrom(k).factory).saveCheckpoint(record(3), await both(3));
      if (k <= 4) {
        await expect(saving).rejects.toMatchObject({
          code: 'storage-full',
          hint: expect.stringContaining('resume') as string,
        });
      } else await saving; // only the removal of what is not needed any more failed
      const found = await new IndexedDbRunStore(own).loadCheckpoint('r');
      const n = k <= 4 ? 2 : 3;
      expect(contents(found), `write ${k}`).toEqual({ pairs: [7], adapter: [n], state: [n, n] });
      expect(await new IndexedDbRunStore(own).listRuns()).toEqual([record(n)]);
    }
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
    for (const runId of ['r', 'r-2']) {
      await store.saveCheckpoint(record(1, runId), [await part('state', 1)]);
      await store.saveArtefact(runId, 'adapters/instruct/adapter_config.json', new Uint8Array([7]));
      await store.saveArtefact(runId, 'report.html', new Uint8Array([8, 9]));
    }
    expect(await store.listArtefacts('r')).toEqual(['adapters/instruct/adapter_config.json', 'report.html']);
    expect([...((await store.loadArtefact('r', 'report.html')) ?? [])]).toEqual([8, 9]);
    await store.deleteRun('r');
    expect(await store.loadCheckpoint('r')).toBeUndefined();
    expect(await store.listArtefacts('r')).toEqual([]);
    expect(await store.listArtefacts('r-2')).toHaveLength(2);
    expect((await store.listRuns()).map((run) => run.runId)).toEqual(['r-2']);
  });
});
