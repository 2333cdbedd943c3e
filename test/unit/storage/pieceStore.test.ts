// Pieces of downloads: kept, checked, bounded, forgotten; the same for every place they may lie in.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  MemoryPieceStore,
  PlacedPieceStore,
  type PiecePlace,
  type PieceStoreOptions,
} from '../../../src/storage/pieceStore';
import { diskPieceStore } from '../../../src/storage/pieceStoreDisk';
import { patterned } from '../../support/patterned';

const folder = mkdtempSync(join(tmpdir(), 'pupil-pieces-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

const STORES: [string, (options?: PieceStoreOptions) => PlacedPieceStore][] = [
  ['memory', (options) => new MemoryPieceStore({ pieceBytes: 100, ...options })],
  ['disk', (options) => diskPieceStore(join(folder, String(folders++)), { pieceBytes: 100, ...options })],
];

for (const [name, make] of STORES) {
  describe(`piece store: ${name}`, () => {
    it('gives back what it was given, also when opened anew, and nothing else', async () => {
      const store = make();
      const file = await store.openFile('a/b@1', 'model#x', 250);
      expect(await file.read(0)).toBeUndefined();
      await file.write(0, patterned(100));
      await file.write(2, patterned(50, 2));
      const again = await store.openFile('a/b@1', 'model#x', 250);
      expect([0, 1, 2].map((i) => again.has(i))).toEqual([true, false, true]);
      expect(await again.read(0)).toEqual(patterned(100));
      expect(await again.read(2)).toEqual(patterned(50, 2));
      for (const [group, other, size] of [
        ['a/b@1', 'model#y', 250],
        ['a/b@2', 'model#x', 250],
        ['a/b@1', 'model#x', 251],
      ] as const) {
        expect((await store.openFile(group, other, size)).has(0)).toBe(false);
      }
    });

    it('forgets a group, and only that', async () => {
      const store = make();
      await (await store.openFile('a', 'f', 100)).write(0, patterned(100));
      await (await store.openFile('b', 'f', 100)).write(0, patterned(100));
      await store.forget('a');
      expect((await store.openFile('a', 'f', 100)).has(0)).toBe(false);
      expect((await store.openFile('b', 'f', 100)).has(0)).toBe(true);
    });

    it('is bounded: nobody’s downloads are thrown out first, then it is switched off with a warning', async () => {
      const store = make({ maxBytes: 400 });
      const warnings: string[] = [];
      store.onWarning = (text) => warnings.push(text);
      const file = await store.openFile('a', 'f', 1000);
      for (let i = 0; i < 6; i++) await file.write(i, patterned(100));
      expect([0, 1, 2, 3, 4, 5].filter((i) => file.has(i))).toEqual([0, 1, 2]);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/400 bytes are kept already/);
      expect(await file.read(1)).toEqual(patterned(100)); // what is kept stays of use
    });

    it('room that runs short switches it off, with a warning', async () => {
      const store = make({ freeBytes: () => Promise.resolve(2 ** 30) });
      const warnings: string[] = [];
      store.onWarning = (text) => warnings.push(text);
      const file = await store.openFile('a', 'f', 1000);
      await file.write(0, patterned(100));
      expect(file.has(0)).toBe(false);
      expect(warnings.join()).toMatch(/room is short/);
    });
  });
}

it('a former session’s download makes room for this one’s', async () => {
  const at = join(folder, 'shared');
  const options = { pieceBytes: 100, maxBytes: 300 };
  const former = diskPieceStore(at, options);
  await (await former.openFile('old', 'f', 200)).write(0, patterned(100));
  await (await former.openFile('old', 'f', 200)).write(1, patterned(100));
  const store = diskPieceStore(at, options);
  const file = await store.openFile('new', 'f', 200);
  await file.write(0, patterned(100));
  await file.write(1, patterned(100));
  expect([file.has(0), file.has(1)]).toEqual([true, true]);
  expect((await store.openFile('old', 'f', 200)).has(0)).toBe(false);
});

it('a damaged or shortened piece is not taken for one', async () => {
  const at = join(folder, 'damaged');
  const store = diskPieceStore(at, { pieceBytes: 100 });
  const file = await store.openFile('a', 'f', 300);
  for (let i = 0; i < 3; i++) await file.write(i, patterned(100));
  const paths = readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((path) => /[/\\]\d+$/.test(path))
    .sort();
  const bytes = readFileSync(join(at, paths[0]!));
  bytes[60]! ^= 1;
  writeFileSync(join(at, paths[0]!), bytes);
  writeFileSync(join(at, paths[1]!), '');
  const again = await store.openFile('a', 'f', 300);
  expect(await again.read(0)).toBeUndefined();
  expect(await again.read(1)).toBeUndefined();
  expect(await again.read(2)).toEqual(patterned(100));
  await again.write(0, patterned(100));
  expect(await again.read(0)).toEqual(patterned(100));
});

it('a place that fails costs the pieces, never the download', async () => {
  const fails = (): Promise<never> => Promise.reject(new Error('no such disk'));
  const place: PiecePlace = { list: fails, read: fails, write: fails, remove: fails };
  const store = new PlacedPieceStore(place, { pieceBytes: 100 });
  const warnings: string[] = [];
  store.onWarning = (text) => warnings.push(text);
  const file = await store.openFile('a', 'f', 100);
  await file.write(0, patterned(100));
  expect(await file.read(0)).toBeUndefined();
  await store.forget('a');
  expect(warnings.join()).toMatch(/no such disk/);
});
