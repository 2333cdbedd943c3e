// fileServer.ts: how files reach the page in headless Chrome and come back: an HTTP server on localhost that serves the
// built page, shared folders and files (ranges, lists), and takes uploads into given folders. Everything but the page lies
// behind a random token. It reads no file formats and never copies a file into memory.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  folderHandler,
  ISOLATION_HEADERS,
  pathSegments,
  sendFile,
  sendText,
  serve,
} from '../../scripts/staticServer.mjs';
import { PupilError } from '../base/errors';
import { takeProcessLock } from '../base/processLock';

export interface FileServerOptions {
  /** Folder of the built page (dist/page), served at `/`. Without it only shared files are served. */
  page?: string;
  /** A fixed port keeps the page's origin, and with it the browser's storage, over restarts. 0 (default): any. */
  port?: number;
}

/** One entry of a folder's list. */
export interface ListEntry {
  name: string;
  kind: 'file' | 'directory';
  sizeBytes: number;
}

export interface FileServer {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Address of the page. */
  readonly pageUrl: string;
  /** Lets the page read everything under a folder; the base URL, which ends with a slash. */
  shareFolder(folder: string): string;
  /** Lets the page read exactly this file; its URL. */
  shareFile(file: string): string;
  /**
   * Lets the page read, write and delete under a folder (made when missing at the first upload); the base URL. A PUT with
   * Content-Range writes a part of a file. A name that ends with `.lock` is no file to be written but a lock of this process.
   */
  shareOutput(folder: string): string;
  /**
   * Lets the page read these files and folders under their own absolute names, and write the files (and into the folders)
   * of `write`; the base URL stands for the root of the file system, everything else under it is refused.
   */
  shareTree(read: readonly string[], write: readonly string[]): string;
  close(): Promise<void>;
}

/** What one number in an address stands for: paths count from `root`, and only those in the two lists exist. */
interface Share {
  root: string;
  readable: readonly string[];
  writable: readonly string[];
}

/** The token makes these addresses unguessable, so any origin that knows one may use it. */
const SHARED_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Content-Range, Content-Length, ETag, Accept-Ranges',
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
};
const PREFLIGHT_HEADERS = {
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT, DELETE, OPTIONS',
  'Access-Control-Allow-Headers': 'Range, If-Range, If-None-Match, Content-Type, Content-Range',
  'Access-Control-Allow-Private-Network': 'true',
};

/** @throws PupilError `browser` when the port is taken or cannot be opened. */
export async function startFileServer(options: FileServerOptions = {}): Promise<FileServer> {
  const token = randomBytes(24).toString('base64url');
  const shares: Share[] = [];
  /** Those that a page has taken, by file. */
  const locks = new Map<string, () => void>();
  const page = options.page === undefined ? undefined : folderHandler(options.page);

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const segments = pathSegments(request.url ?? '/');
    if (segments === undefined) return sendText(response, 400, 'bad path');
    const [prefix, given = '', id = '', ...rest] = segments;
    if (prefix !== 'shared') {
      return page === undefined ? sendText(response, 404, 'no page is served here') : page(request, response);
    }
    if (!sameToken(given, token)) return sendText(response, 403, 'wrong token');
    const share = /^\d+$/.test(id) ? shares[Number(id)] : undefined;
    if (share === undefined) return sendText(response, 404, 'nothing is shared under this number', SHARED_HEADERS);
    return answer(request, response, share, rest, locks);
  };

  let server: Awaited<ReturnType<typeof serve>>;
  try {
    server = await serve(handle, { port: options.port ?? 0 });
  } catch (error) {
    throw new PupilError(
      'browser',
      `file server: could not listen on 127.0.0.1:${options.port ?? 0}: ${error instanceof Error ? error.message : String(error)}`,
      'Another run may still use this port: end it, or choose another --out folder.',
      { cause: error },
    );
  }
  const origin = `http://127.0.0.1:${server.port}`;
  const share = (root: string, readable: readonly string[], writable: readonly string[]): string => {
    const made: Share = { root, readable: readable.map(full), writable: writable.map(full) };
    const text = JSON.stringify(made);
    let id = shares.findIndex((known) => JSON.stringify(known) === text);
    if (id < 0) id = shares.push(made) - 1;
    return `${origin}/shared/${token}/${id}/`;
  };
  return {
    port: server.port,
    origin,
    pageUrl: `${origin}/`,
    shareFolder: (folder) => share(full(folder), [folder], []),
    shareFile: (file) => share(path.dirname(full(file)), [file], []) + encodeURIComponent(path.basename(file)),
    shareOutput: (folder) => share(full(folder), [], [folder]),
    shareTree: (readable, writable) =>
      share(path.parse(full(readable[0] ?? writable[0] ?? '.')).root, readable, writable),
    close: async () => {
      for (const release of locks.values()) release();
      await server.close();
    },
  };
}

