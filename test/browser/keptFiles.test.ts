// keptFiles.test.ts: the files that a person gave to the page, in this browser's IndexedDB: kept over connections, listed, deleted.
import { expect, it } from 'vitest';
import { IndexedDbKeptFiles } from '../../src/storage/keptFilesIndexedDb';

it('keeps files by their names, over a new connection too', async () => {
  const name = `files-test-${Date.now()}`;
  try {
    const store = new IndexedDbKeptFiles(name);
    expect(await store.listFiles()).toEqual([]);
    expect(await store.loadFile('b.csv')).toBeUndefined();
    const large = new Uint8Array(5_000_000).fill(7);
    await Promise.all([store.saveFile('b.csv', large), store.saveFile('a.jsonl', Uint8Array.of(1, 2))]);
    const again = new IndexedDbKeptFiles(name);
    expect(await again.listFiles()).toEqual([
      { name: 'a.jsonl', sizeBytes: 2 },
      { name: 'b.csv', sizeBytes: 5_000_000 },
    ]);
    const loaded = (await again.loadFile('b.csv'))!;
    expect([loaded.length, loaded.every((byte) => byte === 7)]).toEqual([large.length, true]);
    await again.deleteFile('b.csv');
    await again.deleteFile('none');
    expect((await store.listFiles()).map((file) => file.name)).toEqual(['a.jsonl']);
  } finally {
    indexedDB.deleteDatabase(name);
  }
});
