// fileServer.ts: how files reach the page in headless Chrome and come back: an HTTP server on localhost that serves the
// built page, shared folders and files (ranges, lists), and takes uploads into given folders. Everything but the page lies
// behind a random token. It reads no file formats and never copies a file into memory.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
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
  /** Lets the page read and write under a folder (made when missing at the first upload); the base URL. */
  shareOutput(folder: string): string;
  /**
   * Lets the page read these files and folders under their own absolute names, and write the files (and into the folders)
   * of `write`; the base URL stands for the root of the file system, everything else under it is refused.
   */
  shareTree(read: readonly string[], write: readonly string[]): string;
  close(): Promise<void>;
}

type Share = {
  kind: 'folder' | 'output' | 'file' | 'tree';
  root: string;
  /** Of a tree: absolute paths that may be read, or written, with what is below them. */
  read?: readonly string[];
  write?: readonly string[];
};

/** The token makes these addresses unguessable, so any origin that knows one may use it. */
const SHARED_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Content-Range, Content-Length, ETag, Accept-Ranges',
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
};
const PREFLIGHT_HEADERS = {
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT, OPTIONS',
  'Access-Control-Allow-Headers': 'Range, If-Range, If-None-Match, Content-Type',
  'Access-Control-Allow-Private-Network': 'true',
};

/** @throws PupilError `browser` when the port is taken or cannot be opened. */
export async function startFileServer(options: FileServerOptions = {}): Promise<FileServer> {
  const token = randomBytes(24).toString('base64url');
  const shares: Share[] = [];
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
    return answer(request, response, share, rest);
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
  const share = (kind: Share['kind'], file: string): string => {
    const root = path.resolve(file);
    let id = shares.findIndex((known) => known.kind === kind && known.root === root);
    if (id < 0) id = shares.push({ kind, root }) - 1;
    return `${origin}/shared/${token}/${id}/`;
  };
  return {
    port: server.port,
    origin,
    pageUrl: `${origin}/`,
    shareFolder: (folder) => share('folder', folder),
    shareFile: (file) => share('file', file) + encodeURIComponent(path.basename(file)),
    shareOutput: (folder) => share('output', folder),
    shareTree: (read, write) => {
      const all = (paths: readonly string[]): string[] => paths.map((file) => path.resolve(file));
      const root = path.parse(process.cwd()).root;
      const id = shares.push({ kind: 'tree', root, read: all([...read, ...write]), write: all(write) }) - 1;
      return `${origin}/shared/${token}/${id}/`;
    },
    close: () => server.close(),
  };
}

function sameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function answer(request: IncomingMessage, response: ServerResponse, share: Share, rest: string[]): Promise<void> {
  switch (request.method) {
    case 'OPTIONS':
      response.writeHead(204, { ...SHARED_HEADERS, ...PREFLIGHT_HEADERS }).end();
      return;
    case 'GET':
    case 'HEAD': {
      if (share.kind === 'file') {
        if (rest.length !== 1 || rest[0] !== path.basename(share.root)) {
          return sendText(response, 404, 'only one file is shared here', SHARED_HEADERS);
        }
        return sendFile(request, response, share.root, SHARED_HEADERS);
      }
      const file = path.join(share.root, ...rest);
      if (share.kind === 'tree' && !isBelow(file, share.read ?? [])) {
        return sendText(response, 404, 'this path is not shared', SHARED_HEADERS);
      }
      const isFolder = await stat(file).then(
        (found) => found.isDirectory(),
        () => false,
      );
      return isFolder ? sendList(response, file) : sendFile(request, response, file, SHARED_HEADERS);
    }
    case 'PUT':
      if (share.kind === 'tree') {
        const file = path.join(share.root, ...rest);
        const target = (share.write ?? []).find((allowed) => isBelow(file, [allowed]));
        if (target === undefined) return sendText(response, 403, 'read only', SHARED_HEADERS);
        // A named file may be replaced; into a named folder nothing may be written through a link that leads out of it.
        const inside = path.relative(target, file);
        if (inside === '') return receive(request, response, path.dirname(file), [path.basename(file)]);
        return receive(request, response, target, inside.split(path.sep));
      }
      if (share.kind !== 'output') return sendText(response, 403, 'read only', SHARED_HEADERS);
      return receive(request, response, share.root, rest);
    default:
      return sendText(response, 405, 'unknown method', SHARED_HEADERS);
  }
}

/** Whether a path is one of these, or lies below one. */
function isBelow(file: string, allowed: readonly string[]): boolean {
  return allowed.some((root) => file === root || file.startsWith(root.endsWith(path.sep) ? root : root + path.sep));
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

/**
 * Takes an upload: written beside its target and renamed when it has arrived whole, so that nobody sees half a file and
 * a broken upload leaves the old one.
 */
async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  root: string,
  rest: string[],
): Promise<void> {
  if (rest.length === 0) return sendText(response, 400, 'a file name is missing', SHARED_HEADERS);
  const target = path.join(root, ...rest);
  const folder = path.dirname(target);
  const part = path.join(folder, `.${path.basename(target)}.${randomBytes(6).toString('hex')}.part`);
  try {
    await mkdir(root, { recursive: true });
    if (!(await staysInside(root, folder))) return sendText(response, 403, 'outside the folder', SHARED_HEADERS);
    await mkdir(folder, { recursive: true });
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
    if (response.headersSent || response.destroyed) return;
    const code = (error as NodeJS.ErrnoException).code;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    sendText(response, full ? 507 : 500, error instanceof Error ? error.message : String(error), SHARED_HEADERS);
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
