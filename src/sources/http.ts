// http.ts: files behind URLs as a file root: the CLI's file server, or any static one. Big files are read in ranges. A
// body that is shorter or longer than promised, a file that changes between two ranges, and a page served in place of a
// missing file are all found out. It caches nothing but what a server without ranges forces on it.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import type { OpenRoot } from './openRoot';
import { readBytesWith, readTextWith } from './readWith';

export interface HttpOptions {
  /** Replaces the platform's `fetch`, for tests. */
  fetch?: typeof fetch;
  /** How often a request is tried before its failure is reported. */
  attempts?: number;
  /** Wait before the second attempt; doubled for each further one. */
  retryMs?: number;
  /** Largest range of one request: what a lost connection costs at most. */
  rangeBytes?: number;
  /** Largest file taken whole from a server that ignores ranges. */
  wholeBytes?: number;
}

const RETRY_STATUS = new Set([408, 429, 500, 502, 503, 504]);

/** Worth another try: the network, or a server in trouble. */
class Transient extends Error {}

/** What a response says about the size of the file and of its body; undefined where it does not say. */
function sizesOf(response: Response): { total?: number; body?: number } {
  const range = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  const length = response.headers.get('content-length');
  const encoded = response.headers.get('content-encoding'); // then the length is that of the compressed bytes
  return {
    ...(range === null ? {} : { total: Number(range[1]) }),
    ...(length === null || (encoded !== null && encoded !== 'identity') ? {} : { body: Number(length) }),
  };
}

/**
 * A root over a base URL (which ends with a slash). A path is a name under it, with or without a slash in front; a full URL
 * is taken as it is.
 * Errors are `source` with URL, status and what to do; 404 and 410 mean "no such file".
 */
