// staticServer.mjs: serving files over localhost with the headers that cross-origin isolation needs: MIME types, byte
// ranges, no way out of a folder. Shared by `npm start` and the CLI's file server; it is no server for the open internet.
import { createServer } from 'node:http';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { contentSecurityPolicy } from './pagePolicy.mjs';

/** With these a page may use SharedArrayBuffer and precise clocks. */
export const ISOLATION_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** @type {Record<string, string>} */
const MIME_TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gguf': 'application/octet-stream',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.jsonl': 'application/x-ndjson; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.wgsl': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};

/** @param {string} file */
export function mimeType(file) {
  return MIME_TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream';
}

/**
 * The decoded segments of a URL's path; undefined where one could lead out of a folder (`..`, a separator or NUL in
 * disguise) or is not valid percent-encoding. Empty segments are dropped.
 * @param {string} url path and query as in the request line
 * @returns {string[] | undefined}
 */
export function pathSegments(url) {
  /** @type {string[]} */
  const segments = [];
  for (const raw of (url.split(/[?#]/, 1)[0] ?? '').split('/')) {
    let segment;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    if (segment === '' || segment === '.') continue;
    if (segment === '..' || /[/\\\0]/.test(segment)) return undefined;
    segments.push(segment);
  }
  return segments;
}

/**
 * One byte range of a Range header. undefined: no usable header, send the whole file (several ranges count as none, which
 * RFC 9110 allows). 'unsatisfiable': answer 416. `end` is inclusive.
 * @param {string | undefined} header
 * @param {number} size
 * @returns {{ start: number, end: number } | 'unsatisfiable' | undefined}
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const count = Math.min(Number(last), size);
    return count === 0 ? 'unsatisfiable' : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end };
}

/**
 * A short text answer, e.g. for an error.
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {string} text
 * @param {Record<string, string>} [headers]
 */
export function sendText(response, status, text, headers = {}) {
  const body = Buffer.from(`${text}\n`);
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    ...ISOLATION_HEADERS,
    ...headers,
  });
  response.end(body);
}

/**
 * Answers GET or HEAD with a file or the asked range of it. Answers 404 for anything that is not a readable file.
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 * @param {string} file
 * @param {Record<string, string>} [headers]
 * @returns {Promise<void>}
 */
export async function sendFile(request, response, file, headers = {}) {
  let handle;
  try {
    handle = await open(file, 'r');
  } catch {
    sendText(response, 404, 'no such file', headers);
    return;
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      sendText(response, 404, 'no such file', headers);
      return;
    }
    const etag = `"${stat.size.toString(16)}-${Math.round(stat.mtimeMs * 1000).toString(16)}"`;
    /** @type {Record<string, string | number>} */
    const common = {
      'Content-Type': mimeType(file),
      'Accept-Ranges': 'bytes',
      ETag: etag,
      ...ISOLATION_HEADERS,
      ...headers,
    };
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, common).end();
      return;
    }
    const ifRange = request.headers['if-range'];
    const range = ifRange !== undefined && ifRange !== etag ? undefined : parseRange(request.headers.range, stat.size);
    if (range === 'unsatisfiable') {
      sendText(response, 416, 'range outside the file', { ...headers, 'Content-Range': `bytes */${stat.size}` });
      return;
    }
    const start = range?.start ?? 0;
    const end = range?.end ?? stat.size - 1;
    common['Content-Length'] = end - start + 1;
    if (range !== undefined) common['Content-Range'] = `bytes ${start}-${end}/${stat.size}`;
    response.writeHead(range === undefined ? 200 : 206, common);
    if (request.method === 'HEAD' || stat.size === 0) response.end();
    else await pipeline(handle.createReadStream({ start, end, autoClose: false }), response);
  } catch {
    response.destroy(); // the reader went away, or the disk failed: a broken body tells it, a wrong one would not
  } finally {
    await handle.close();
  }
}

/**
 * Serves one folder; `/` is its index.html.
 * @param {string} folder
 * @returns {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => Promise<void>}
 */
export function folderHandler(folder) {
  return async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendText(response, 405, 'only GET and HEAD', { Allow: 'GET, HEAD' });
      return;
    }
    const segments = pathSegments(request.url ?? '/');
    if (segments === undefined) {
      sendText(response, 400, 'bad path');
      return;
    }
    if (segments.length === 0) segments.push('index.html');
    // Vite puts a hash of the contents into the names below assets/; everything else may change with the next build.
    const cache = segments[0] === 'assets' ? 'public, max-age=31536000, immutable' : 'no-cache';
    await sendFile(request, response, path.join(folder, ...segments), {
      'Cache-Control': cache,
      'Content-Security-Policy': contentSecurityPolicy(),
    });
  };
}

/**
 * Starts a server on 127.0.0.1.
 * @param {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => Promise<void>} handler
 * @param {{ port: number, attempts?: number }} options `port` 0: any. When it is taken, the next `attempts` − 1 are tried.
 * @returns {Promise<{ port: number, close: () => Promise<void> }>}
 * @throws the listen error (`code` EADDRINUSE where all were taken).
 */
export async function serve(handler, { port, attempts = 1 }) {
  for (let attempt = 0; ; attempt++) {
    const server = createServer((request, response) => {
      handler(request, response).catch((error) => {
        if (!response.headersSent) sendText(response, 500, error instanceof Error ? error.message : String(error));
        else response.destroy();
      });
    });
    try {
      await new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port === 0 ? 0 : port + attempt, '127.0.0.1', () => resolve(undefined));
      });
    } catch (error) {
      const taken = /** @type {NodeJS.ErrnoException} */ (error).code === 'EADDRINUSE';
      if (taken && attempt + 1 < attempts) continue;
      throw error;
    }
    const address = /** @type {import('node:net').AddressInfo} */ (server.address());
    return {
      port: address.port,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }
}
