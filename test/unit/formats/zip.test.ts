// zip.test.ts: zips are read as other programs write them, written as other programs read them, and hostile or damaged ones are
// refused before, or while, they are unpacked.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, unzipSync, zipSync, type Zippable } from 'fflate';
import { afterAll, describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/formats/byteSource';
import { crc32 } from '../../../src/formats/crc32';
import { openZip, type ZipLimits } from '../../../src/formats/zipRead';
import { writeZip, type ZipInput } from '../../../src/formats/zipWrite';

const LIMITS: ZipLimits = { entries: 100, fileBytes: 2 ** 24, totalBytes: 2 ** 25 };
const open = (bytes: Uint8Array, limits = LIMITS) => openZip(memorySource('run.zip', bytes), limits);

async function contents(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = {};
  for (const entry of await open(bytes)) out[entry.path] = await entry.read();
  return out;
}

async function written(files: readonly ZipInput[]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await writeZip(files, new Date('2026-03-01T12:00:00Z'), (bytes) => void pieces.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(pieces));
}

const FILES: ZipInput[] = [
  { path: 'run/report.json', bytes: strToU8('{"a": "ä🙂"}'.repeat(1000)) },
  { path: 'run/empty.jsonl', bytes: new Uint8Array(0) },
  {
    path: 'run/adapters/instruct/adapter_model.safetensors',
    bytes: Uint8Array.from({ length: 1_200_000 }, (_, i) => (i * 2654435761) >>> 24),
  },
];

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hashes = (files: Record<string, Uint8Array>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, hash(bytes)]));

const folder = mkdtempSync(join(tmpdir(), 'pupil-zip-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('crc32 gives the check value of its definition, over pieces too', () => {
  const digits = strToU8('123456789');
  expect(crc32(digits)).toBe(0xcbf43926);
  expect(crc32(digits.subarray(4), crc32(digits.subarray(0, 4)))).toBe(0xcbf43926);
});

describe('a zip that was written', () => {
  it('is read back byte for byte, by this reader and by two others', async () => {
    const zip = await written(FILES);
    const expected = Object.fromEntries(FILES.map(({ path, bytes }) => [path, bytes]));
    expect(hashes(await contents(zip))).toEqual(hashes(expected));
    expect(hashes(unzipSync(zip))).toEqual(hashes(expected));
    const file = join(folder, 'run.zip');
    writeFileSync(file, zip);
    execFileSync('python3', [
      '-c',
      'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2])',
      file,
      folder,
    ]);
    for (const { path, bytes } of FILES) expect(hash(readFileSync(join(folder, path)))).toBe(hash(bytes));
  });

  it('is the same for the same files and time, and deflates texts but not weights', async () => {
    const zip = await written(FILES);
    expect(hash(await written(FILES))).toBe(hash(zip));
    expect(zip.byteLength).toBeLessThan(1_200_000 + 3000);
    expect(zip.byteLength).toBeGreaterThan(1_200_000);
  });

  it('hands on what the sink throws', async () => {
    const full = writeZip(FILES, new Date(), () => Promise.reject(new Error('no room')));
    await expect(full).rejects.toThrow('no room');
  });
});

describe('a zip of another program', () => {
  it('is read with folders, stored and deflated files and a comment', async () => {
    const file = join(folder, 'python.zip');
    execFileSync('python3', [
      '-c',
      `import sys,zipfile
z=zipfile.ZipFile(sys.argv[1],'w')
z.mkdir('run') if hasattr(z,'mkdir') else z.writestr('run/','')
z.writestr('run/a.json','{}',zipfile.ZIP_STORED)
z.writestr('run/b.json','b'*5000,zipfile.ZIP_DEFLATED)
z.comment=b'a comment PK\\x05\\x06 that looks like an end'
z.close()`,
      file,
    ]);
    expect(await contents(new Uint8Array(readFileSync(file)))).toEqual({
      'run/a.json': strToU8('{}'),
      'run/b.json': strToU8('b'.repeat(5000)),
    });
  });
});

/** The directory's entry of a name: where its fields are. */
function entryAt(zip: Uint8Array, path: string): number {
  const name = strToU8(path);
  for (let at = zip.byteLength - 22; at >= 0; at--) {
    if (zip[at] !== 0x50 || zip[at + 1] !== 0x4b || zip[at + 2] !== 1 || zip[at + 3] !== 2) continue;
    if (name.every((byte, i) => zip[at + 46 + i] === byte)) return at;
  }
  throw new Error(`no ${path}`);
}

function changed(files: Zippable, change: (view: DataView, zip: Uint8Array) => void): Uint8Array {
  const zip = zipSync(files);
  change(new DataView(zip.buffer, zip.byteOffset, zip.byteLength), zip);
  return zip;
}

