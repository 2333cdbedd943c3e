// fileServer.test.ts: the CLI's file server over real sockets: ranges, lists, refusals, uploads whole and broken.
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRange, pathSegments, serve } from '../../scripts/staticServer.mjs';
import { startFileServer, type FileServer } from '../../src/cli/fileServer';

let folder: string;
let server: FileServer;
let shared: string;
let output: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pupil-server-'));
  await mkdir(path.join(folder, 'data', 'inner'), { recursive: true });
  await mkdir(path.join(folder, 'page', 'assets'), { recursive: true });
  await mkdir(path.join(folder, 'outside'));
  await writeFile(path.join(folder, 'data', 'letters.txt'), 'abcdefghij');
  await writeFile(path.join(folder, 'data', 'empty.bin'), '');
  await writeFile(path.join(folder, 'data', 'inner', 'a b#?.json'), '{}');
  await writeFile(path.join(folder, 'secret.txt'), 'secret');
  await writeFile(path.join(folder, 'page', 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(path.join(folder, 'page', 'assets', 'main.js'), 'export {};');
  server = await startFileServer({ page: path.join(folder, 'page') });
  shared = server.shareFolder(path.join(folder, 'data'));
  output = server.shareOutput(path.join(folder, 'out'));
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** One request exactly as written: fetch would tidy its path, and always sends whole bodies. */
function raw(text: string, endAfterMs?: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    if (endAfterMs !== undefined) setTimeout(() => socket.destroy(), endAfterMs);
  });
}
const rawGet = (target: string): Promise<string> =>
  raw(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);

