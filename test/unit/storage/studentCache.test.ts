// The promises of StudentCache in memory and on a disk alike (OPFS's are tested in the browser): an entry is there whole or
// not at all, leftovers are swept and nothing else is, locks hold, and what is damaged is named.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { STUDENT_CACHE_VERSION, studentKey, type StudentOrigin } from '../../../src/formats/studentManifest';
import type { CachePlace } from '../../../src/storage/cachePlace';
import { DiskCachePlace } from '../../../src/storage/cacheDisk';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';
import { PIECE_BYTES, type StudentWriter } from '../../../src/storage/studentWriter';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pupil-students-'));
  folders.push(path);
  return path;
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

const KEY = '0123456789abcdef0123456789abcdef';
const OTHER = 'fedcba9876543210fedcba9876543210';
const ORIGIN: StudentOrigin = {
  source: 'https://example.org/m/',
  address: 'https://example.org/m/',
  fingerprint: 'f',
  settings: { quantize: 'nf4', blockSize: 64, nestedBlockSize: 256 },
};
/** More than two pieces, no two alike. */
const WEIGHTS = Uint8Array.from({ length: 2 * PIECE_BYTES + 5 }, (_, i) => (i * 7 + (i >> 13)) & 255);
const CONFIG = new TextEncoder().encode('{"a":1}');

async function begin(cache: StudentCache, key = KEY): Promise<StudentWriter> {
  const writer = await cache.begin(key, ORIGIN, 1000);
  if (writer === undefined) throw new Error('expected a writer');
  return writer;
}

async function fill(writer: StudentWriter): Promise<void> {
  await writer.whole('config.json', CONFIG);
  await writer.create('model.safetensors', WEIGHTS.length);
  // The second half first: places, not order, say where bytes go.
  await writer.write('model.safetensors', 5, WEIGHTS.subarray(5), 'w');
  await writer.write('model.safetensors', 0, WEIGHTS.subarray(0, 5), 'header');
}

async function make(cache: StudentCache, key = KEY): Promise<void> {
  const writer = await begin(cache, key);
  await fill(writer);
  await writer.commit();
}

interface Place {
  place: CachePlace;
  change: (path: string, change: (bytes: Uint8Array) => Uint8Array | undefined) => void;
}

const PLACES: { name: string; make: () => Place }[] = [
  {
    name: 'memory',
    make: () => {
      const place = new MemoryCachePlace();
      return {
        place,
        change: (path, change) => {
          const files = place.entries.get(KEY)!;
          const changed = change(files.get(path)!.slice());
          if (changed === undefined) files.delete(path);
          else files.set(path, changed);
        },
      };
    },
  },
  {
    name: 'disk',
    make: () => {
      const directory = folder();
      return {
        place: new DiskCachePlace(directory),
        change: (name, change) => {
          const path = join(directory, KEY, name);
          const changed = change(new Uint8Array(readFileSync(path)));
          if (changed === undefined) rmSync(path);
          else writeFileSync(path, changed);
        },
      };
    },
  },
];