const full = (file: string): string => path.resolve(file);

/** The shared path that a file is or lies in, if any. */
function coveredBy(file: string, shared: readonly string[]): string | undefined {
  return shared.find((one) => file === one || file.startsWith(one.endsWith(path.sep) ? one : one + path.sep));
}

function sameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  share: Share,
  rest: string[],
  locks: Map<string, () => void>,
): Promise<void> {
  const file = path.join(share.root, ...rest);
  switch (request.method) {
    case 'OPTIONS':
      response.writeHead(204, { ...SHARED_HEADERS, ...PREFLIGHT_HEADERS }).end();
      return;
    case 'GET':
    case 'HEAD': {
      if (coveredBy(file, [...share.readable, ...share.writable]) === undefined) {
        return sendText(response, 404, 'not shared', SHARED_HEADERS);
      }
      const isFolder = await stat(file).then(
        (found) => found.isDirectory(),
        () => false,
      );
      return isFolder ? sendList(response, file) : sendFile(request, response, file, SHARED_HEADERS);
    }
    case 'PUT': {
      if (rest.length === 0) return sendText(response, 400, 'a file name is missing', SHARED_HEADERS);
      const root = coveredBy(file, share.writable);
      if (root === undefined) return sendText(response, 403, 'not shared for writing', SHARED_HEADERS);
      if (file.endsWith('.lock')) return takeLock(response, root, file, locks);
      return receive(request, response, root, file);
    }
    case 'DELETE': {
      const root = coveredBy(file, share.writable);
      if (root === undefined || root === file) {
        return sendText(response, 403, 'not shared for deleting', SHARED_HEADERS);
      }
      return removeShared(response, root, file, locks);
    }
    default:
      return sendText(response, 405, 'unknown method', SHARED_HEADERS);
  }
}

/** A folder as a JSON array of {@link ListEntry}, by name. */
async function sendList(response: ServerResponse, folder: string): Promise<void> {
  const entries: ListEntry[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const found = await stat(path.join(folder, name)).catch(() => undefined); // a link to nowhere is left out
    if (found?.isDirectory() === true) entries.push({ name, kind: 'directory', sizeBytes: 0 });
    else if (found?.isFile() === true) entries.push({ name, kind: 'file', sizeBytes: found.size });
  }
  const body = Buffer.from(JSON.stringify(entries));
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
    ...ISOLATION_HEADERS,
    ...SHARED_HEADERS,
  });
  response.end(body);
}

/** Takes a lock for this process: 423 where another one has it. */
async function takeLock(
  response: ServerResponse,
  root: string,
  file: string,
  locks: Map<string, () => void>,
): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    if (!(await staysInside(root, path.dirname(file)))) {
      return sendText(response, 403, 'outside the folder', SHARED_HEADERS);
    }
    if (locks.has(file)) return sendText(response, 423, 'taken by this process', SHARED_HEADERS);
    const { release } = takeProcessLock(file);
    if (release === undefined) return sendText(response, 423, 'taken by another process', SHARED_HEADERS);
    locks.set(file, release);
    sendText(response, 201, 'taken', SHARED_HEADERS);
  } catch (error) {
    refuseWrite(response, error);
  }
}

