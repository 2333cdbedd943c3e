// uploads.ts: what the CLI's file server does with files that the page sends: whole ones in one request, big ones in pieces
// (a page cannot stream the body of a request over HTTP/1.1). A file has its name only when all of it has arrived, and a
// request that is sent again after its answer was lost does no harm. Who may write where is decided by fileServer.ts.
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, realpath, rename, rm, stat, truncate } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sendText } from '../../scripts/staticServer.mjs';

/** Bytes of one piece; a page sends far smaller ones. */
const MAX_PIECE_BYTES = 64 * 2 ** 20;

/** A file that arrives in pieces. */
interface Upload {
  readonly target: string;
  readonly part: string;
  sizeBytes: number;
  /** A request of it is being worked on. */
  busy: boolean;
  committed: boolean;
}

export interface Uploads {
  /**
   * Takes an upload. `root` is the target itself, or the folder that it must stay in.
   *
   * - no Content-Range: the whole file;
   * - `Content-Range: bytes a-b/*` and `Upload-Id` (hexadecimal digits that the sender chose for this file): one piece, which
   *   must begin where the last one ended; one that is there already is accepted again;
   * - the same with `*` in place of a-b, the size in place of `*`, and an empty body: what has arrived is the whole file.
   */
  put(request: IncomingMessage, response: ServerResponse, root: string, target: string): Promise<void>;
  /** Forgets the pieces of an upload that is not committed. It never deletes a file. */
  abandon(request: IncomingMessage, response: ServerResponse, target: string): Promise<void>;
  /** Removes what unfinished uploads left. */
  close(): Promise<void>;
}

/** @param headers for every answer */
export function makeUploads(headers: Record<string, string>): Uploads {
  const uploads = new Map<string, Upload>();
  const say = (response: ServerResponse, status: number, text: string): void =>
    sendText(response, status, text, headers);

  async function piece(
    request: IncomingMessage,
    response: ServerResponse,
    upload: Upload,
    [start, end]: [number, number],
  ): Promise<void> {
    const length = end - start;
    if (length > MAX_PIECE_BYTES) return say(response, 413, `a piece may have ${MAX_PIECE_BYTES} bytes`);
    if (end <= upload.sizeBytes && length > 0) {
      request.resume();
      return say(response, 200, 'stored already');
    }
    if (length <= 0 || start !== upload.sizeBytes) {
      return say(response, 409, `expected a piece from byte ${upload.sizeBytes}, got ${start}-${end - 1}`);
    }
    const flags = start === 0 ? 'w' : 'r+';
    try {
      await pipeline(request, limited(length), createWriteStream(upload.part, { flags, start }));
      const arrived = (await stat(upload.part)).size - start;
      if (arrived !== length) throw new Error(`${arrived} bytes arrived, ${length} were promised`);
    } catch (error) {
      await truncate(upload.part, start).catch(() => undefined); // as it was before this piece
      throw error;
    }
    upload.sizeBytes = end;
    say(response, 200, 'stored');
  }

  async function commit(response: ServerResponse, upload: Upload, total: number): Promise<void> {
    if (upload.sizeBytes !== total) {
      return say(response, 409, `${upload.sizeBytes} bytes have arrived, not ${total}`);
    }
    if (!upload.committed) {
      const handle = await open(upload.part, total === 0 ? 'w' : 'r+');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(upload.part, upload.target);
      upload.committed = true;
    }
    say(response, 201, 'stored');
  }

  /** A request about a file in pieces. */
  async function inPieces(request: IncomingMessage, response: ServerResponse, target: string): Promise<void> {
    const id = uploadId(request);
    const range = /^bytes (?:(\d{1,15})-(\d{1,15})\/\*|\*\/(\d{1,15}))$/.exec(request.headers['content-range'] ?? '');
    if (id === undefined || range === null) {
      return say(response, 400, 'a piece needs Upload-Id and Content-Range: bytes a-b/* (or, to end it, bytes */n)');
    }
    const known = uploads.get(id);
    if (known !== undefined && known.target !== target) return say(response, 409, 'this Upload-Id is of another file');
    const upload = known ?? { target, part: partOf(target, id), sizeBytes: 0, busy: false, committed: false };
    // 503: the sender's connection broke, and what it sent then is still being put away. It may try again.
    if (upload.busy) return say(response, 503, 'this upload is being written to');
    uploads.set(id, upload);
    upload.busy = true;
    try {
      if (range[3] !== undefined) await commit(response, upload, Number(range[3]));
      else if (upload.committed) say(response, 409, 'this upload is complete');
      else await piece(request, response, upload, [Number(range[1]), Number(range[2]) + 1]);
    } finally {
      upload.busy = false;
    }
  }

  /** A file in one request. */
  async function whole(request: IncomingMessage, response: ServerResponse, target: string): Promise<void> {
    const part = partOf(target, randomBytes(6).toString('hex'));
    try {
      await pipeline(request, createWriteStream(part, { flags: 'wx', flush: true }));
      const promised = request.headers['content-length'];
      const arrived = (await stat(part)).size;
      if (!request.complete || (promised !== undefined && Number(promised) !== arrived)) {
        throw new Error(`${arrived} bytes arrived, ${promised ?? 'more'} were promised`);
      }
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
    say(response, 201, 'stored');
  }

  return {
    async put(request, response, root, target) {
      const folder = path.dirname(target);
      try {
        const isFolder = await stat(target).then(
          (found) => found.isDirectory(),
          () => false,
        );
        if (isFolder) return say(response, 400, 'a file name is missing');
        if (target !== root) {
          await mkdir(root, { recursive: true });
          if (!(await staysInside(root, folder))) return say(response, 403, 'outside the folder');
        }
        await mkdir(folder, { recursive: true });
        const take = request.headers['content-range'] === undefined ? whole : inPieces;
        await take(request, response, target);
      } catch (error) {
        if (response.headersSent || response.destroyed) return;
        const code = (error as NodeJS.ErrnoException).code;
        const full = code === 'ENOSPC' || code === 'EDQUOT';
        say(response, full ? 507 : 500, error instanceof Error ? error.message : String(error));
      }
    },
    async abandon(request, response, target) {
      const id = uploadId(request);
      if (id === undefined) return say(response, 405, 'files are not deleted here');
      const upload = uploads.get(id);
      if (upload?.target === target && !upload.committed) {
        uploads.delete(id);
        await rm(upload.part, { force: true });
      }
      say(response, 200, 'forgotten');
    },
    async close() {
      for (const { part, committed } of uploads.values()) if (!committed) await rm(part, { force: true });
      uploads.clear();
    },
  };
}

/** Where a file lies until all of it has arrived. */
function partOf(target: string, id: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.${id}.part`);
}

function uploadId(request: IncomingMessage): string | undefined {
  const id = request.headers['upload-id'];
  return typeof id === 'string' && /^[0-9a-f]{16,64}$/.test(id) ? id : undefined;
}

/** Lets so many bytes through, and fails at the next one: nobody fills the disk beyond what was announced. */
function limited(bytes: number): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.byteLength;
      if (passed > bytes) done(new Error(`more than the ${bytes} bytes arrived that were announced`));
      else done(null, chunk);
    },
  });
}

/** Whether the folder, as far as it exists, lies inside the root when links are followed: a link must not lead out. */
export async function staysInside(root: string, folder: string): Promise<boolean> {
  const realRoot = await realpath(root);
  for (let at = folder; ; at = path.dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real === undefined) continue;
    return real === realRoot || real.startsWith(realRoot + path.sep);
  }
}
