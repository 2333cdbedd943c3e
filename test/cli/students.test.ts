// students.test.ts: `pupil students` on a folder with real entries, the cache flags of the verbs that load a student, and the
// cache in a folder behind the file server, as headless Chrome uses it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startFileServer, type FileServer } from '../../src/cli/fileServer';
import type { StudentOrigin } from '../../src/formats/studentManifest';
import { DiskCachePlace } from '../../src/storage/cacheDisk';
import { HttpCachePlace } from '../../src/storage/cacheHttp';
import { StudentCache } from '../../src/storage/studentCache';
import { GOLDEN, jsonLines, pupil } from './fakeSession';

const KEYS = ['0123456789abcdef0123456789abcdef', '0123456789ffffff0123456789abcdef'] as const;
const ORIGIN: StudentOrigin = {
  source: 'https://example.org/m/',
  fingerprint: 'f',
  settings: { quantize: 'nf4-double', blockSize: 64, nestedBlockSize: 256 },
};

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-students-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function make(cache: StudentCache, key: string): Promise<void> {
  const writer = (await cache.begin(key, ORIGIN, 1))!;
  await writer.create('model.safetensors', 3_000_000);
  await writer.write('model.safetensors', 1_000_000, new Uint8Array(2_000_000).fill(7), 'w');
  await writer.write('model.safetensors', 0, new Uint8Array(1_000_000).fill(3), 'header');
  await writer.commit();
}

