// s3Server.ts: a bucket in memory that speaks as much of S3 as an artefact store needs, and fails when it is told to: errors,
// cut connections, wrong bytes. It checks that requests are signed, not the signature. Tests only.
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What is to happen to one of the next requests that fit. */
export interface Fault {
  method: string;
  /** Part of the key, or of the prefix that is listed. */
  key: string;
  how: '500' | '403' | 'cut' | 'wrong bytes' | 'unlisted';
}

export interface S3Server {
  endpoint: string;
  objects: Map<string, Buffer>;
  /** Uploads that were begun and neither completed nor aborted. */
  uploads: Map<string, Map<number, Buffer>>;
  faults: Fault[];
  /** Every request, as `PUT key`. */
  requests: string[];
  close(): Promise<void>;
}

const escaped = (text: string): string => text.replace(/[<>&]/g, (one) => `&#${one.charCodeAt(0)};`);
const etagOf = (bytes: Buffer): string => `"${createHash('md5').update(bytes).digest('hex')}"`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export async function startS3(bucket: string): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const faults: Fault[] = [];
  const requests: string[] = [];

  const xml = (response: ServerResponse, status: number, body: string): void => {
    response.writeHead(status, { 'Content-Type': 'application/xml' }).end(`<?xml version="1.0"?>${body}`);
  };
  const refuse = (response: ServerResponse, status: number, code: string): void =>
    xml(response, status, `<Error><Code>${code}</Code><Message>${code}</Message></Error>`);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url!, 'http://s3');
    const [, named, ...rest] = decodeURIComponent(pathname).split('/');
    const key = rest.join('/');
    const method = request.method!;
    requests.push(`${method} ${key}`);
    const body = await bodyOf(request);
    if (
      !/^AWS4-HMAC-SHA256 Credential=.+, ?SignedHeaders=.+, ?Signature=[0-9a-f]{64}$/.test(
        request.headers.authorization ?? '',
      )
    ) {
      return refuse(response, 403, 'AccessDenied');
    }
    if (named !== bucket) return refuse(response, 404, 'NoSuchBucket');
    const about = key === '' ? (query.get('prefix') ?? '') : key;
    const at = faults.findIndex((fault) => fault.method === method && about.includes(fault.key));
    const fault = at < 0 ? undefined : faults.splice(at, 1)[0]!.how;
    if (fault === '403') return refuse(response, 403, 'AccessDenied');
    if (fault === 'unlisted') return list(response, 'nothing', null);
    if (fault === '500') return refuse(response, 500, 'InternalError');
    if (fault === 'cut' && method !== 'GET') return void response.destroy();
    const upload = query.get('uploadId');
    if (method === 'HEAD' && key === '') return void response.writeHead(200).end();
    if (method === 'GET' && key === '')
      return list(response, query.get('prefix') ?? '', query.get('continuation-token'));
    if (method === 'GET' || method === 'HEAD') {
      const bytes = objects.get(key);
      if (bytes === undefined)
        return method === 'HEAD' ? void response.writeHead(404).end() : refuse(response, 404, 'NoSuchKey');
      response.writeHead(200, { 'Content-Length': bytes.byteLength, ETag: etagOf(bytes) });
      if (method === 'HEAD') return void response.end();
      if (fault === 'cut') {
        response.write(bytes.subarray(0, bytes.byteLength / 2), () => response.destroy());
        return;
      }
      const sent = Buffer.from(bytes);
      if (fault === 'wrong bytes') sent[0]! ^= 1;
      return void response.end(sent);
    }
    if (method === 'POST' && query.has('delete')) {
      const md5 = createHash('md5').update(body).digest('base64');
      if (request.headers['content-md5'] !== md5) return refuse(response, 400, 'InvalidRequest'); // as older servers do
      for (const [, name] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) objects.delete(name!);
      return xml(response, 200, '<DeleteResult/>');
    }
    if (method === 'POST' && query.has('uploads')) {
      const id = randomUUID();
      uploads.set(id, new Map());
      return xml(
        response,
        200,
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    if (upload !== null) {
      const parts = uploads.get(upload);
      if (parts === undefined) return refuse(response, 404, 'NoSuchUpload');
      if (method === 'PUT') {
        parts.set(Number(query.get('partNumber')), body);
        return void response.writeHead(200, { ETag: etagOf(body) }).end();
      }
      uploads.delete(upload);
      if (method === 'DELETE') return void response.writeHead(204).end();
      const wanted = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, n]) =>
        parts.get(Number(n))!,
      );
      objects.set(key, Buffer.concat(wanted));
      return xml(response, 200, '<CompleteMultipartUploadResult/>');
    }
    if (method === 'PUT') {
      objects.set(key, body);
      return void response.writeHead(200, { ETag: etagOf(body) }).end();
    }
    refuse(response, 405, 'MethodNotAllowed');
  }

  /** Three keys a page, so that pages are gone through. */
  function list(response: ServerResponse, prefix: string, after: string | null): void {
    const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > (after ?? '')).sort();
    const page = names.slice(0, 3);
    const more = names.length > page.length;
    const contents = page.map((name) => `<Contents><Key>${escaped(name)}</Key></Contents>`).join('');
    const next = more ? `<NextContinuationToken>${escaped(page.at(-1)!)}</NextContinuationToken>` : '';
    xml(response, 200, `<ListBucketResult>${contents}<IsTruncated>${more}</IsTruncated>${next}</ListBucketResult>`);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${port}`,
    ...{ objects, uploads, faults, requests },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