export function openHttpRoot(base: string, options: HttpOptions = {}): OpenRoot {
  const send = options.fetch ?? ((input, init) => fetch(input, init));
  const attempts = options.attempts ?? 4;
  const retryMs = options.retryMs ?? 250;
  const rangeBytes = options.rangeBytes ?? 16 * 2 ** 20;
  const wholeBytes = options.wholeBytes ?? 2 ** 30;
  const description = base;

  const urlOf = (path: string): string => {
    try {
      if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return new URL(path).href;
      // A path is a name, not an address: what an address would read otherwise is escaped, and the root is `base`.
      return new URL(path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/'), base).href;
    } catch (cause) {
      throw new PupilError('source', `${path}: expected a path or URL under ${base}`, undefined, { cause });
    }
  };

  /** One request with its body, tried again while the failure may pass. `use` reads the response. */
  async function request<T>(url: string, init: RequestInit, use: (response: Response) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        let response: Response;
        try {
          response = await send(url, { redirect: 'follow', ...init });
        } catch (cause) {
          throw new Transient(`no connection (${messageOf(cause)})`, { cause });
        }
        if (RETRY_STATUS.has(response.status)) throw new Transient(`status ${response.status} ${response.statusText}`);
        return await use(response);
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        if (attempt >= attempts) {
          throw new PupilError(
            'source',
            `${url}: expected the file, got ${error.message} ${attempts} times`,
            'Check that the server runs and is reachable (from a page: that it allows this origin), then try again.',
            { cause: error },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs * 2 ** (attempt - 1)));
      }
    }
  }

  function refused(url: string, response: Response): PupilError {
    const hint =
      response.status === 401 || response.status === 403
        ? 'The server asks for other rights: check the address and its token.'
        : 'Check the address.';
    return new PupilError(
      'source',
      `${url}: expected the file, got status ${response.status} ${response.statusText}`,
      hint,
    );
  }

  /** The body, complete. A body that breaks off or has another length than promised is worth another try. */
  async function bodyOf(response: Response, expected: number | undefined): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await response.arrayBuffer());
    } catch (cause) {
      throw new Transient(`a body that broke off (${messageOf(cause)})`, { cause });
    }
    const promised = expected ?? sizesOf(response).body;
    if (promised !== undefined && bytes.byteLength !== promised) {
      throw new Transient(`${bytes.byteLength} bytes where ${promised} were promised`);
    }
    return bytes;
  }

  async function readRange(
    url: string,
    size: number,
    tag: string | null,
    start: number,
    end: number,
  ): Promise<Uint8Array> {
    const headers = { range: `bytes=${start}-${end - 1}` };
    return request(url, { headers }, async (response) => {
      if (response.status === 200) return (await bodyOf(response, size)).subarray(start, end);
      if (response.status !== 206) throw refused(url, response);
      const total = sizesOf(response).total;
      const newTag = response.headers.get('etag');
      if ((total !== undefined && total !== size) || (tag !== null && newTag !== null && newTag !== tag)) {
        throw new PupilError(
          'source',
          `${url}: expected the file of ${size} bytes that was opened, it is another one now (${total ?? 'unknown'} bytes)`,
          'The file changed on the server while it was read: start again.',
        );
      }
      return bodyOf(response, end - start);
    });
  }

  const open = async (path: string): Promise<ByteSource | undefined> => {
    const url = urlOf(path);
    // Two bytes tell whether the file is there, its size, and whether the server knows ranges. (Not one: servers built
    // on sirv, Vite's among them, take 0-0 for the whole file.)
    const found = await request(url, { headers: { range: 'bytes=0-1' } }, async (response) => {
      if (response.status === 404 || response.status === 410) return undefined;
      if (response.status === 416) return { size: 0, tag: null, whole: new Uint8Array(0) }; // an empty file
      if (response.status === 206) {
        await bodyOf(response, undefined); // one byte where the file has no more
        return { size: sizesOf(response).total, tag: response.headers.get('etag'), whole: undefined };
      }
      if (response.status !== 200) throw refused(url, response);
      // Development servers answer a missing file with their start page.
      const type = response.headers.get('content-type') ?? '';
      if (type.includes('text/html') && !/\.html?$/.test(new URL(url).pathname)) {
        await response.body?.cancel();
        return undefined;
      }
      const promised = sizesOf(response).body;
      if (promised !== undefined && promised > wholeBytes) {
        await response.body?.cancel();
        throw new PupilError(
          'source',
          `${url}: expected a server with byte ranges, this one sends all ${promised} bytes at once`,
          'Serve the folder with a server that answers Range requests with status 206.',
        );
      }
      const whole = await bodyOf(response, undefined);
      return { size: whole.byteLength, tag: null, whole };
    });
    if (found === undefined) return undefined;
    const { tag, whole } = found;
    if (whole !== undefined) {
      return { name: path, size: whole.byteLength, read: (start, end) => Promise.resolve(whole.subarray(start, end)) };
    }
    const size = found.size ?? (await sizeByHead(url));
    return {
      name: path,
      size,
      fresh: true,
      read: async (start, end) => {
        if (end - start <= rangeBytes) return start === end ? new Uint8Array(0) : readRange(url, size, tag, start, end);
        const bytes = new Uint8Array(end - start);
        for (let at = start; at < end; at += rangeBytes) {
          bytes.set(await readRange(url, size, tag, at, Math.min(end, at + rangeBytes)), at - start);
        }
        return bytes;
      },
    };
  };

  /** Another origin may hide Content-Range from a page; Content-Length is never hidden. */
  async function sizeByHead(url: string): Promise<number> {
    const size = await request(url, { method: 'HEAD' }, (response) => Promise.resolve(sizesOf(response).body));
    if (size !== undefined) return size;
    throw new PupilError(
      'source',
      `${url}: expected the server to say the file's size, neither Content-Range nor Content-Length can be seen`,
      'Let the server send Access-Control-Expose-Headers: Content-Range.',
    );
  }

  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    write: async (path, bytes) => {
      const url = urlOf(path);
      // A copy: the array may be a view of something larger, or of shared memory, which fetch refuses.
      await request(url, { method: 'PUT', body: bytes.slice() }, async (response) => {
        await response.arrayBuffer().catch(() => undefined);
        if (response.status === 507) {
          throw new PupilError(
            'storage-full',
            `${url}: the server has no room for ${bytes.byteLength} bytes`,
            'Free some space.',
          );
        }
        if (!response.ok) throw refused(url, response);
      });
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
