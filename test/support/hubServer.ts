// hubServer.ts: a Hugging Face Hub on localhost that can be as bad as the real world: its API, its resolve addresses, a CDN on
// another port (another origin) with signed addresses that run out, and a fault for each request on demand. Tests only.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** Faults after which another try succeeds. */
export const PASSING_FAULTS = [
  '500',
  '502',
  '408',
  '429',
  '429-date',
  '503-wait',
  'reset',
  'cut',
  'stall',
  'no-headers',
  'short',
  'long',
  'other-range',
  'gzip-part',
  'ignores-range',
  'expired',
  'endless-header',
  'less-at-once',
] as const;
/** Faults that last: the file is not to be had, or is not the file any more. */
export const LASTING_FAULTS = ['changed-etag', 'changed-size', 'html', 'loop', 'ftp', 'forbidden', 'pointer'] as const;
export type Fault = 'ok' | (typeof PASSING_FAULTS)[number] | (typeof LASTING_FAULTS)[number];

export interface AskedHub {
  n: number;
  server: 'hub' | 'cdn';
  kind: 'api' | 'resolve' | 'cdn';
  url: string;
  path: string;
  range: string | undefined;
  authorization: string | undefined;
  origin: string | undefined;
  fault: Fault;
  /** Of the body. */
  sentBytes: number;
}

export interface HubServerOptions {
  repo?: string;
  /** What branches and tags stand for; `main` is the first commit. */
  revisions?: Record<string, string>;
  /** Files by commit, or the same for all. */
  files: Record<string, Uint8Array>;
  api?: 'full' | 'no-sizes' | 'none';
  /** Whether the server says its commit with files. */
  saysCommit?: boolean;
  /** Demanded of every request to the hub. */
  token?: string;
  gated?: boolean;
  /** Header names a page may see; the Hub's where absent, none of CORS at all where false. */
  exposed?: string | false;
  fault?: (asked: Omit<AskedHub, 'fault' | 'sentBytes'>) => Fault;
  bytesPerSecond?: number;
  /** Until a signed address runs out. */
  signatureMs?: number;
  /** A fault that never ends is ended after this, so that a server can be closed. */
  stallMs?: number;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
/** As huggingface.co sends it, and its CDN. */
export const HUB_EXPOSED =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash';

const isLarge = (path: string): boolean => /\.(safetensors|bin)$/.test(path);
const tagOf = (path: string, bytes: Uint8Array): string =>
  createHash(isLarge(path) ? 'sha256' : 'sha1')
    .update(bytes)
    .digest('hex');

export class HubServer {
  readonly asked: AskedHub[] = [];
  /** Requests under way at the same time, at most, by server. */
  readonly mostAtOnce = { hub: 0, cdn: 0 };
  endpoint = '';
  cdn = '';
  fault: NonNullable<HubServerOptions['fault']>;
  private readonly underWay = { hub: 0, cdn: 0 };
  private readonly servers: Server[] = [];
  private signatures = new Map<string, { path: string; until: number }>();

  constructor(readonly options: HubServerOptions) {
    this.fault = options.fault ?? (() => 'ok');
  }

  get repo(): string {
    return this.options.repo ?? 'maker/model';
  }

  /** Bytes of bodies that went out for files. */
  get sentBytes(): number {
    return this.asked.filter(({ kind }) => kind !== 'api').reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  }

  async start(): Promise<this> {
    this.endpoint = await this.listen('hub');
    this.cdn = await this.listen('cdn');
    return this;
  }

