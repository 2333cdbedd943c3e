// sharedChanges.ts: what the CLI's file server does to shared folders for the cache of students: locks of this process, parts
// of a file put at their place, deletion. Files that have a name only when they are whole are uploads.ts; who may change
// what is decided by fileServer.ts.
import { constants, createWriteStream } from 'node:fs';
import { lstat, mkdir, open, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { sendText } from '../../scripts/staticServer.mjs';
import { takeProcessLock } from '../base/processLock';
import { staysInside } from './uploads';

/** Locks that a page has taken, by file, with what gives them back. */
export type Locks = Map<string, () => void>;

interface PlacedPart {
  start: number;
  /** Exclusive. */
  end: number;
  /** Of the whole file. */
  size: number;
}

/** Takes a lock for this process: 423 where another one has it. */
export async function takeLock(
  response: ServerResponse,
  root: string,
  file: string,
  locks: Locks,
  headers: Record<string, string>,
): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    if (!(await staysInside(root, path.dirname(file)))) {
      return sendText(response, 403, 'outside the folder', headers);
    }
    if (locks.has(file)) return sendText(response, 423, 'taken by this process', headers);
    const { release } = takeProcessLock(file);
    if (release === undefined) return sendText(response, 423, 'taken by another process', headers);
    locks.set(file, release);
    sendText(response, 201, 'taken', headers);
  } catch (error) {
    refuseWrite(response, error, headers);
  }
}

/** Deletes a file or folder, or gives a lock back. 404 where there is nothing. */
export async function removeShared(
  response: ServerResponse,
  root: string,
  file: string,
  locks: Locks,
  headers: Record<string, string>,
): Promise<void> {
  try {
    const release = locks.get(file);
    if (release !== undefined) {
      locks.delete(file);
      release();
      return sendText(response, 200, 'given back', headers);
    }
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined) return sendText(response, 404, 'no such file', headers);
    if (!(await staysInside(root, path.dirname(file)))) {
      return sendText(response, 403, 'outside the folder', headers);
    }
    await rm(file, { recursive: true, force: true });
    sendText(response, 200, 'deleted', headers);
  } catch (error) {
    refuseWrite(response, error, headers);
  }
}

function refuseWrite(response: ServerResponse, error: unknown, headers: Record<string, string>): void {
  if (response.headersSent || response.destroyed) return;
  const code = (error as NodeJS.ErrnoException).code;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  sendText(response, full ? 507 : 500, error instanceof Error ? error.message : String(error), headers);
}

/** Where a part belongs, by `Content-Range: bytes start-end/size`; undefined for what uploads.ts takes. */
export function placedPart(request: IncomingMessage): PlacedPart | undefined {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(request.headers['content-range'] ?? '');
  if (found === null) return undefined;
  const [start, end, size] = found.slice(1).map(Number) as [number, number, number];
  return { start, end: end + 1, size };
}

/** Writes a part of a file at its place; others see it grow. Entries of the cache count by their manifest, not by this name. */
export async function receivePart(
  request: IncomingMessage,
  response: ServerResponse,
  root: string,
  target: string,
  { start, end, size }: PlacedPart,
  headers: Record<string, string>,
): Promise<void> {
  try {
    await mkdir(path.dirname(target), { recursive: true });
    if (!(await staysInside(root, path.dirname(target)))) return sendText(response, 403, 'outside the folder', headers);
    const length = Number(request.headers['content-length']);
    if (start >= end || end > size || length !== end - start) {
      return sendText(
        response,
        400,
        `expected ${end - start} bytes of a file of ${size}, ${length} are promised`,
        headers,
      );
    }
    const handle = await open(target, constants.O_RDWR | constants.O_CREAT);
    try {
      if ((await handle.stat()).size !== size) await handle.truncate(size);
    } finally {
      await handle.close();
    }
    await pipeline(request, createWriteStream(target, { flags: 'r+', start }));
    if (!request.complete) throw new Error('the part broke off');
    sendText(response, 201, 'stored', headers);
  } catch (error) {
    refuseWrite(response, error, headers);
  }
}
