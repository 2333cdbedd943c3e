// studentCaching.test.ts: which students the cache has a part in, and what those behind a network are found by, without asking
// it. No GPU, no weights: those are in cachedStudents.test.ts.
import { describe, expect, it } from 'vitest';
import { openWithCache, type PlainStudent, type StudentChoice } from '../../../src/session/studentCaching';
import { settingsOf } from '../../../src/session/studentSink';
import type { CacheUse } from '../../../src/session/studentProtocol';
import type { FileRoot } from '../../../src/sources/fileRoot';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';

const KEY = '0123456789abcdef0123456789abcdef';
const DISK: FileRoot = { kind: 'disk', directory: '/' };

async function cacheWith(address: string): Promise<StudentCache> {
  const cache = new StudentCache(new MemoryCachePlace());
  const origin = { source: `${address}#commit`, address, fingerprint: 'f', settings: settingsOf('nf4') };
  const writer = (await cache.begin(KEY, origin, 1))!;
  await writer.whole('config.json', new TextEncoder().encode('{}'));
  await writer.commit();
  return cache;
}

/** Whether the student was read from the entry, and whether its source was touched. */
async function opened(
  cache: StudentCache,
  source: unknown,
  root: FileRoot = DISK,
  use: CacheUse | undefined = undefined,
): Promise<{ cached: boolean; asked: number; caching: boolean }> {
  let [asked, cached] = [0, false];
  const student = await openWithCache(
    { cache, use, root },
    {
      student: { source, quantize: 'nf4' } as StudentChoice,
      source: 'words',
      open: () => {
        asked++;
        return Promise.resolve(undefined);
      },
      read: async (open, manifest) => {
        await open('config.json');
        cached ||= manifest !== undefined;
        return { report: { fingerprint: 'f', source: 'words' }, notes: [] } as unknown as PlainStudent;
      },
    },
  );
  return { cached, asked, caching: student.caching !== undefined };
}

const HIT = { cached: true, asked: 0, caching: true };
const MISS = { cached: false, asked: 1, caching: true };
const NONE = { cached: false, asked: 1, caching: false };

describe('a student behind a network is found by its address alone', () => {
  const remote: FileRoot = { kind: 'http', base: 'https://example.org/data/' };
  it.each<[claim: string, address: string, source: unknown, root: FileRoot]>([
    ['a URL', 'https://example.org/m/', { kind: 'url', url: 'https://example.org/m' }, DISK],
    [
      'a URL with user and token',
      'https://example.org/m/',
      { kind: 'url', url: 'https://a:b@example.org/m/?t=x' },
      DISK,
    ],
    ['the Hub', 'hub:o/n@main', { kind: 'hub', repo: 'o/n' }, DISK],
    ['the Hub at a revision', 'hub:o/n@v1', { kind: 'hub', repo: 'o/n', revision: 'v1' }, DISK],
    [
      'another Hub',
      'hub:o/n@main at https://h.example/',
      { kind: 'hub', repo: 'o/n', endpoint: 'https://h.example' },
      DISK,
    ],
    ['a folder named as of the Hub', 'hub:o/n@v1', { kind: 'directory', path: 'hub:o/n@v1' }, DISK],
    ['a folder of a server', 'https://example.org/data/m/', { kind: 'directory', path: 'm' }, remote],
  ])('%s', async (_claim, address, source, root) => {
    expect(await opened(await cacheWith(address), source, root)).toEqual(HIT);
    expect(await opened(await cacheWith(`${address}x`), source, root)).toEqual(MISS);
    expect(await opened(await cacheWith(address), source, root, 'refresh')).toEqual(MISS);
    expect(await opened(await cacheWith(address), source, root, 'off')).toEqual(NONE);
  });

  it('but not where it is to be packed in another way', async () => {
    const cache = new StudentCache(new MemoryCachePlace());
    const origin = { source: 's', address: 'hub:o/n@main', fingerprint: 'f', settings: settingsOf('nf4-double') };
    await (await cache.begin(KEY, origin, 1))!.commit();
    expect(await opened(cache, { kind: 'hub', repo: 'o/n' })).toEqual(MISS);
  });
});

describe('unasked the cache has no part in', () => {
  it.each<[claim: string, source: unknown, root: FileRoot]>([
    ['a folder of the disk', { kind: 'directory', path: 'm' }, DISK],
    ['a folder at hand', { kind: 'directory', path: 'm' }, { kind: 'memory', files: {} }],
    ['a bundled student', { kind: 'bundled', name: 'm' }, { kind: 'http', base: 'https://example.org/' }],
  ])('%s; asked, it has', async (_claim, source, root) => {
    const cache = new StudentCache(new MemoryCachePlace());
    expect(await opened(cache, source, root)).toEqual(NONE);
    expect(await opened(cache, source, root, 'on')).toEqual(MISS);
  });

  it('but in a folder that was picked it has', async () => {
    const picked = { kind: 'blobs', files: {} } as unknown as FileRoot;
    const cache = new StudentCache(new MemoryCachePlace());
    expect(await opened(cache, { kind: 'directory', path: 'm' }, picked)).toEqual(MISS);
    // Beside an experiment's files on a server; what is not picked is as it was.
    const rest = { kind: 'memory', files: {} } as const;
    const mounted = { kind: 'mounted', at: 'picked:m', root: picked, rest } as const;
    expect(await opened(cache, { kind: 'directory', path: 'picked:m' }, mounted)).toEqual(MISS);
    expect(await opened(cache, { kind: 'directory', path: 'm' }, mounted)).toEqual(NONE);
  });
});