describe('pupil students', () => {
  beforeEach(async () => {
    for (const key of KEYS) await make(new StudentCache(new DiskCachePlace(folder)), key);
  });

  it('lists for people and machines, without any host', async () => {
    const people = await pupil(['students', 'list', '--cache', folder]);
    expect(people.code).toBe(0);
    expect(people.hosts).toHaveLength(0);
    expect(people.out).toMatch(/0123456789ab +2\.9 MiB +nf4-double .* https:\/\/example\.org\/m\//);
    const rows = jsonLines((await pupil(['students', 'list', '--cache', folder, '--json'])).out);
    expect(rows.map(({ type, key }) => [type, key]).sort()).toEqual(KEYS.map((key) => ['cached-student', key]));
    expect(rows[0]).toMatchObject({ source: ORIGIN.source, sizeBytes: 3_000_000, settings: ORIGIN.settings });
  });

  it('prints the folder: of the flag, else in the cache of Pupil', async () => {
    expect((await pupil(['students', 'path', '--cache', folder])).out.trim()).toBe(resolve(folder));
    expect((await pupil(['students', 'path'])).out.trim()).toMatch(/students$/);
  });

  it('verifies one by the beginning of its key, or all; code 1 and the place where one is damaged', async () => {
    const fine = await pupil(['students', 'verify', '--cache', folder]);
    expect(fine.code).toBe(0);
    expect(fine.out.match(/whole \(2 checksums\)/g)).toHaveLength(2);
    const file = join(folder, KEYS[1], 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[2_500_000]! ^= 1;
    writeFileSync(file, bytes);
    const damaged = await pupil(['students', 'verify', '0123456789f', '--cache', folder]);
    expect(damaged.code).toBe(1);
    expect(damaged.out).toContain('model.safetensors: "w": bytes 1000000..3000000: checksum differs');
    expect((await pupil(['students', 'verify', KEYS[0], '--cache', folder])).code).toBe(0);
  });

  it('deletes the one that is meant, and none where that is not clear', async () => {
    for (const wrong of [['0123'], ['777'], [''], [], [KEYS[0], '--all']]) {
      const { code, err } = await pupil(['students', 'delete', ...wrong, '--cache', folder]);
      expect(code, wrong.join()).toBe(2);
      expect(err).toContain('students');
    }
    expect(readdirSync(folder)).toHaveLength(2);
    expect((await pupil(['students', 'delete', '0123456789f', '--cache', folder])).code).toBe(0);
    expect(readdirSync(folder)).toEqual([KEYS[0]]);
    expect((await pupil(['students', 'delete', '--all', '--cache', folder])).code).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    expect((await pupil(['students', 'list', '--cache', folder])).err).toContain('no cached students');
  });
});

describe('the cache flags', () => {
  const asked = async (flags: string[]): Promise<{ cache: unknown; place: string }> => {
    const { calls, code } = await pupil([
      'inspect',
      'generate',
      '--student',
      join(GOLDEN, 'llama-tiny'),
      '--prompts',
      join(GOLDEN, 'llama-tiny/config.json'),
      '--out',
      join(folder, 'out.json'),
      ...flags,
    ]);
    expect(code).toBe(0);
    const find = (method: string): Record<string, unknown> =>
      calls.find((call) => call.method === method)!.args[0] as Record<string, unknown>;
    const request = find('inspect');
    expect(request['options']).not.toHaveProperty('cache');
    return { cache: request['cache'], place: (find('open')['studentFiles'] as { directory: string }).directory };
  };

  it('say nothing, a folder, or no', async () => {
    expect(await asked([])).toMatchObject({ cache: undefined, place: expect.stringMatching(/students$/) as string });
    expect(await asked(['--cache', folder])).toEqual({ cache: 'on', place: `folder:${resolve(folder)}` });
    expect((await asked(['--no-cache'])).cache).toBe('off');
  });

  it.each(['run', 'eval', 'inspect logits'])('are told by --help of %s', async (verb) => {
    const { out } = await pupil([...verb.split(' '), '--help']);
    expect(out).toContain('--cache <dir>');
    expect(out).toContain('--no-cache');
  });
});

describe('a cache behind the file server', () => {
  let server: FileServer;
  beforeEach(async () => {
    server = await startFileServer();
  });
  afterEach(() => server.close());

  it('is written in pieces, read in ranges, verified and deleted; a disk cache of the same folder sees the same', async () => {
    const place = new HttpCachePlace(server.shareOwn(folder));
    const cache = new StudentCache(place);
    await make(cache, KEYS[0]);
    const onDisk = new StudentCache(new DiskCachePlace(folder));
    expect((await onDisk.verify(KEYS[0])).problems).toEqual([]);
    expect(await cache.list()).toEqual(await onDisk.list());
    expect(await cache.verify(KEYS[0])).toMatchObject({ problems: [], pieces: 2 });
    await cache.touch(KEYS[0]);
    expect((await onDisk.list())[0]!.usedAt).toBeDefined();
    await cache.delete(KEYS[0]);
    expect(await place.list()).toEqual([]);
  });

  it('sweeps what was not finished, and is locked against other processes and pages', async () => {
    const place = new HttpCachePlace(server.shareOwn(folder));
    const writer = (await new StudentCache(place).begin(KEYS[0], ORIGIN, 1))!;
    await writer.whole('a', new Uint8Array(5));
    const other = new HttpCachePlace(server.shareOwn(folder));
    expect(await new StudentCache(other).begin(KEYS[0], ORIGIN, 1)).toBeUndefined();
    expect(await new StudentCache(other).sweep()).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual([KEYS[0], `${KEYS[0]}.lock`]);
    await writer.abort();
    await expect.poll(() => readdirSync(folder)).toEqual([]);
    await (await place.create(KEYS[1], 'a', 3)).write(0, new Uint8Array(3));
    expect(await new StudentCache(other).sweep()).toEqual([KEYS[1]]);
  });

  it('writes and deletes nothing outside the folder, nor the folder itself, and refuses parts that do not fit', async () => {
    const base = server.shareOwn(join(folder, 'students'));
    const outside = join(folder, 'kept.txt');
    writeFileSync(outside, 'x');
    const send = async (path: string, init: RequestInit): Promise<number> => (await fetch(base + path, init)).status;
    expect(await send('%2e%2e/kept.txt', { method: 'DELETE' })).toBe(404);
    expect(await send('', { method: 'DELETE' })).toBe(403);
    expect(readFileSync(outside, 'utf8')).toBe('x');
    const part = { method: 'PUT', body: 'abc', headers: { 'content-range': 'bytes 0-4/9' } };
    expect(await send('a/b', part)).toBe(400);
    const readOnly = server.shareFolder(folder);
    expect((await fetch(`${readOnly}kept.txt`, { method: 'DELETE' })).status).toBe(405);
    expect(readFileSync(outside, 'utf8')).toBe('x');
  });
});
