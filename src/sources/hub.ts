// hub.ts: a model of a Hugging Face Hub, or of any server with its layout of addresses, as a file root. The revision becomes a
// commit once, and every file is read at that commit: a branch that moves cannot mix two versions. How a request is made is
// request.ts, how a file is read remoteFile.ts, what a refusal means hubErrors.ts. docs/decisions says why @huggingface/hub
// is not used.
import { PupilError } from '../base/errors';
import type { PieceStore } from '../base/pieces';
import { expectHubName, HUB_ENDPOINT, hubText } from '../config/hubName';
import { memorySource, type ByteSource } from '../formats/byteSource';
import { isJsonObject, parseJsonObject } from '../formats/jsonText';
import { hubError, isMissingFile, type HubAsked } from './hubErrors';
import { probe, RANGE_BYTES, WHOLE_BYTES, type HttpOptions } from './http';
import { normalisePath } from './memory';
import type { OpenRoot } from './openRoot';
import { throughPieces } from './pieceSource';
import { readBytesWith, readTextWith } from './readWith';
import { expectNotTurnedAway, isPage, pageInstead, RemoteFile, Tags } from './remoteFile';
import { Requester, type Reply } from './request';

export interface HubRoot {
  repo: string;
  /** A branch, tag or commit; `main` where absent. */
  revision?: string;
  /** Base URL; https://huggingface.co where absent. */
  endpoint?: string;
  /** Goes to the endpoint's own origin and nowhere else; kept in memory only. */
  token?: string;
}

export interface HubOptions extends Omit<HttpOptions, 'credentials'> {
  /** Keeps what was downloaded until it is forgotten. */
  pieces?: PieceStore;
  /** Told of bytes as they come over the network; a negative count takes back what turned out to be of no use. */
  onBytes?: (count: number) => void;
  /** Told what a person should know though it stops nothing. */
  onWarning?: (text: string) => void;
}

export interface OpenHubRoot extends OpenRoot {
  /** The model with the commit that its files are read at: `hub:owner/name@<40 digits>`. */
  pinned(): Promise<string>;
  /** Deletes the pieces that were kept of it: it has been loaded, or kept in another form. Never throws. */
  forgetPieces(): Promise<void>;
}

/** Of an answer of the API: some models have thousands of files. */
const MAX_API_BYTES = 2 ** 26;
/** Pointers of Git-LFS are about 130 bytes. */
const MAX_POINTER_BYTES = 1024;
const COMMIT = /^[0-9a-f]{40}$/;

interface HubFile {
  size?: number;
  /** What `x-linked-etag` or `etag` says of it: the SHA-256 of large files, Git's own hash of others. */
  tag?: string;
  large: boolean;
}

interface Resolved {
  /** The commit; the revision as it was named where the server does not say one. */
  at: string;
  pinned: boolean;
  /** By path; absent where the server has no list. */
  files?: ReadonlyMap<string, HubFile>;
}

/**
 * A model's files. Nothing is fetched before the first is opened.
 * @throws PupilError `config` for a name, endpoint or token that cannot be one.
 */