/** Deletes a file or folder, or gives a lock back. 404 where there is nothing. */
async function removeShared(
  response: ServerResponse,
  root: string,
  file: string,
  locks: Map<string, () => void>,
): Promise<void> {
  try {
    const release = locks.get(file);
    if (release !== undefined) {
      locks.delete(file);
      release();
      return sendText(response, 200, 'given back', SHARED_HEADERS);
    }
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined) return sendText(response, 404, 'no such file', SHARED_HEADERS);
    if (!(await staysInside(root, path.dirname(file)))) {
      return sendText(response, 403, 'outside the folder', SHARED_HEADERS);
    }
    await rm(file, { recursive: true, force: true });
    sendText(response, 200, 'deleted', SHARED_HEADERS);
  } catch (error) {
    refuseWrite(response, error);
  }
}

function refuseWrite(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const code = (error as NodeJS.ErrnoException).code;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  sendText(response, full ? 507 : 500, error instanceof Error ? error.message : String(error), SHARED_HEADERS);
}

/** Writes a part of a file at its place, as `Content-Range: bytes start-end/size` says; others see it grow. */
async function receivePart(request: IncomingMessage, target: string, range: RegExpExecArray): Promise<void> {
  const [start, end, size] = range.slice(1).map(Number) as [number, number, number];
  const length = Number(request.headers['content-length']);
  if (start > end || end >= size || length !== end - start + 1) {
    throw new Error(`expected ${end - start + 1} bytes of a file of ${size}, ${length} are promised`);
  }
  const handle = await open(target, constants.O_RDWR | constants.O_CREAT);
  try {
    if ((await handle.stat()).size !== size) await handle.truncate(size);
  } finally {
    await handle.close();
  }
  await pipeline(request, createWriteStream(target, { flags: 'r+', start }));
  if (!request.complete) throw new Error('the part broke off');
}

/**
 * Takes an upload: written beside its target and renamed when it has arrived whole, so that nobody sees half a file and
 * a broken upload leaves the old one. `root` is the target itself, or the folder that it must stay in.
 */
async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  root: string,
  target: string,
): Promise<void> {
  const folder = path.dirname(target);
  const part = path.join(folder, `.${path.basename(target)}.${randomBytes(6).toString('hex')}.part`);
  try {
    const isFolder = await stat(target).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isFolder) return sendText(response, 400, 'a file name is missing', SHARED_HEADERS);
    if (target !== root) {
      await mkdir(root, { recursive: true });
      if (!(await staysInside(root, folder))) return sendText(response, 403, 'outside the folder', SHARED_HEADERS);
    }
    await mkdir(folder, { recursive: true });
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(request.headers['content-range'] ?? '');
    if (range !== null) {
      await receivePart(request, target, range);
      return sendText(response, 201, 'stored', SHARED_HEADERS);
    }
    await pipeline(request, createWriteStream(part, { flags: 'wx', flush: true }));
    const promised = request.headers['content-length'];
    const arrived = (await stat(part)).size;
    if (!request.complete || (promised !== undefined && Number(promised) !== arrived)) {
      throw new Error(`${arrived} bytes arrived, ${promised ?? 'more'} were promised`);
    }
    await rename(part, target);
    sendText(response, 201, 'stored', SHARED_HEADERS);
  } catch (error) {
    await rm(part, { force: true });
    refuseWrite(response, error);
  }
}

/** Whether the folder, as far as it exists, lies inside the root when links are followed: a link must not lead out. */
async function staysInside(root: string, folder: string): Promise<boolean> {
  const realRoot = await realpath(root);
  for (let at = folder; ; at = path.dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real === undefined) continue;
    return real === realRoot || real.startsWith(realRoot + path.sep);
  }
}
