// File roots: what is behind a path is read exactly, or the failure names the URL and what to do. The http root is held
// against a local server that misbehaves on purpose.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openFileRoot } from '../../../src/sources/fileRoot';
import type { OpenRoot } from '../../../src/sources/openRoot';
import { openHttpRoot } from '../../../src/sources/http';
import { writeStream } from '../../../src/sources/writeStream';

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 251);

let server: Server;
let base: string;
let requests: { method: string; url: string; range: string | undefined }[] = [];
const uploads = new Map<string, Buffer>();
/** How often /flaky has failed; it fails twice, then serves. */
let failures = 0;

function sendRange(request: IncomingMessage, response: ServerResponse, content: Uint8Array, etag?: string): void {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (match === null) {
    response.writeHead(200, { 'content-length': content.byteLength }).end(content);
    return;
  }
  const start = Number(match[1]);
  const end = Math.min(Number(match[2]) + 1, content.byteLength);
  if (start >= content.byteLength) {
    response.writeHead(416, { 'content-range': `bytes */${content.byteLength}` }).end();
    return;
  }
  response
    .writeHead(206, {
      'content-range': `bytes ${start}-${end - 1}/${content.byteLength}`,
      'content-length': end - start,
      ...(etag === undefined ? {} : { etag }),
    })
    .end(content.subarray(start, end));
}

/** Opening a file asks for its first one or two bytes. */
function isProbe(request: IncomingMessage): boolean {
  return /^bytes=0-[01]$/.test(request.headers.range ?? '');
}