describe('the page', () => {
  it('is served with isolation headers and MIME types', async () => {
    const response = await fetch(server.pageUrl);
    expect(await response.text()).toContain('<title>page</title>');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(response.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const script = await fetch(`${server.origin}/assets/main.js`);
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  });

  it('has no address for files outside its folder', async () => {
    expect(await rawGet('/../secret.txt')).toMatch(/^HTTP\/1.1 400/);
    expect(await rawGet('/assets/%2e%2e/%2e%2e/secret.txt')).toMatch(/^HTTP\/1.1 400/);
    expect(await rawGet('/..%2fsecret.txt')).toMatch(/^HTTP\/1.1 400/);
    expect(await rawGet('/%00')).toMatch(/^HTTP\/1.1 400/);
    expect((await fetch(`${server.origin}/missing.html`)).status).toBe(404);
  });
});

describe('ranges', () => {
  const range = (value: string): Promise<Response> => fetch(`${shared}letters.txt`, { headers: { range: value } });

  it.each([
    ['bytes=0-0', 'a', 'bytes 0-0/10'],
    ['bytes=3-5', 'def', 'bytes 3-5/10'],
    ['bytes=8-', 'ij', 'bytes 8-9/10'],
    ['bytes=-3', 'hij', 'bytes 7-9/10'],
    ['bytes=5-99', 'fghij', 'bytes 5-9/10'],
    ['bytes=-99', 'abcdefghij', 'bytes 0-9/10'],
  ])('%s gives %s', async (asked, text, contentRange) => {
    const response = await range(asked);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(response.headers.get('content-length')).toBe(String(text.length));
    expect(await response.text()).toBe(text);
  });

  it('outside the file gives 416 with the size', async () => {
    const response = await range('bytes=10-');
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */10');
    expect((await fetch(`${shared}empty.bin`, { headers: { range: 'bytes=0-0' } })).status).toBe(416);
  });

  it('that are malformed or several give the whole file', async () => {
    for (const asked of ['bytes=', 'bytes=5-3', 'bytes=0-1,4-5', 'lines=1-2']) {
      const response = await range(asked);
      expect(response.status).toBe(200);
      expect(await response.text()).toBe('abcdefghij');
    }
  });

  it('are parsed without overflow', () => {
    expect(parseRange('bytes=0-99999999999999999999', 10)).toEqual({ start: 0, end: 9 });
    expect(parseRange('bytes=-0', 10)).toBe('unsatisfiable');
    expect(parseRange(undefined, 10)).toBeUndefined();
  });

  it('of a file that changed since are not mixed: If-Range with an old tag gives the whole file', async () => {
    const headers = { range: 'bytes=0-1', 'if-range': '"old"' };
    expect((await fetch(`${shared}letters.txt`, { headers })).status).toBe(200);
  });

  it('HEAD says the size without a body', async () => {
    const response = await fetch(`${shared}letters.txt`, { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe('10');
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(await response.text()).toBe('');
  });
});

describe('shares', () => {
  it('list a folder as JSON, sub-folders and odd names included', async () => {
    expect(await (await fetch(shared)).json()).toEqual([
      { name: 'empty.bin', kind: 'file', sizeBytes: 0 },
      { name: 'inner', kind: 'directory', sizeBytes: 0 },
      { name: 'letters.txt', kind: 'file', sizeBytes: 10 },
    ]);
    expect(await (await fetch(`${shared}inner/${encodeURIComponent('a b#?.json')}`)).text()).toBe('{}');
  });

  it('refuse a wrong, a missing and a cut token', async () => {
    const [, token = ''] = /shared\/([^/]+)\//.exec(shared) ?? [];
    expect(token.length).toBeGreaterThanOrEqual(32);
    for (const given of ['x'.repeat(token.length), '', token.slice(1), `${token}x`]) {
      const response = await fetch(`${server.origin}/shared/${given}/0/letters.txt`);
      expect(response.status).toBe(403);
      expect(await response.text()).not.toContain('abc');
    }
    const put = await fetch(`${server.origin}/shared/nope/1/x.txt`, { method: 'PUT', body: 'x' });
    expect(put.status).toBe(403);
  });

  it('have no way out of their folder', async () => {
    const { pathname } = new URL(shared);
    for (const tail of [
      '../secret.txt',
      '%2e%2e/secret.txt',
      '..%2fsecret.txt',
      '..%5csecret.txt',
      'inner/../../secret.txt',
    ]) {
      const answer = await rawGet(pathname + tail);
      expect(answer).toMatch(/^HTTP\/1.1 400/);
      expect(answer).not.toContain('\r\n\r\nsecret');
    }
    expect((await fetch(`${server.origin}${pathname.replace(/\d+\/$/, '77/')}`)).status).toBe(404);
  });

  it('of one file give that file only', async () => {
    const url = server.shareFile(path.join(folder, 'secret.txt'));
    expect(await (await fetch(url)).text()).toBe('secret');
    expect((await fetch(url.replace('secret.txt', 'data/letters.txt'))).status).toBe(404);
    expect((await fetch(url.replace('secret.txt', ''))).status).toBe(404);
  });

  it('keep their address when shared twice', () => {
    expect(server.shareFolder(path.join(folder, 'data'))).toBe(shared);
  });

  it('answer a preflight from another origin', async () => {
    const response = await fetch(`${shared}letters.txt`, { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-methods')).toContain('PUT');
  });
});

describe('uploads', () => {
  it('arrive whole, in new folders, and replace older ones', async () => {
    const body = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const response = await fetch(`${output}adapters/instruct/adapter_model.safetensors`, { method: 'PUT', body });
    expect(response.status).toBe(201);
    const stored = await readFile(path.join(folder, 'out/adapters/instruct/adapter_model.safetensors'));
    expect(Buffer.compare(stored, Buffer.from(body))).toBe(0);
    await fetch(`${output}adapters/instruct/adapter_model.safetensors`, { method: 'PUT', body: 'new' });
    expect(await (await fetch(`${output}adapters/instruct/adapter_model.safetensors`)).text()).toBe('new');
    expect(await readdir(path.join(folder, 'out/adapters/instruct'))).toEqual(['adapter_model.safetensors']);
  });

  it('that break off leave the old file and no rest', async () => {
    await fetch(`${output}report.json`, { method: 'PUT', body: 'old' });
    const { pathname } = new URL(output);
    const head = `PUT ${pathname}report.json HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
    await raw(`${head}Content-Length: 1000\r\n\r\nonly this`, 200);
    await raw(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n`, 200);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await readFile(path.join(folder, 'out/report.json'), 'utf8')).toBe('old');
    expect((await readdir(path.join(folder, 'out'))).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('cannot leave the folder, by path or by link', async () => {
    const { pathname } = new URL(output);
    const put = (tail: string): Promise<string> =>
      raw(`PUT ${pathname}${tail} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx`);
    expect(await put('../planted.txt')).toMatch(/^HTTP\/1.1 400/);
    expect(await put('%2e%2e%2fplanted.txt')).toMatch(/^HTTP\/1.1 400/);
    await symlink(path.join(folder, 'outside'), path.join(folder, 'out', 'link'));
    expect(await put('link/planted.txt')).toMatch(/^HTTP\/1.1 403/);
    expect(await put('link/deeper/planted.txt')).toMatch(/^HTTP\/1.1 403/);
    expect(await readdir(path.join(folder, 'outside'))).toEqual([]);
    expect(await readdir(folder)).not.toContain('planted.txt');
  });

  it('are refused where only reading is shared, and without a name', async () => {
    expect((await fetch(`${shared}letters.txt`, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect((await fetch(output, { method: 'PUT', body: 'x' })).status).toBe(400);
    const later = server.shareOutput(path.join(folder, 'later'));
    expect((await fetch(later, { method: 'PUT', body: 'x' })).status).toBe(400);
    expect(await readdir(folder)).not.toContain('later');
    expect(await readFile(path.join(folder, 'data/letters.txt'), 'utf8')).toBe('abcdefghij');
  });
});

describe('a tree', () => {
  const inTree = (file: string): string => path.resolve(file).slice(1);

  it('holds absolute paths of shared files and folders, and nothing else', async () => {
    const tree = server.shareTree([path.join(folder, 'data', 'inner'), path.join(folder, 'secret.txt')], []);
    expect(await (await fetch(`${tree}${inTree(folder)}/secret.txt`)).text()).toBe('secret');
    expect((await fetch(`${tree}${inTree(folder)}/data/inner/${encodeURIComponent('a b#?.json')}`)).status).toBe(200);
    for (const file of ['data/letters.txt', 'data', 'data/inner2', 'secret.txt2', '']) {
      expect((await fetch(`${tree}${inTree(folder)}/${file}`)).status).toBe(404);
    }
    expect((await fetch(`${tree}${inTree(folder)}/secret.txt`, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect(await readFile(path.join(folder, 'secret.txt'), 'utf8')).toBe('secret');
  });

  it('takes named output files and whole output folders', async () => {
    const file = path.join(folder, 'new', 'logits.safetensors');
    const tree = server.shareTree([], [file, path.join(folder, 'new2')]);
    const put = (name: string): Promise<number> =>
      fetch(`${tree}${inTree(name)}`, { method: 'PUT', body: 'x' }).then((response) => response.status);
    expect(await put(file)).toBe(201);
    expect(await put(path.join(folder, 'new2', 'adapter', 'config.json'))).toBe(201);
    expect(await put(path.join(folder, 'new', 'other.bin'))).toBe(403);
    expect(await readdir(path.join(folder, 'new'))).toEqual(['logits.safetensors']);
    expect(await readFile(path.join(folder, 'new2', 'adapter', 'config.json'), 'utf8')).toBe('x');
  });
});

describe('ports', () => {
  it('a fixed port that is taken is an error with a hint', async () => {
    await expect(startFileServer({ port: server.port })).rejects.toMatchObject({
      code: 'browser',
      message: expect.stringContaining(String(server.port)) as string,
    });
  });

  it('the static server takes the next free port when allowed to', async () => {
    const second = await serve(() => Promise.resolve(), { port: server.port, attempts: 20 });
    expect(second.port).toBeGreaterThan(server.port);
    await second.close();
  });

  it('path segments refuse separators in disguise', () => {
    expect(pathSegments('/a//b/./c?x=/..')).toEqual(['a', 'b', 'c']);
    expect(pathSegments('/%E0%A4%A')).toBeUndefined();
    expect(pathSegments('/a%2Fb')).toBeUndefined();
  });
});