describe.each(PLACES)('a cache of students in $name', ({ make: makePlace }) => {
  it('gives back what was written, in ranges across pieces, and lists it', async () => {
    const { place } = makePlace();
    const cache = new StudentCache(place, () => new Date('2026-01-02T03:04:05Z'));
    await make(cache);
    await cache.read(KEY, async ({ open, manifest, damage }) => {
      expect(manifest).toMatchObject(ORIGIN);
      const file = (await open('model.safetensors'))!;
      expect(file.size).toBe(WEIGHTS.length);
      for (const [start, end] of [
        [0, 0],
        [0, 5],
        [3, 9],
        [PIECE_BYTES, PIECE_BYTES + 8],
        [PIECE_BYTES - 1, WEIGHTS.length],
        [0, WEIGHTS.length],
      ] as const) {
        expect(Buffer.compare(await file.read(start, end), WEIGHTS.subarray(start, end)), `${start}..${end}`).toBe(0);
      }
      expect(await open('tokenizer.json')).toBeUndefined();
      expect(damage).toEqual([]);
    });
    await cache.touch(KEY);
    expect(await cache.list()).toEqual([
      {
        key: KEY,
        source: ORIGIN.source,
        settings: ORIGIN.settings,
        sizeBytes: WEIGHTS.length + CONFIG.length,
        madeAt: '2026-01-02T03:04:05.000Z',
        usedAt: '2026-01-02T03:04:05.000Z',
      },
    ]);
    expect(await cache.verify(KEY)).toMatchObject({ problems: [], pieces: 4 });
  });

  it('reads and checks a piece once for all who ask for parts of it, one after the other or at once', async () => {
    const { place } = makePlace();
    await make(new StudentCache(place));
    let reads = 0;
    const counting = new Proxy(place, {
      get: (target, name) => {
        if (name !== 'open')
          return (target[name as keyof CachePlace] as () => unknown).bind?.(target) ?? target[name as never];
        return async (entry: string, path: string) => {
          const file = (await target.open(entry, path))!;
          return { ...file, read: (start: number, end: number) => (reads++, file.read(start, end)) };
        };
      },
    });
    await new StudentCache(counting).read(KEY, async ({ open }) => {
      const file = (await open('model.safetensors'))!;
      const half = PIECE_BYTES / 2;
      const places = [5, 5 + half, 5 + 2 * half, 5 + 3 * half];
      const parts = await Promise.all(places.map((at) => file.read(at, at + half)));
      parts.forEach((part, i) => {
        expect(Buffer.compare(part, WEIGHTS.subarray(places[i], places[i]! + half))).toBe(0);
      });
      await file.read(7 + 3 * half, 9 + 3 * half);
    });
    expect(reads).toBe(2);
  });

  it('has no entry before its commit; what a crash leaves is swept at the next start, what is being written is not', async () => {
    const { place } = makePlace();
    const first = new StudentCache(place);
    await make(first, OTHER);
    const writer = await begin(first);
    await fill(writer);
    // Another start while it writes.
    expect(await new StudentCache(place).sweep()).toEqual([]);
    expect((await first.list()).map(({ key }) => key)).toEqual([OTHER]);
    await writer.abort();
    expect((await place.list()).sort()).toEqual([OTHER]);
    // A crash: everything is written but the manifest, and nobody holds the lock.
    await (await place.create(KEY, 'model.safetensors', 10)).close();
    expect(await first.find(KEY)).toBeUndefined();
    expect(await new StudentCache(place).sweep()).toEqual([KEY]);
    expect(await place.list()).toEqual([OTHER]);
  });

  it('refuses to commit a file with a hole, an overlap, or bytes missing', async () => {
    for (const [at, length, claim] of [
      [6, 4, 'hole'],
      [4, 6, 'overlap'],
      [5, 4, 'end'],
    ] as const) {
      const { place } = makePlace();
      const cache = new StudentCache(place);
      const writer = await begin(cache);
      await writer.create('a', 10);
      await writer.write('a', 0, new Uint8Array(5), 'x');
      await writer.write('a', at, new Uint8Array(length), 'y');
      await expect(writer.commit(), claim).rejects.toMatchObject({ code: 'storage' });
      await writer.abort();
      expect(await cache.list()).toEqual([]);
    }
  });

  it('names a flipped bit in any piece, a cut and a missing file, when read and when verified', async () => {
    for (const [at, part] of [
      [2, 'header'],
      [5, '"w"'],
      [PIECE_BYTES + 4, '"w"'],
      [WEIGHTS.length - 1, '"w"'],
    ] as const) {
      const { place, change } = makePlace();
      const cache = new StudentCache(place);
      await make(cache);
      change('model.safetensors', (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
      const { problems } = await cache.verify(KEY);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^model.safetensors: ${part}: bytes \\d+\\.\\.\\d+: checksum differs$`));
      await cache.read(KEY, async ({ open, damage }) => {
        const file = (await open('model.safetensors'))!;
        await expect(file.read(at, at + 1)).rejects.toMatchObject({ code: 'storage' });
        expect(damage).toEqual(problems);
      });
    }
    for (const lost of [(bytes: Uint8Array) => bytes.subarray(0, 9), () => undefined]) {
      const { place, change } = makePlace();
      const cache = new StudentCache(place);
      await make(cache);
      change('model.safetensors', lost);
      expect((await cache.verify(KEY)).problems.join()).toContain('model.safetensors: expected');
      const reading = cache.read(KEY, ({ open }) => open('model.safetensors'));
      await expect(reading).rejects.toMatchObject({ code: 'storage' });
    }
  });

  it('takes no entry whose manifest is altered by a single bit', async () => {
    const { place, change } = makePlace();
    await make(new StudentCache(place));
    const length = (await place.readFile(KEY, 'manifest.json'))!.length;
    for (const at of [0, 20, length >> 1, length - 5, length - 1]) {
      change('manifest.json', (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
      expect(await new StudentCache(place).find(KEY), `byte ${at}`).toBeUndefined();
      change('manifest.json', (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
    }
    expect(await new StudentCache(place).find(KEY)).toBeDefined();
  });

  it('neither uses nor sweeps an entry of another version: it is listed with what is wrong, and can be deleted', async () => {
    const { place, change } = makePlace();
    const cache = new StudentCache(place);
    await make(cache);
    change('manifest.json', (bytes) =>
      new TextEncoder().encode(
        new TextDecoder()
          .decode(bytes)
          .replace(`"version":${STUDENT_CACHE_VERSION}`, `"version":${STUDENT_CACHE_VERSION + 1}`),
      ),
    );
    const next = new StudentCache(place);
    expect(await next.sweep()).toEqual([]);
    expect(await next.find(KEY)).toBeUndefined();
    const [listed] = await next.list();
    expect(listed!.problem).toContain(`this one has version ${STUDENT_CACHE_VERSION + 1}`);
    expect(listed!.sizeBytes).toBeGreaterThan(WEIGHTS.length);
    await next.delete(KEY);
    expect(await place.list()).toEqual([]);
  });

  it('lets one write and several read: no second writer, no deletion while it is open, no reading while it is written', async () => {
    const { place } = makePlace();
    const [one, two] = [new StudentCache(place), new StudentCache(place)];
    const writer = await begin(one);
    expect(await two.begin(KEY, ORIGIN, 1)).toBeUndefined();
    await expect(two.read(KEY, () => Promise.resolve())).rejects.toMatchObject({ code: 'storage' });
    await expect(two.verify(KEY)).rejects.toMatchObject({ code: 'storage' });
    await fill(writer);
    await writer.commit();
    await one.read(KEY, async () => {
      await two.read(KEY, async ({ open }) => void (await open('config.json'))!.read(0, 3));
      await expect(two.delete(KEY)).rejects.toMatchObject({ code: 'usage' });
      expect(await two.begin(KEY, ORIGIN, 1)).toBeUndefined();
    });
    await two.delete(KEY);
    expect(await one.list()).toEqual([]);
    await expect(two.delete(KEY)).rejects.toMatchObject({ code: 'storage' });
  });

  it('finds the newest of an address and settings, and takes older ones away when told', async () => {
    const { place } = makePlace();
    let time = 0;
    const cache = new StudentCache(place, () => new Date(Date.UTC(2026, 0, 1) + 1000 * time++));
    await make(cache, OTHER);
    await make(cache, KEY);
    expect((await cache.findAddress(ORIGIN.address!, ORIGIN.settings))!.key).toBe(KEY);
    expect(await cache.findAddress('https://example.org/n/', ORIGIN.settings)).toBeUndefined();
    expect(await cache.findAddress(ORIGIN.address!, { ...ORIGIN.settings, quantize: 'none' })).toBeUndefined();
    await cache.deleteOlder((await cache.find(KEY))!);
    expect(await place.list()).toEqual([KEY]);
  });

  it('refuses keys that are no keys', async () => {
    const cache = new StudentCache(makePlace().place);
    for (const key of ['', '..', '../../etc', KEY.toUpperCase(), `${KEY}0`]) {
      await expect(cache.delete(key)).rejects.toMatchObject({ code: 'usage' });
      await expect(cache.verify(key)).rejects.toMatchObject({ code: 'usage' });
      await expect(cache.begin(key, ORIGIN, 1)).rejects.toMatchObject({ code: 'usage' });
    }
  });
});

describe('a cache on a disk', () => {
  it('leaves alone what is not its own, whatever folder it is given', async () => {
    const directory = folder();
    mkdirSync(join(directory, 'my-model'));
    writeFileSync(join(directory, 'my-model', 'model.safetensors'), 'x');
    writeFileSync(join(directory, 'notes.txt'), 'x');
    const cache = new StudentCache(new DiskCachePlace(directory));
    await make(cache);
    expect(await cache.sweep()).toEqual([]);
    expect(await cache.list()).toHaveLength(1);
    expect(readdirSync(directory).sort()).toEqual([KEY, 'my-model', 'notes.txt'].sort());
    expect(existsSync(join(directory, 'my-model', 'model.safetensors'))).toBe(true);
  });

  it('another process that lives keeps others from writing; one that was killed does not', async () => {
    const directory = folder();
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const { hostname } = await import('node:os');
    writeFileSync(join(directory, `${KEY}.lock`), JSON.stringify({ processId: child.pid, host: hostname(), started }));
    const cache = new StudentCache(new DiskCachePlace(directory));
    expect(await cache.begin(KEY, ORIGIN, 1)).toBeUndefined();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
    await make(cache);
    expect(readdirSync(directory)).toEqual([KEY]);
  });

  it('says what cannot be written', async () => {
    const directory = folder();
    writeFileSync(join(directory, 'file'), 'x');
    const cache = new StudentCache(new DiskCachePlace(join(directory, 'file')));
    await expect(cache.begin(KEY, ORIGIN, 1)).rejects.toMatchObject({ code: 'storage' });
  });
});

describe('a key', () => {
  const identity = { source: 's', fingerprint: 'f', versions: { 'config.json': '1 a', 'model.safetensors': '2 b' } };
  const settings = { quantize: 'nf4-double' as const, blockSize: 64, nestedBlockSize: 256 };

  it('changes with all that changes the packed bits', async () => {
    const keys = await Promise.all([
      studentKey(identity, settings),
      studentKey({ ...identity, source: 't' }, settings),
      studentKey({ ...identity, fingerprint: 'g' }, settings),
      studentKey({ ...identity, versions: { ...identity.versions, 'config.json': '1 c' } }, settings),
      studentKey({ ...identity, versions: {} }, settings),
      studentKey(identity, { ...settings, quantize: 'nf4' }),
      studentKey(identity, { ...settings, quantize: 'none' }),
      studentKey(identity, { ...settings, blockSize: 128 }),
      studentKey(identity, { ...settings, nestedBlockSize: 128 }),
    ]);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
  });

  it('changes with nothing else: the order of files, block sizes where nothing is quantised', async () => {
    const turned = { 'model.safetensors': '2 b', 'config.json': '1 a' };
    expect(await studentKey({ ...identity, versions: turned }, settings)).toBe(await studentKey(identity, settings));
    const dense = { ...settings, quantize: 'none' as const };
    expect(await studentKey(identity, { ...dense, blockSize: 32 })).toBe(await studentKey(identity, dense));
    const single = { ...settings, quantize: 'nf4' as const };
    expect(await studentKey(identity, { ...single, nestedBlockSize: 32 })).toBe(await studentKey(identity, single));
  });
});