export function openHubRoot(root: HubRoot, options: HubOptions = {}): OpenHubRoot {
  const { repo, revision = 'main', endpoint = HUB_ENDPOINT } = expectHubName(root);
  const { token } = root;
  const { rangeBytes = RANGE_BYTES, wholeBytes = WHOLE_BYTES, pieces, onBytes } = options;
  const description = hubText({ repo, revision });
  const { origin, protocol, hostname } = new URL(endpoint);
  if (token !== undefined && protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) {
    throw new PupilError(
      'config',
      `${description}: expected an https endpoint for a token, got ${endpoint}`,
      'Over http anybody on the way can read it: use https, or no token.',
    );
  }
  const requester = new Requester({
    cache: 'no-store', // the bytes are kept in pieces and in the student's own cache; redirects run out
    ...options,
    ...(token === undefined ? {} : { credentials: { origin, token } }),
  });
  const asked: HubAsked = {
    repo,
    revision,
    endpoint,
    withToken: token !== undefined,
    clean: (text) => requester.clean(text),
  };
  const fileUrl = (at: string, path: string): string =>
    `${endpoint}/${repo}/resolve/${encodeURIComponent(at)}/${path.split('/').map(encodeURIComponent).join('/')}`;

  /** What the API says; undefined where the server has none. */
  const fromApi = (): Promise<Resolved | undefined> =>
    requester.request(
      () => ({ url: `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true` }),
      async (reply) => {
        const { status, headers } = reply.response;
        const saysWhy = headers.has('x-error-code') || status === 401 || status === 403;
        if (status !== 200) {
          if (saysWhy) throw hubError(reply, asked);
          return undefined;
        }
        if (!(headers.get('content-type') ?? '').includes('json')) return undefined; // a page, or a folder's listing
        return readApi(await reply.bytes(MAX_API_BYTES), `${description}: answer of the API`);
      },
    );

  /** Of a server without an API: the commit that it says with a file. */
  const fromHeader = (): Promise<Resolved> => {
    const url = fileUrl(revision, 'config.json');
    return requester.request(
      () => ({ url, headers: { range: 'bytes=0-1' } }),
      async (reply) => {
        expectNotTurnedAway(reply, url);
        const { status } = reply.response;
        if (status >= 400 && status !== 416 && !isMissingFile(reply)) throw hubError(reply, asked);
        const all = [...reply.hops.map(({ headers }) => headers), reply.response.headers];
        const commit = all.map((headers) => headers.get('x-repo-commit')).find((one) => COMMIT.test(one ?? ''));
        return Promise.resolve({ at: commit ?? revision, pinned: commit !== undefined || COMMIT.test(revision) });
      },
    );
  };

  let resolving: Promise<Resolved> | undefined;
  const resolved = (): Promise<Resolved> =>
    (resolving ??= fromApi()
      .then(async (found) => found ?? (await fromHeader()))
      .then((found) => {
        if (!found.pinned) {
          options.onWarning?.(`${description}: the server does not say its commit, so files are read as they are now`);
        }
        return found;
      })
      .catch((error: unknown) => {
        resolving = undefined; // the next one may be luckier
        throw error;
      }));

  const look = (reply: Reply, path: string): 'here' | 'missing' => {
    if (isMissingFile(reply)) return 'missing';
    if (reply.response.status !== 200 && reply.response.status !== 206) throw hubError(reply, asked);
    if (isPage(reply, path)) throw pageInstead(reply);
    return 'here';
  };

  const open = async (path: string): Promise<ByteSource | undefined> => {
    const name = normalisePath(path);
    const { at, pinned, files } = await resolved();
    const known = files?.get(name);
    if (files !== undefined && known === undefined) return undefined;
    const url = fileUrl(at, name);
    const tags = new Tags(known?.large === true ? known.tag : undefined);
    const found =
      known?.size === undefined
        ? await probe(requester, url, { wholeBytes, tags, look: (reply) => Promise.resolve(look(reply, name)) })
        : { size: known.size, tags };
    if (found === undefined) return undefined;
    if ('whole' in found) {
      onBytes?.(found.whole.byteLength);
      return expectNoPointer(memorySource(path, found.whole));
    }
    const remote = new RemoteFile({
      requester,
      name: path,
      url,
      ...found,
      rangeBytes,
      wholeBytes,
      refused: (reply) => Promise.resolve(hubError(reply, asked)),
      ...(onBytes === undefined ? {} : { onBytes }),
    });
    const tag = known?.tag ?? tags.best;
    if (pieces === undefined || !pinned) return expectNoPointer(remote);
    const file = await pieces.openFile(groupOf(at), `${name}#${tag ?? ''}`, remote.size);
    const { pieceBytes } = pieces;
    return expectNoPointer(throughPieces(remote, file, { pieceBytes, runBytes: Math.max(rangeBytes, pieceBytes) }));
  };

  const groupOf = (at: string): string => `${repo}@${at}`;

  const refuse = (path: string): Promise<never> =>
    Promise.reject(new PupilError('usage', `${path}: expected a place to write to, ${description} is only read`));
  return {
    description,
    open,
    readBytes: (path) => readBytesWith(open, description, path),
    readText: (path) => readTextWith(open, description, path),
    write: refuse,
    create: refuse,
    pinned: async () => {
      const { at, pinned } = await resolved();
      return hubText({ repo, revision: pinned ? at : revision });
    },
    forgetPieces: async () => {
      if (pieces === undefined || resolving === undefined) return;
      const found = await resolving.catch(() => undefined);
      if (found?.pinned === true) await pieces.forget(groupOf(found.at));
    },
  };
}

/** `{ sha, siblings: [{ rfilename, size?, blobId?, lfs?: { sha256, size } }] }`. @throws PupilError `format` */
function readApi(bytes: Uint8Array, name: string): Resolved | undefined {
  const { sha, siblings } = parseJsonObject(bytes, name);
  if (typeof sha !== 'string' || !COMMIT.test(sha)) return undefined; // not this API
  if (!Array.isArray(siblings)) return { at: sha, pinned: true };
  const files = new Map<string, HubFile>();
  for (const entry of siblings as unknown[]) {
    if (!isJsonObject(entry) || typeof entry['rfilename'] !== 'string') continue;
    const lfs = isJsonObject(entry['lfs']) ? entry['lfs'] : undefined;
    const size = lfs?.['size'] ?? entry['size'];
    const tag = lfs?.['sha256'] ?? entry['blobId'];
    files.set(entry['rfilename'], {
      ...(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? { size } : {}),
      ...(typeof tag === 'string' ? { tag } : {}),
      large: lfs !== undefined,
    });
  }
  return { at: sha, pinned: true, files };
}

/** A mirror made by a Git that lacks LFS serves pointers in place of the large files: told at once, by name. */
async function expectNoPointer(source: ByteSource): Promise<ByteSource> {
  if (source.size > MAX_POINTER_BYTES || !/\.(safetensors|bin|model|gguf)$/.test(source.name)) return source;
  const text = new TextDecoder().decode(await source.read(0, source.size));
  if (!text.startsWith('version https://git-lfs')) return source;
  throw new PupilError(
    'source',
    `${source.name}: expected the file, the server has only its Git-LFS pointer (${source.size} bytes)`,
    'Whoever keeps the mirror must fetch the large files: git lfs pull.',
  );
}
