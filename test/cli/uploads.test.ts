// uploads.test.ts: files sent to the CLI's file server in pieces: whole ones arrive, also under a connection that fails; pieces
// out of order, of other files, too long or too short leave nothing. Over real sockets, by the root that a page writes with too.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startFileServer, type FileServer } from '../../src/cli/fileServer';
import { openHttpRoot } from '../../src/sources/http';
import { writeStream } from '../../src/sources/writeStream';

let folder: string;
let server: FileServer;
let base: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pupil-uploads-'));
  server = await startFileServer();
  base = server.shareOutput(folder);
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const ID = '0123456789abcdef';
const NONE = 'none';
function send(name: string, range: string | undefined, body = '', id = ID): Promise<Response> {
  const headers = {
    ...(range === undefined ? {} : { 'content-range': `bytes ${range}` }),
    ...(id === NONE ? {} : { 'upload-id': id }),
  };
  return fetch(`${base}${name}`, { method: 'PUT', headers, body });
}
const status = async (response: Promise<Response>): Promise<number> => (await response).status;
const stored = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8');

describe('pieces', () => {
  it('in order, then the end of it: the file has its name only then', async () => {
    await writeFile(path.join(folder, 'a.bin'), 'old');
    expect(await status(send('a.bin', '0-3/*', 'abcd'))).toBe(200);
    expect(await status(send('a.bin', '4-5/*', 'ef'))).toBe(200);
    expect(await stored('a.bin')).toBe('old');
    expect(await status(send('a.bin', '*/6'))).toBe(201);
    expect(await stored('a.bin')).toBe('abcdef');
    expect(await readdir(folder)).toEqual(['a.bin']);
  });

  it('sent again, because their answer was lost, are accepted and not doubled; so is the end', async () => {
    await send('a.bin', '0-3/*', 'abcd');
    expect(await status(send('a.bin', '0-3/*', 'abcd'))).toBe(200);
    await send('a.bin', '4-4/*', 'e');
    expect(await status(send('a.bin', '*/5'))).toBe(201);
    expect(await status(send('a.bin', '*/5'))).toBe(201);
    expect(await stored('a.bin')).toBe('abcde');
  });

  it('into new folders, and a file of no bytes', async () => {
    await send('x/y/b.bin', '0-0/*', 'b');
    expect(await status(send('x/y/b.bin', '*/1'))).toBe(201);
    expect(await stored('x/y/b.bin')).toBe('b');
    expect(await status(send('empty.bin', '*/0', '', 'ff'.repeat(16)))).toBe(201);
    expect(await stored('empty.bin')).toBe('');
  });

  it('of two uploads of one name do not mix: the one that ends last has the name', async () => {
    const [one, two] = ['a'.repeat(16), 'b'.repeat(16)];
    await send('a.bin', '0-1/*', '11', one);
    await send('a.bin', '0-1/*', '22', two);
    await send('a.bin', '2-2/*', '1', one);
    await send('a.bin', '*/2', '', two);
    await send('a.bin', '*/3', '', one);
    expect(await stored('a.bin')).toBe('111');
  });
});

