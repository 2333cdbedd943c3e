// s3Store.ts: an artefact store in a bucket of S3 or of what speaks its protocol (MinIO, Ceph, Swift). Keys come from the
// environment or the profile, as the SDK finds them, never from a flag. A large file goes up in parts and is there when the
// last one is; every file is compared with its SHA-256 on the way up and down.
//
// Asked of a server: HeadObject, GetObject, PutObject, ListObjectsV2, DeleteObjects and multipart uploads, and that what was
// written is listed at once. Not asked: conditional writes, ranges, checksums beyond MD5, versions.
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import { PupilError } from '../../base/errors';
import { blocksOf, ContentMeter, expectContent, expectStoreName, storeError } from './artefactStore';
import type { ArtefactStore, Content } from './artefactStore';

export interface S3Options {
  /** Of MinIO, Ceph and the like; absent: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's own. */
  endpoint?: string;
  /** Absent: AWS_REGION, or the profile's. */
  region?: string;
  /** The bucket in the path and not in the host's name; absent: where an endpoint is named. */
  pathStyle?: boolean;
  /** Whether it will be written to: then it is tried, so that a missing right is told before a run of days. */
  writes?: boolean;
  /** Largest file that goes up in one request, and the size of a part where that suffices; absent: {@link PART_BYTES}. */
  partBytes?: number;
}

/** S3 takes no smaller parts than 5 MiB. */
const PART_BYTES = 16 * 2 ** 20;
/** S3 takes so many parts at most. */
const MOST_PARTS = 10_000;
/** The SDK itself repeats requests; these are whole files again after a cut or wrong body. */
const DOWNLOADS = 4;

/** What an error of the SDK tells: `AccessDenied: …`, or what is known of one without a text, as answers to HEAD are. */
function toldOf(error: unknown): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (message === 'UnknownError' || message === '' || message === name) {
    return status === undefined ? name : `${['Unknown', 'Error'].includes(name) ? '' : `${name}, `}HTTP ${status}`;
  }
  return name === 'Error' ? message : `${name}, ${message}`;
}

/** What to do about an error of opening a bucket. */
function hintOf(error: unknown): string {
  const { name, Region, $metadata } = error as Error & { Region?: string; $metadata?: { httpStatusCode?: number } };
  const keys = 'Keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.';
  if (name === 'NoSuchBucket') return 'Make the bucket first; Pupil makes none.';
  if (name === 'RequestTimeTooSkewed') return "This machine's clock is wrong.";
  if (['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'].includes(name)) {
    return Region === undefined ? 'Name its region: --s3-region.' : `It is in another region: --s3-region ${Region}`;
  }
  if (name === 'SignatureDoesNotMatch') return `${keys} The secret does not fit the key.`;
  if (name === 'InvalidAccessKeyId') return `${keys} This key is not known there.`;
  if ($metadata?.httpStatusCode === 403) return `${keys} They need the right to list the bucket (s3:ListBucket).`;
  return `${keys} Address: --s3-endpoint and --s3-region. The bucket must be there.`;
}

const isMissing = (error: unknown): boolean =>
  ['NotFound', 'NoSuchKey'].includes((error as Error).name) ||
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404;

/** `s3://bucket/prefix` in its parts. @throws PupilError `usage` */
export function parseS3Address(text: string): { bucket: string; prefix: string } {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/.exec(text) ?? [];
  if (bucket === '') {
    throw new PupilError('usage', `--store: expected s3://bucket or s3://bucket/prefix, got ${text}`);
  }
  const clean = prefix.replace(/^\/+|\/+$/g, '');
  return { bucket, prefix: clean === '' ? '' : `${clean}/` };
}

/**
 * Deletions with the MD5 of their text. The SDK sends a newer checksum in its place, and does not without; servers that know
 * only what S3 asked for until 2025 (Swift 2.30; by report Ceph and MinIO of those years) refuse the request for that.
 */
function withMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        const { headers, body } = args.request as { headers: Record<string, string>; body: string | Uint8Array };
        if (commandName === 'DeleteObjectsCommand') {
          for (const name of Object.keys(headers)) if (/^x-amz-(sdk-)?checksum-/i.test(name)) delete headers[name];
          headers['content-md5'] = createHash('md5').update(body).digest('base64');
        }
        return next(args);
      },
    { name: 'pupilDeletionMd5', step: 'build', priority: 'low' }, // after the SDK's checksum, before the signature
  );
}

export class S3Store implements ArtefactStore {
  readonly description: string;

  private constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
    private readonly prefix: string,
    private readonly partBytes: number,
  ) {
    this.description = `s3://${bucket}/${prefix}`;
  }

  /** @throws PupilError `storage` where the bucket cannot be reached with these keys */
  static async open(address: string, options: S3Options = {}): Promise<S3Store> {
    const { bucket, prefix } = parseS3Address(address);
    const endpoint = options.endpoint ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
    const region = options.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'];
    const client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      // Stores of one's own have no regions, but the signature needs one.
      ...(region === undefined ? (endpoint === undefined ? {} : { region: 'us-east-1' }) : { region }),
      forcePathStyle: options.pathStyle ?? endpoint !== undefined,
      maxAttempts: 6,
      // Files are compared with their SHA-256 here; the SDK's own trailing checksums are unknown to older servers.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    withMd5(client);
    const store = new S3Store(client, bucket, prefix, options.partBytes ?? PART_BYTES);
    try {
      // Not HeadBucket: its errors have no text.
      await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }));
    } catch (cause) {
      client.destroy();
      throw new PupilError(
        'storage',
        `--store: expected the bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}: ${toldOf(cause)}`,
        hintOf(cause),
        { cause },
      );
    }
    if (options.writes !== true) return store;
    try {
      await store.tryWriting();
      return store;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /**
   * Writes a file, lists, reads and deletes it.
   * @throws PupilError `storage` naming what cannot be done there
   */
  private async tryWriting(): Promise<void> {
    const name = `trial-${randomBytes(8).toString('hex')}`;
    const text = new Date().toISOString();
    const { Bucket, Key } = this.at(name);
    const refuse = (what: string, why: string, hint: string, cause?: unknown): never => {
      throw new PupilError('storage', `--store: expected to ${what} in ${this.description}: ${why}`, hint, { cause });
    };
    const steps: [what: string, right: string, step: () => Promise<unknown>][] = [
      ['write', 's3:PutObject', () => this.client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(text) }))],
      [
        'list',
        's3:ListBucket',
        async () => {
          const { Contents = [] } = await this.client.send(new ListObjectsV2Command({ Bucket, Prefix: Key }));
          if (Contents.some((found) => found.Key === Key)) return;
          refuse(
            'find what was just written',
            'it is not listed',
            'Workers tell by the list who goes on with a run: a server that lists later is none for them. Use a shared folder.',
          );
        },
      ],
      [
        'read',
        's3:GetObject',
        async () => {
          if ((await this.getText(name)) !== text) refuse('read what was just written', 'something else came', '');
        },
      ],
      ['delete', 's3:DeleteObject', () => this.remove([name])],
    ];
    for (const [what, right, step] of steps) {
      try {
        await step();
      } catch (error) {
        if (error instanceof PupilError && error.message.startsWith('--store:')) throw error;
        const cause = error instanceof PupilError ? error.cause : error;
        refuse(
          what,
          toldOf(cause ?? error),
          `The keys need ${right}, or the server is none for this: docs/queue.md.`,
          cause,
        );
      }
    }
  }

  async sizeOf(name: string): Promise<number | undefined> {
    try {
      return (await this.client.send(new HeadObjectCommand(this.at(name)))).ContentLength;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(this.told(name), error);
    }
  }

  async putFile(name: string, file: string, content: Content): Promise<void> {
    try {
      if (content.sizeBytes > this.partBytes) return await this.putInParts(name, file, content);
      const meter = new ContentMeter();
      const blocks: Buffer[] = [];
      // One block more than announced would show that the file grew.
      for await (const block of blocksOf(file, this.partBytes)) {
        meter.add(block);
        blocks.push(block);
        if (blocks.length > 1) break;
      }
      expectContent(file, meter.content, content);
      await this.client.send(new PutObjectCommand({ ...this.at(name), Body: blocks[0] ?? Buffer.alloc(0) }));
    } catch (error) {
      if ((error as Error).name === 'ContentChanged') throw error;
      throw storeError(`writing ${this.told(name)}`, error);
    }
  }

  async getFile(name: string, file: string, content: Content): Promise<void> {
    const part = `${file}.part`;
    await mkdir(dirname(file), { recursive: true });
    for (let tries = 1; ; tries++) {
      try {
        const { Body } = await this.client.send(new GetObjectCommand(this.at(name)));
        const meter = new ContentMeter();
        await pipeline(
          Body as Readable,
          async function* (source: AsyncIterable<Buffer>) {
            for await (const bytes of source) {
              meter.add(bytes);
              yield bytes;
            }
          },
          createWriteStream(part, { flush: true }),
        );
        expectContent(this.told(name), meter.content, content);
        await rename(part, file);
        return;
      } catch (error) {
        await rm(part, { force: true });
        if (isMissing(error) || tries >= DOWNLOADS) throw storeError(`fetching ${this.told(name)}`, error);
        await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tries));
      }
    }
  }

  async putText(name: string, text: string): Promise<void> {
    try {
      await this.client.send(new PutObjectCommand({ ...this.at(name), Body: Buffer.from(text) }));
    } catch (error) {
      throw storeError(`writing ${this.told(name)}`, error);
    }
  }

  async getText(name: string): Promise<string | undefined> {
    try {
      const { Body } = await this.client.send(new GetObjectCommand(this.at(name)));
      return await Body!.transformToString('utf-8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(`reading ${this.told(name)}`, error);
    }
  }

  async list(folder: string): Promise<string[]> {
    const found: string[] = [];
    let next: string | undefined;
    try {
      do {
        const page = await this.client.send(
          new ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: `${this.prefix}${expectStoreName(folder)}/`,
            ...(next === undefined ? {} : { ContinuationToken: next }),
          }),
        );
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) found.push(Key.slice(this.prefix.length));
        next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (next !== undefined);
    } catch (error) {
      throw storeError(`listing ${this.told(folder)}`, error);
    }
    return found.sort();
  }

  async remove(names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length; from += 1000) {
      const Objects = names.slice(from, from + 1000).map((name) => ({ Key: this.at(name).Key }));
      try {
        const asked = new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects, Quiet: true } });
        // A request of which single deletions fail is itself answered with 200.
        const [failed] = (await this.client.send(asked)).Errors ?? [];
        if (failed !== undefined) throw new Error(`${failed.Key}: ${failed.Code}, ${failed.Message}`);
      } catch (error) {
        throw storeError(`deleting in ${this.description}`, error);
      }
    }
  }

  close(): void {
    this.client.destroy();
  }

  private at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: `${this.prefix}${expectStoreName(name)}` };
  }

  private told(name: string): string {
    return `${this.description}${name}`;
  }

  /** The object appears with the last request; a process that dies before leaves parts, which the bucket's rules clear. */
  private async putInParts(name: string, file: string, content: Content): Promise<void> {
    const partBytes = Math.max(this.partBytes, Math.ceil(content.sizeBytes / MOST_PARTS / 2 ** 20) * 2 ** 20);
    const at = this.at(name);
    const { UploadId } = await this.client.send(new CreateMultipartUploadCommand(at));
    try {
      const meter = new ContentMeter();
      const Parts: CompletedPart[] = [];
      for await (const Body of blocksOf(file, partBytes)) {
        meter.add(Body);
        const PartNumber = Parts.length + 1;
        const { ETag } = await this.client.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body }));
        Parts.push({ PartNumber, ETag });
        if (meter.content.sizeBytes > content.sizeBytes) break; // it grew; told below
      }
      expectContent(file, meter.content, content);
      await this.client.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }));
    } catch (error) {
      await this.client.send(new AbortMultipartUploadCommand({ ...at, UploadId })).catch(() => undefined);
      throw error;
    }
  }
}
