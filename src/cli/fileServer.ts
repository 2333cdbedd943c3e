// fileServer.ts: how files reach the page in headless Chrome and come back: an HTTP server on localhost that serves the
// built page, shared folders and files (ranges, lists), and takes uploads into given folders (uploads.ts). Everything but
// the page lies behind a random token. It reads no file formats and never copies a file into memory.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import {
  folderHandler,
  ISOLATION_HEADERS,
  pathSegments,
  sendFile,
  sendText,
  serve,
} from '../../scripts/staticServer.mjs';
import { PupilError } from '../base/errors';
import { placedPart, receivePart, removeShared, takeLock, type Locks } from './sharedChanges';
import { makeUploads, type Uploads } from './uploads';

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
  /** Lets the page read and write under a folder (made when missing at the first upload), and delete nothing; the base URL. */
  shareOutput(folder: string): string;
  /**
   * The same for a folder that is the page's own: it may delete there, put parts of a file at their place, and take locks
   * of this process (names that end with `.lock`, which are no files).
   */
  shareOwn(folder: string): string;
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
  /** The page may delete there, take locks, and write parts at their place. */
  own: boolean;
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
  'Access-Control-Allow-Headers': 'Range, If-Range, If-None-Match, Content-Type, Content-Range, Upload-Id',
  'Access-Control-Allow-Private-Network': 'true',
};

/** @throws PupilError `browser` when the port is taken or cannot be opened. */
export async function startFileServer(options: FileServerOptions = {}): Promise<FileServer> {
  const token = randomBytes(24).toString('base64url');
  const shares: Share[] = [];
  /** Those that a page has taken, by file. */
  const locks: Locks = new Map();
  const uploads = makeUploads(SHARED_HEADERS);
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
    return answer(request, response, share, rest, { locks, uploads });
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
  const share = (root: string, readable: readonly string[], writable: readonly string[], own = false): string => {
    const made: Share = { root, readable: readable.map(full), writable: writable.map(full), own };
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
    shareOwn: (folder) => share(full(folder), [], [folder], true),
    shareTree: (readable, writable) =>
      share(path.parse(full(readable[0] ?? writable[0] ?? '.')).root, readable, writable),
    close: async () => {
      for (const release of locks.values()) release();
      await server.close();
      await uploads.close();
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
  { locks, uploads }: { locks: Locks; uploads: Uploads },
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
      if (share.own && file.endsWith('.lock')) return takeLock(response, root, file, locks, SHARED_HEADERS);
      const range = share.own ? placedPart(request) : undefined;
      if (range !== undefined) return receivePart(request, response, root, file, range, SHARED_HEADERS);
      return uploads.put(request, response, root, file);
    }
    case 'DELETE': {
      // An upload in pieces is given up under the name of its file; that deletes nothing that is there.
      if (request.headers['upload-id'] !== undefined) return uploads.abandon(request, response, file);
      if (!share.own) return sendText(response, 405, 'files are not deleted here', SHARED_HEADERS);
      const root = coveredBy(file, share.writable);
      if (root === undefined || root === file) {
        return sendText(response, 403, 'not shared for deleting', SHARED_HEADERS);
      }
      return removeShared(response, root, file, locks, SHARED_HEADERS);
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