describe('refused, and nothing is stored under the name', () => {
  it.each<[string, string, string, string, number]>([
    ['a piece before its turn', '4-5/*', 'ef', ID, 409],
    ['a piece that overlaps', '0-1/*', 'ab', ID, 200], // the first of them
    ['more bytes than announced', '0-1/*', 'abcd', ID, 500],
    ['fewer bytes than announced', '0-9/*', 'abcd', ID, 500],
    ['a piece larger than any may be', '0-99999999999/*', 'abcd', ID, 413],
    ['a range the wrong way round', '5-2/*', 'abcd', ID, 409],
    ['a range of words', 'all', 'abcd', ID, 400],
    ['no Upload-Id', '0-3/*', 'abcd', NONE, 400],
    ['an Upload-Id that is a path', '0-3/*', 'abcd', '../../x', 400],
    ['an end before all has arrived', '*/9', '', ID, 409],
  ])('%s', async (_, range, body, id, expected) => {
    expect(await status(send('a.bin', range, body, id))).toBe(expected);
    expect((await readdir(folder)).filter((name) => !name.startsWith('.'))).toEqual([]);
    if (expected === 200) expect(await status(send('a.bin', '1-2/*', 'bc'))).toBe(409);
    // What was refused has not spoiled the upload.
    if (id !== ID || expected === 200) return;
    expect(await status(send('a.bin', '0-2/*', 'abc'))).toBe(200);
    expect(await status(send('a.bin', '*/3'))).toBe(201);
    expect(await stored('a.bin')).toBe('abc');
  });

  it('the id of another file, a wrong token, a place that is not shared', async () => {
    await send('a.bin', '0-0/*', 'a');
    expect(await status(send('b.bin', '0-0/*', 'b'))).toBe(409);
    const headers = { 'content-range': 'bytes 0-0/*', 'upload-id': ID };
    const wrong = base.replace(/shared\/[^/]+/, 'shared/AAAA');
    expect((await fetch(`${wrong}a.bin`, { method: 'PUT', headers, body: 'x' })).status).toBe(403);
    expect((await fetch(`${wrong}a.bin`, { method: 'DELETE', headers })).status).toBe(403);
    const readable = server.shareFolder(folder);
    expect((await fetch(`${readable}a.bin`, { method: 'PUT', headers, body: 'x' })).status).toBe(403);
  });

  it('a piece whose connection breaks is as if it had not been sent', async () => {
    await send('a.bin', '0-1/*', 'ab');
    const target = new URL(`${base}a.bin`).pathname;
    const head = `PUT ${target} HTTP/1.1\r\nHost: x\r\nUpload-Id: ${ID}\r\nContent-Range: bytes 2-9/*\r\nContent-Length: 8\r\n\r\n`;
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write(`${head}cd`);
        setTimeout(() => socket.destroy(), 100);
      });
      socket.on('close', () => resolve());
    });
    await expect.poll(() => status(send('a.bin', '2-3/*', 'cd')), { timeout: 10_000 }).toBe(200);
    expect(await status(send('a.bin', '*/4'))).toBe(201);
    expect(await stored('a.bin')).toBe('abcd');
  });

  it('DELETE forgets an upload, and never deletes a file', async () => {
    await writeFile(path.join(folder, 'kept.bin'), 'kept');
    await send('kept.bin', '0-0/*', 'x');
    expect((await fetch(`${base}kept.bin`, { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${base}kept.bin`, { method: 'DELETE', headers: { 'upload-id': ID } })).status).toBe(200);
    expect(await readdir(folder)).toEqual(['kept.bin']);
    expect(await stored('kept.bin')).toBe('kept');
    await send('kept.bin', '*/0');
    await fetch(`${base}kept.bin`, { method: 'DELETE', headers: { 'upload-id': ID } });
    expect(await readdir(folder)).toEqual(['kept.bin']); // complete by then: it stays
  });

  it('what was never ended is gone when the server is', async () => {
    await send('a.bin', '0-0/*', 'a');
    expect(await readdir(folder)).toHaveLength(1);
    await server.close();
    expect(await readdir(folder)).toEqual([]);
    server = await startFileServer();
  });
});

describe('the http root', () => {
  const BIG = Uint8Array.from({ length: 20_000_003 }, (_, i) => (i * 31) % 253);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < BIG.length; at += 3_000_000) yield await Promise.resolve(BIG.subarray(at, at + 3_000_000));
  }

  it('writes more than a piece, though every other answer is lost', async () => {
    let calls = 0;
    const flaky: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (++calls % 2 === 1) throw new TypeError('the connection broke after the server had acted');
      return response;
    };
    await writeStream(openHttpRoot(base, { fetch: flaky, retryMs: 1 }), 'deep/big.bin', pieces());
    expect(Buffer.from(BIG).equals(await readFile(path.join(folder, 'deep/big.bin')))).toBe(true);
    expect(calls).toBe(2 * 4); // three pieces and the end
    expect(await readdir(path.join(folder, 'deep'))).toEqual(['big.bin']);
  });

  it('leaves nothing, and the old file, where making a piece fails', async () => {
    await writeFile(path.join(folder, 'big.bin'), 'old');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(BIG.subarray(0, 9_000_000));
      throw new Error('no more');
    }
    await expect(writeStream(openHttpRoot(base), 'big.bin', broken())).rejects.toThrow('no more');
    expect(await stored('big.bin')).toBe('old');
    expect(await readdir(folder)).toEqual(['big.bin']);
  });

  it('says where a server does not take it', async () => {
    const readable = server.shareFolder(folder);
    await expect(writeStream(openHttpRoot(readable), 'a.bin', pieces())).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('403') as string,
    });
  });
});