describe('a hostile zip is refused', () => {
  for (const path of [
    '../x',
    'a/../../x',
    '/etc/x',
    'C:/x',
    'a\\..\\x',
    'a//b',
    './a',
    'a\u0000b',
    `${'a/'.repeat(300)}b`,
  ]) {
    it(`with the name ${JSON.stringify(path.slice(0, 20))}`, async () => {
      await expect(open(zipSync({ [path]: strToU8('x') }))).rejects.toMatchObject({
        code: 'format',
        message: expect.stringContaining('expected a path inside the archive') as string,
      });
    });
  }

  it('with a file that comes twice, also in another case', async () => {
    for (const [a, b] of [
      ['a/b.json', 'a/c.json'],
      ['a/b.json', 'a/B.json'],
    ] as const) {
      const zip = changed({ [a]: strToU8('1'), [b]: strToU8('2') }, (_, bytes) => {
        if (b !== 'a/c.json') return;
        bytes[entryAt(bytes, b) + 46 + 2] = 'b'.charCodeAt(0);
      });
      await expect(open(zip)).rejects.toThrow('comes twice');
    }
  });

  it('with more files, larger files, or more bytes than the limits', async () => {
    const zip = zipSync({ a: new Uint8Array(100), b: new Uint8Array(100) }, { level: 0 });
    await expect(open(zip, { ...LIMITS, entries: 1 })).rejects.toThrow('expected at most 1 files, it lists 2');
    await expect(open(zip, { ...LIMITS, fileBytes: 99 })).rejects.toThrow('expected at most 99 bytes, it claims 100');
    await expect(open(zip, { ...LIMITS, totalBytes: 199 })).rejects.toThrow('expected at most 199 bytes in all');
  });

  it('that claims more than deflate can pack, without a byte of it being made', async () => {
    const zip = changed({ a: strToU8('abc') }, (view, bytes) =>
      view.setUint32(entryAt(bytes, 'a') + 24, 2 ** 24, true),
    );
    await expect(open(zip)).rejects.toThrow('it claims 16777216');
  });

  it('that claims less than it unpacks to: a bomb stops at what it claimed', async () => {
    const zip = changed({ a: new Uint8Array(3_000_000) }, (view, bytes) =>
      view.setUint32(entryAt(bytes, 'a') + 24, 1000, true),
    );
    const [entry] = await open(zip);
    await expect(entry!.read()).rejects.toThrow('expected 1000 bytes as its list says, there are more');
  });

  it('whose files share their packed bytes', async () => {
    const zip = changed({ a: strToU8('aaaa'), b: strToU8('bbbb') }, (view, bytes) => {
      // The second file's packed bytes are said to reach into the directory; the first's over the second.
      view.setUint32(entryAt(bytes, 'a') + 20, 60, true);
    });
    const [entry] = await open(zip);
    await expect(entry!.read()).rejects.toThrow('two overlap');
    const same = changed({ a: strToU8('aaaa'), b: strToU8('bbbb') }, (view, bytes) => {
      view.setUint32(entryAt(bytes, 'b') + 42, view.getUint32(entryAt(bytes, 'a') + 42, true), true);
      view.setUint32(entryAt(bytes, 'a') + 20, 60, true);
    });
    await expect((await open(same))[0]!.read()).rejects.toThrow('overlap');
  });

  it('that is encrypted, packed in an unknown way, or a zip64', async () => {
    const encrypted = changed({ a: strToU8('x') }, (view, bytes) => view.setUint16(entryAt(bytes, 'a') + 8, 1, true));
    await expect((await open(encrypted))[0]!.read()).rejects.toThrow('encrypted');
    const unknown = changed({ a: strToU8('x') }, (view, bytes) => view.setUint16(entryAt(bytes, 'a') + 10, 14, true));
    await expect((await open(unknown))[0]!.read()).rejects.toThrow('method 14');
    const zip64 = changed({ a: strToU8('x') }, (view, bytes) => view.setUint32(bytes.byteLength - 6, 0xffffffff, true));
    await expect(open(zip64)).rejects.toThrow('zip64');
  });
});

describe('a damaged zip', () => {
  it('is refused wherever it is cut off', async () => {
    const zip = zipSync({ 'report.json': strToU8('{"a":1}'.repeat(50)), b: strToU8('b') });
    for (let length = 0; length < zip.byteLength; length++) {
      await expect(open(zip.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ code: 'format' });
    }
  });

  it('with any one byte changed is refused, or still gives the same files', async () => {
    const zip = zipSync({ 'report.json': strToU8('{"a":1}'.repeat(50)) });
    const whole = await contents(zip);
    let refused = 0;
    for (let at = 0; at < zip.byteLength; at++) {
      const copy = zip.slice();
      copy[at]! ^= 0x55;
      const found = await contents(copy).catch((error: { code?: string }) => {
        expect(error.code, `byte ${at}`).toBe('format');
        refused++;
        return whole;
      });
      // A name is not covered by a checksum.
      expect(Object.values(found), `byte ${at}`).toEqual(Object.values(whole));
    }
    expect(refused).toBeGreaterThan(zip.byteLength / 3);
  });
});