  async close(): Promise<void> {
    for (const server of this.servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  private async listen(name: 'hub' | 'cdn'): Promise<string> {
    const server = createServer((request, response) => {
      this.underWay[name]++;
      this.mostAtOnce[name] = Math.max(this.mostAtOnce[name], this.underWay[name]);
      response.once('close', () => this.underWay[name]--);
      void this.answer(name, request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  private cors(request: IncomingMessage): Record<string, string> {
    const { exposed = HUB_EXPOSED } = this.options;
    const { origin } = request.headers;
    if (exposed === false || origin === undefined) return {};
    return {
      'access-control-allow-origin': origin,
      'access-control-max-age': '86400',
      vary: 'Origin',
      ...(exposed === '' ? {} : { 'access-control-expose-headers': exposed }),
    };
  }

  private async answer(server: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://x');
    const cors = this.cors(request);
    if (request.method === 'OPTIONS') {
      const headers = request.headers['access-control-request-headers'];
      response.writeHead(204, {
        ...cors,
        ...(headers === undefined ? {} : { 'access-control-allow-headers': headers }),
      });
      return void response.end();
    }
    const resolve = new RegExp(`^/${this.repo}/resolve/([^/]+)/(.+)$`).exec(url.pathname);
    const api = new RegExp(`^/api/models/${this.repo}/revision/([^/]+)$`).exec(url.pathname);
    const kind = server === 'cdn' ? 'cdn' : api === null ? 'resolve' : 'api';
    const signed = this.signatures.get(url.searchParams.get('signature') ?? '');
    const path = kind === 'cdn' ? (signed?.path ?? '') : decodeURIComponent(resolve?.[2] ?? '');
    const asked: AskedHub = {
      n: this.asked.length,
      server,
      kind,
      url: url.href,
      path,
      range: request.headers.range,
      authorization: request.headers.authorization,
      origin: request.headers.origin,
      fault: 'ok',
      sentBytes: 0,
    };
    asked.fault = this.fault(asked);
    this.asked.push(asked);
    if (await this.faultyAnswer(asked, response, cors)) return;

    const problem = (status: number, code: string, message: string): void => {
      response
        .writeHead(status, {
          ...cors,
          'x-error-code': code,
          'x-error-message': message,
          'content-type': 'application/json',
        })
        .end(JSON.stringify({ error: message }));
    };
    if (kind === 'cdn') {
      if (signed === undefined || signed.until < Date.now() || asked.fault === 'expired') {
        return void response.writeHead(403, cors).end('<Error><Code>AccessDenied</Code></Error>');
      }
      return this.sendFile(asked, response, path, { ...cors, etag: `"cdn-${tagOf(path, this.options.files[path]!)}"` });
    }
    const { token, gated = false } = this.options;
    const right = token === undefined || asked.authorization === `Bearer ${token}`;
    if (api === null && resolve === null) return problem(404, 'RepoNotFound', 'Repository not found');
    if (!right && gated && kind === 'resolve')
      return problem(401, 'GatedRepo', `Access to model ${this.repo} is restricted.`);
    if (!right && !gated) {
      const sent = asked.authorization !== undefined;
      return problem(
        401,
        sent ? '' : 'RepoNotFound',
        sent ? 'Invalid credentials in Authorization header' : 'Invalid username or password.',
      );
    }
    const revision = decodeURIComponent((api ?? resolve)?.[1] ?? '');
    const commit = revision === COMMIT ? COMMIT : (this.options.revisions ?? { main: COMMIT })[revision];
    const mode = this.options.api ?? 'full';
    if (kind === 'api' && mode === 'none') return void response.writeHead(404, cors).end('Not found');
    if (commit === undefined) return problem(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    const { files } = this.options;
    if (kind === 'api') {
      const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
        rfilename,
        ...(mode === 'no-sizes'
          ? {}
          : {
              size: bytes.byteLength,
              blobId: createHash('sha1').update(bytes).digest('hex'),
              ...(isLarge(rfilename)
                ? { lfs: { sha256: tagOf(rfilename, bytes), size: bytes.byteLength, pointerSize: 134 } }
                : {}),
            }),
      }));
      const body = JSON.stringify({
        id: this.repo,
        sha: commit,
        private: false,
        gated: gated ? 'manual' : false,
        siblings,
      });
      return void response.writeHead(200, { ...cors, 'content-type': 'application/json; charset=utf-8' }).end(body);
    }
    const says = this.options.saysCommit === false ? {} : { 'x-repo-commit': commit };
    const bytes = files[path];
    if (bytes === undefined) {
      return void response
        .writeHead(404, { ...cors, ...says, 'x-error-code': 'EntryNotFound', 'x-error-message': 'Entry not found' })
        .end('Entry not found');
    }
    if (!isLarge(path))
      return this.sendFile(asked, response, path, { ...cors, ...says, etag: `"${tagOf(path, bytes)}"` });
    const signature = createHash('sha1').update(`${path} ${asked.n}`).digest('hex');
    this.signatures.set(signature, { path, until: Date.now() + (this.options.signatureMs ?? 60_000) });
    const tag = asked.fault === 'changed-etag' ? 'f'.repeat(64) : tagOf(path, bytes);
    response
      .writeHead(302, {
        ...cors,
        ...says,
        location: `${this.cdn}/blobs/${tag.slice(0, 12)}?signature=${signature}`,
        'x-linked-size': String(bytes.byteLength),
        'x-linked-etag': `"${tag}"`,
        'cache-control': 'no-store',
      })
      .end();
  }

  /** @returns whether the fault was an answer in itself. */
  private async faultyAnswer(
    { fault, kind, url }: AskedHub,
    response: ServerResponse,
    cors: Record<string, string>,
  ): Promise<boolean> {
    const plain = (status: number, headers: Record<string, string> = {}): true => {
      response.writeHead(status, { ...cors, ...headers }).end();
      return true;
    };
    const { stallMs = 2000 } = this.options;
    switch (fault) {
      case '500':
      case '502':
      case '408':
        return plain(Number(fault));
      case '429':
        return plain(429, { 'retry-after': '0' });
      case '429-date':
        return plain(429, { 'retry-after': new Date(Date.now() - 5000).toUTCString() });
      case '503-wait':
        return plain(503, { 'retry-after': '0.02' });
      case 'reset':
        response.socket?.destroy();
        return true;
      case 'no-headers':
        await new Promise((resolve) => setTimeout(resolve, stallMs).unref());
        response.socket?.destroy();
        return true;
      case 'endless-header':
        response.socket?.write('HTTP/1.1 200 OK\r\nx-endless: ');
        for (let i = 0; i < 20; i++) response.socket?.write('a'.repeat(4096));
        response.socket?.destroy();
        return true;
      case 'loop':
        return plain(302, { location: url.replace('http://x', '') });
      case 'ftp':
        return plain(302, { location: 'ftp://127.0.0.1/model' });
      case 'forbidden':
        return kind === 'cdn' ? plain(403) : plain(403, { 'x-error-message': 'no, because of it' });
      case 'html':
        response.writeHead(200, { ...cors, 'content-type': 'text/html; charset=utf-8' });
        response.end('<!doctype html><title>Sign in to the network</title>');
        return true;
      default:
        return false;
    }
  }

  private async sendFile(
    asked: AskedHub,
    response: ServerResponse,
    path: string,
    headers: Record<string, string>,
  ): Promise<void> {
    const { fault } = asked;
    let bytes = this.options.files[path]!;
    if (fault === 'pointer')
      bytes = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    if (fault === 'changed-size') bytes = bytes.slice(0, Math.max(0, bytes.byteLength - 1));
    if (fault === 'changed-etag') headers = { ...headers, etag: '"another"' };
    const match = /^bytes=(\d+)-(\d+)$/.exec(asked.range ?? '');
    const common = { ...headers, 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
    if (match === null || fault === 'ignores-range') {
      response.writeHead(200, { ...common, 'content-length': bytes.byteLength });
      return this.sendBody(asked, response, bytes);
    }
    const start = Number(match[1]);
    let end = Math.min(Number(match[2]) + 1, bytes.byteLength);
    if (start >= bytes.byteLength) {
      return void response.writeHead(416, { ...headers, 'content-range': `bytes */${bytes.byteLength}` }).end();
    }
    if (fault === 'less-at-once') end = start + Math.max(1, Math.ceil((end - start) / 2));
    let body = bytes.subarray(start, end);
    const shift = fault === 'other-range' ? 1 : 0;
    const range = `bytes ${start + shift}-${end - 1}/${bytes.byteLength}`;
    if (fault === 'gzip-part') {
      body = gzipSync(body);
      response.writeHead(206, {
        ...common,
        'content-range': range,
        'content-encoding': 'gzip',
        'content-length': body.byteLength,
      });
      return this.sendBody(asked, response, body);
    }
    if (fault === 'long') {
      response.writeHead(206, { ...common, 'content-range': range });
      return this.sendBody(asked, response, Buffer.concat([body, Buffer.from('more')]));
    }
    if (fault === 'short') {
      body = body.subarray(0, body.byteLength >> 1); // and a length that is right for what comes, not for the range
      response.writeHead(206, { ...common, 'content-range': range, 'content-length': body.byteLength });
      return this.sendBody(asked, response, body);
    }
    response.writeHead(206, { ...common, 'content-range': range, 'content-length': body.byteLength });
    return this.sendBody(asked, response, body);
  }

  private async sendBody(asked: AskedHub, response: ServerResponse, body: Uint8Array): Promise<void> {
    const { bytesPerSecond, stallMs = 2000 } = this.options;
    const ends = asked.fault === 'cut' || asked.fault === 'stall' ? body.byteLength >> 1 : body.byteLength;
    const piece = bytesPerSecond === undefined ? 65_536 : Math.max(1, Math.ceil(bytesPerSecond / 100));
    for (let at = 0; at < ends && !response.destroyed; at += piece) {
      const part = body.subarray(at, Math.min(ends, at + piece));
      asked.sentBytes += part.byteLength;
      if (!response.write(part)) {
        await Promise.race([
          new Promise((resolve) => response.once('drain', resolve)),
          new Promise((resolve) => response.once('close', resolve)),
        ]);
      }
      if (bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (asked.fault === 'stall') await new Promise((resolve) => setTimeout(resolve, stallMs).unref());
    if (asked.fault === 'cut' || asked.fault === 'stall') {
      await new Promise((resolve) => setTimeout(resolve, 2)); // what was written is to arrive
      return void response.socket?.destroy();
    }
    response.end();
  }
}

export function startHubServer(options: HubServerOptions): Promise<HubServer> {
  return new HubServer(options).start();
}