const HANDLERS: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/files/good.bin': (request, response) => sendRange(request, response, CONTENT),
  '/files/empty.bin': (request, response) => sendRange(request, response, new Uint8Array(0)),
  '/files/a%20%23%20b.txt': (request, response) => sendRange(request, response, new TextEncoder().encode('héllo')),
  '/files/100%2541%20%C3%BC%3F.txt': (request, response) =>
    sendRange(request, response, new TextEncoder().encode('odd')),
  '/files/no-ranges.bin': (_, response) =>
    response.writeHead(200, { 'content-length': CONTENT.byteLength }).end(CONTENT),
  '/files/moved.bin': (_, response) => response.writeHead(302, { location: '/files/good.bin' }).end(),
  '/files/flaky.bin': (request, response) => {
    if (failures++ < 2) response.writeHead(failures === 1 ? 500 : 503).end();
    else sendRange(request, response, CONTENT);
  },
  '/files/broken.bin': (_, response) => response.writeHead(500).end(),
  '/files/forbidden.bin': (_, response) => response.writeHead(403).end(),
  '/files/truncated.bin': (request, response) => {
    if (isProbe(request)) return sendRange(request, response, CONTENT);
    response.writeHead(206, { 'content-range': 'bytes 0-999/1000', 'content-length': 1000 });
    response.write(CONTENT.subarray(0, 100));
    setTimeout(() => response.destroy(), 5);
  },
  '/files/short-chunked.bin': (request, response) => {
    if (isProbe(request)) return sendRange(request, response, CONTENT);
    response.writeHead(206, { 'content-range': 'bytes 0-999/1000' }).end(CONTENT.subarray(0, 100)); // no length
  },
  '/files/changing.bin': (request, response) => {
    const first = isProbe(request);
    sendRange(request, response, first ? CONTENT : CONTENT.subarray(0, 900));
  },
  '/files/replaced.bin': (request, response) => sendRange(request, response, CONTENT, isProbe(request) ? '"a"' : '"b"'),
  '/files/missing-but-page.json': (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>'),
};

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = request.url ?? '';
    requests.push({ method: request.method ?? '', url, range: request.headers.range });
    if (request.method === 'PUT') {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        uploads.set(url, Buffer.concat(parts));
        response.writeHead(url.includes('full') ? 507 : 201).end();
      });
      return;
    }
    const handler = HANDLERS[url];
    if (handler === undefined) response.writeHead(404).end();
    else handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/files/`;
});
afterAll(() => server.close());
beforeEach(() => {
  requests = [];
  failures = 0;
});

const root = (options: Parameters<typeof openHttpRoot>[1] = {}): OpenRoot =>
  openHttpRoot(base, { retryMs: 1, ...options });

describe('http root', () => {
  it('reads ranges, and only those', async () => {
    const file = (await root().open('good.bin'))!;
    expect(file.size).toBe(1000);
    expect(await file.read(10, 20)).toEqual(CONTENT.slice(10, 20));
    expect(await file.read(5, 5)).toEqual(new Uint8Array(0));
    expect(requests.map(({ range }) => range).at(-1)).toBe('bytes=10-19');
  });

  it('cuts long reads into several requests and joins them', async () => {
    const file = (await root({ rangeBytes: 300 }).open('good.bin'))!;
    expect(await file.read(0, 1000)).toEqual(CONTENT);
    expect(requests.slice(-4).map(({ range }) => range)).toEqual([
      'bytes=0-299',
      'bytes=300-599',
      'bytes=600-899',
      'bytes=900-999',
    ]);
  });

  it('a missing file is undefined, and an error when its contents are wanted', async () => {
    expect(await root().open('nothing.bin')).toBeUndefined();
    await expect(root().readText('nothing.bin')).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('nothing.bin') as string,
    });
  });

  it('a page served in place of a missing file is not taken for the file', async () => {
    expect(await root().open('missing-but-page.json')).toBeUndefined();
  });

  it('an empty file has size 0', async () => {
    expect((await root().open('empty.bin'))!.size).toBe(0);
  });

  it('names with spaces, # and non-ASCII contents', async () => {
    expect(await root().readText('a # b.txt')).toBe('héllo');
  });

  it('names are names: what looks like an escape is none, ? and ü are part of them', async () => {
    expect(await root().readText('100%41 ü?.txt')).toBe('odd');
  });

  it('a path that begins with a slash lies under the root as well', async () => {
    expect(await root().readText('/a # b.txt')).toBe('héllo');
  });

  it('follows redirects', async () => {
    expect(await root().readBytes('moved.bin')).toEqual(CONTENT);
  });

  it('a server without ranges: the file is taken whole, within a limit', async () => {
    const file = (await root().open('no-ranges.bin'))!;
    expect(await file.read(990, 1000)).toEqual(CONTENT.slice(990));
    await expect(root({ wholeBytes: 999 }).open('no-ranges.bin')).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('byte ranges') as string,
    });
  });

  it('tries again after 500 and 503', async () => {
    expect(await root().readBytes('flaky.bin')).toEqual(CONTENT);
    expect(failures).toBeGreaterThan(2);
  });

  it('gives up with status and count where the server stays broken', async () => {
    await expect(root({ attempts: 3 }).open('broken.bin')).rejects.toMatchObject({
      code: 'source',
      message: expect.stringMatching(/broken\.bin.*status 500.* 3 times/) as string,
    });
    expect(requests).toHaveLength(3);
  });

  it('does not try again what was forbidden', async () => {
    await expect(root().open('forbidden.bin')).rejects.toMatchObject({ code: 'source' });
    expect(requests).toHaveLength(1);
  });

  for (const name of ['truncated.bin', 'short-chunked.bin']) {
    it(`${name}: a body shorter than promised is an error, never short data`, async () => {
      const file = (await root({ attempts: 2 }).open(name))!;
      await expect(file.read(0, 1000)).rejects.toMatchObject({ code: 'source' });
    });
  }

  for (const name of ['changing.bin', 'replaced.bin']) {
    it(`${name}: a file that became another between two ranges is an error`, async () => {
      const file = (await root().open(name))!;
      await expect(file.read(0, 10)).rejects.toMatchObject({
        code: 'source',
        message: expect.stringContaining('another one') as string,
      });
    });
  }

  it('no server at all: says so after the last try', async () => {
    const nobody = openHttpRoot('http://127.0.0.1:1/', { attempts: 2, retryMs: 1 });
    await expect(nobody.open('x')).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('no connection') as string,
    });
  });

  it('sends blobs, whose bytes a browser does not tell its driver', async () => {
    const bodies: unknown[] = [];
    const heard: typeof fetch = (input, init) => {
      bodies.push(init?.body);
      return fetch(input, init);
    };
    const to = root({ fetch: heard });
    await to.write('out.bin', CONTENT);
    const writer = await to.create('out.bin');
    await writer.write(new Uint8Array(8 * 2 ** 20)); // a whole piece
    expect(bodies).toHaveLength(2);
    for (const body of bodies) expect(body).toBeInstanceOf(Blob);
  });

  it('writes with PUT; no room left is storage-full', async () => {
    await root().write('out/report.json', new TextEncoder().encode('{}'));
    expect(uploads.get('/files/out/report.json')?.toString()).toBe('{}');
    await expect(root().write('out/full.bin', CONTENT)).rejects.toMatchObject({ code: 'storage-full' });
  });
});

describe('disk and memory roots', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pupil-root-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const roots: [string, () => OpenRoot][] = [
    ['disk', () => openFileRoot({ kind: 'disk', directory })],
    ['memory', () => openFileRoot({ kind: 'memory', files: {} })],
  ];
  for (const [name, make] of roots) {
    it(`${name}: writes, reads ranges and text, replaces, and knows what is not there`, async () => {
      const own = make();
      await own.write('a/b/c.txt', new TextEncoder().encode('abcdef'));
      await own.write('a/b/c.txt', new TextEncoder().encode('ABCdef'));
      const file = (await own.open('a/b/c.txt'))!;
      expect(file.size).toBe(6);
      expect(new TextDecoder().decode(await file.read(2, 4))).toBe('Cd');
      expect(await own.readText('a/./b//c.txt')).toBe('ABCdef');
      expect(await own.open('a/b/other')).toBeUndefined();
      expect(await own.open('a/b')).toBeUndefined();
      await expect(own.readText('a/b/other')).rejects.toMatchObject({ code: 'source' });
    });
  }

  for (const [name, make] of roots) {
    it(`${name}: a file of pieces has its name when it is whole; what fails leaves the old one and nothing else`, async () => {
      const own = make();
      const text = (value: string): Uint8Array => new TextEncoder().encode(value);
      const writer = await own.create('new/file.txt');
      const piece = text('ab');
      await writer.write(piece);
      piece.fill(0); // the array may be used again
      await writer.write(text('cd'));
      expect(await own.open('new/file.txt')).toBeUndefined();
      await writer.close();
      expect(await own.readText('new/file.txt')).toBe('abcd');
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(text('x'));
        throw new Error('no more');
      }
      await expect(writeStream(own, 'new/file.txt', broken())).rejects.toThrow('no more');
      expect(await own.readText('new/file.txt')).toBe('abcd');
      if (name === 'disk') expect(readdirSync(join(directory, 'new'))).toEqual(['file.txt']);
      const [first, second] = [await own.create('twice'), await own.create('twice')];
      await first.write(text('1'));
      await second.write(text('22'));
      await second.close();
      await first.close();
      expect(await own.readText('twice')).toBe('1');
    });
  }

  it('memory: a path that leads out of the root is refused', async () => {
    const own = openFileRoot({ kind: 'memory', files: {} });
    await expect((async () => own.open('../x'))()).rejects.toMatchObject({ code: 'source' });
  });

  it('disk: a file that became shorter while it was read is an error', async () => {
    const path = join(directory, 'shrinking.bin');
    writeFileSync(path, CONTENT);
    const file = (await openFileRoot({ kind: 'disk', directory }).open('shrinking.bin'))!;
    writeFileSync(path, CONTENT.subarray(0, 10));
    await expect(file.read(0, 1000)).rejects.toMatchObject({ code: 'source' });
  });
});
