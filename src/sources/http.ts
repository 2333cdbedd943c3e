// http.ts: files behind URLs as a file root: the CLI's file server, or any static one. Big files are read in ranges. A
// body that is shorter or longer than promised, a file that changes between two ranges, and a page served in place of a
// missing file are all found out. How a request is made is request.ts, how a file is read remoteFile.ts.
import { PupilError } from '../base/errors';
import { memorySource, type ByteSource } from '../formats/byteSource';
import { createHttpWriter } from './httpWriter';
import type { OpenRoot } from './openRoot';
import { readBytesWith, readTextWith } from './readWith';
import { expectNotTurnedAway, isPage, RemoteFile, sizesOf, Tags, withoutRanges } from './remoteFile';
import { Requester, shownUrl, Transient, type Outgoing, type Reply, type RequestOptions } from './request';

export interface HttpOptions extends RequestOptions {
  /** Largest range of one request: what a lost connection costs at most. */
  rangeBytes?: number;
  /** Largest file taken whole from a server that ignores ranges. */
  wholeBytes?: number;
}

/** The standard sizes of ranges and of files taken whole. */
export const RANGE_BYTES = 8 * 2 ** 20;
export const WHOLE_BYTES = 2 ** 30;

/** What opening a file finds out about it. */
export type Found = { size: number; tags: Tags } | { whole: Uint8Array };

/**
 * Looks for a file. Two bytes tell whether it is there, its size, and whether the server knows ranges. (Not one: servers
 * built on sirv, Vite's among them, take 0-0 for the whole file.)
 * @param look for what concerns the reply as such; throws, or says that there is no such file.
 */
export async function probe(
  requester: Requester,
  url: string,
  options: { wholeBytes: number; tags: Tags; look: (reply: Reply) => Promise<'here' | 'missing'> },
): Promise<Found | undefined> {
  const { tags, wholeBytes } = options;
  const found = await requester.request(
    () => ({ url, headers: { range: 'bytes=0-1' } }),
    async (reply): Promise<{ size?: number } | { whole: Uint8Array } | undefined> => {
      const { status, headers } = reply.response;
      expectNotTurnedAway(reply, url);
      if (status === 416) return { whole: new Uint8Array(0) }; // an empty file
      if ((await options.look(reply)) === 'missing') return undefined;
      tags.accept(reply);
      const { total, body } = sizesOf(headers);
      if (status === 206) {
        const first = await reply.bytes(2); // one byte where the file has no more
        if (body !== undefined && body !== first.byteLength) {
          throw new Transient(`${first.byteLength} bytes where ${body} were promised`);
        }
        // A server that redirects may say the size itself; the place it leads to is then held to it.
        const linked = reply.hops.map((hop) => hop.headers.get('x-linked-size')).find((one) => one !== null);
        if (total !== undefined && linked !== undefined && Number(linked) !== total) {
          throw new Transient(`${total} bytes where ${linked} were promised`);
        }
        return total === undefined ? {} : { size: total };
      }
      if (body !== undefined && body > wholeBytes) throw withoutRanges(reply, body);
      const whole = await reply.bytes(wholeBytes);
      if (body === undefined || body === whole.byteLength) return { whole };
      throw new Transient(`${whole.byteLength} bytes where ${body} were promised`);
    },
  );
  if (found === undefined || 'whole' in found) return found;
  return { size: found.size ?? (await sizeByHead(requester, url)), tags };
}

/** Another origin may hide Content-Range from a page; Content-Length is never hidden. */
async function sizeByHead(requester: Requester, url: string): Promise<number> {
  const size = await requester.request(
    () => ({ url, method: 'HEAD' }),
    ({ response }) => Promise.resolve(response.ok ? sizesOf(response.headers).body : undefined),
  );
  if (size !== undefined) return size;
  throw new PupilError(
    'source',
    `${shownUrl(url)}: expected the server to say the file's size, neither Content-Range nor Content-Length can be seen`,
    'Let the server send Access-Control-Expose-Headers: Content-Range.',
  );
}

/**
 * A root over a base URL (which ends with a slash). A path is a name under it, with or without a slash in front; a full URL
 * is taken as it is.
 * Errors are `source` with URL, status and what to do; 404 and 410 mean "no such file".
 */
export function openHttpRoot(base: string, options: HttpOptions = {}): OpenRoot {
  const requester = new Requester(options);
  const { rangeBytes = RANGE_BYTES, wholeBytes = WHOLE_BYTES } = options;
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

  const refused = ({ response, url }: Pick<Reply, 'response' | 'url'>): PupilError =>
    new PupilError(
      'source',
      `${shownUrl(url)}: expected the file, got status ${response.status} ${response.statusText}`,
      response.status === 401 || response.status === 403
        ? 'The server asks for other rights: check the address and its token.'
        : 'Check the address.',
    );

  const look = (reply: Reply): Promise<'here' | 'missing'> => {
    const { status } = reply.response;
    if (status === 404 || status === 410) return Promise.resolve('missing');
    if (status !== 206 && status !== 200) return Promise.reject(refused(reply));
    return Promise.resolve(isPage(reply, new URL(reply.url).pathname) ? 'missing' : 'here');
  };

  const open = async (path: string): Promise<ByteSource | undefined> => {
    const url = urlOf(path);
    const found = await probe(requester, url, { wholeBytes, tags: new Tags(), look });
    if (found === undefined) return undefined;
    if ('whole' in found) return memorySource(path, found.whole);
    return new RemoteFile({
      requester,
      name: path,
      url,
      ...found,
      rangeBytes,
      wholeBytes,
      refused: (reply) => Promise.resolve(refused(reply)),
    });
  };

  /** Sends bytes to the server, or tells it something about them. */
  const upload = (sent: Outgoing, sizeBytes: number): Promise<void> =>
    requester.request(
      () => sent,
      async (reply) => {
        if (reply.response.status === 507) {
          throw new PupilError(
            'storage-full',
            `${shownUrl(sent.url)}: the server has no room for ${sizeBytes} bytes`,
            'Free some space.',
          );
        }
        if (!reply.response.ok) throw refused(reply);
        await reply.read(() => undefined).catch(() => undefined);
      },
    );

  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    // A copy: the array may be a view of something larger, or of shared memory, which fetch refuses. And a blob: who drives a
    // browser is told of every request with its bytes as text, which ends the driver at half a gigabyte.
    write: (path, bytes) =>
      upload({ url: urlOf(path), method: 'PUT', body: new Blob([bytes.slice()]) }, bytes.byteLength),
    create: (path) => Promise.resolve(createHttpWriter(urlOf(path), upload)),
  };
}
