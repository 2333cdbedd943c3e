// artefactStore.ts: where the jobs of a queue keep what they made, so that any machine finds it: a shared folder
// (folderStore.ts) or a bucket (s3Store.ts). Here is what both offer and promise, and what they share. What is kept under
// which name, and which of several writers counts, is snapshots.ts.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PupilError } from '../../base/errors';

/** What a file contains. */
export interface Content {
  sizeBytes: number;
  /** 64 hexadecimal digits. */
  sha256: string;
}

/**
 * Named files, far away. A name has `/` between its parts, each of them {@link NAME_PART}. A file is there whole or not at
 * all, whatever happens to its writer; what is read has been compared with its hash.
 */
export interface ArtefactStore {
  /** In words, for messages; never a secret. */
  readonly description: string;
  /** The size of a file, or undefined where there is none. */
  sizeOf(name: string): Promise<number | undefined>;
  /**
   * Puts a local file there, in place of an earlier one.
   * @throws ContentChanged where the file does not hold `content` (it was written to meanwhile); nothing is there then
   */
  putFile(name: string, file: string, content: Content): Promise<void>;
  /**
   * Fetches into a local file, which appears under its name when it is whole.
   * @throws PupilError `storage` where it is missing, or is not `content` after several tries
   */
  getFile(name: string, file: string, content: Content): Promise<void>;
  putText(name: string, text: string): Promise<void>;
  getText(name: string): Promise<string | undefined>;
  /** All names that begin with `folder/`, in the order of their characters. */
  list(folder: string): Promise<string[]>;
  /** What is not there is no error. */
  remove(names: readonly string[]): Promise<void>;
  close(): void;
}

/** A part of a name: no hidden file, no way out of a folder, fit for file systems and for buckets. */
const NAME_PART = /^[A-Za-z0-9_][A-Za-z0-9._=-]{0,200}$/;

/** @throws PupilError `usage` where it is none */
export function expectStoreName(name: string): string {
  if (name !== '' && name.split('/').every((part) => NAME_PART.test(part))) return name;
  throw new PupilError(
    'usage',
    `store: expected a name of letters, digits, dots and dashes, got ${JSON.stringify(name.slice(0, 100))}`,
  );
}

/** A file is no longer what it was when its hash was taken. */
export class ContentChanged extends Error {
  override readonly name = 'ContentChanged';
}

/** @throws ContentChanged */
export function expectContent(what: string, found: Content, content: Content): void {
  if (found.sha256 === content.sha256 && found.sizeBytes === content.sizeBytes) return;
  throw new ContentChanged(
    `${what}: expected ${content.sizeBytes} bytes of SHA-256 ${content.sha256.slice(0, 12)}…, found ${found.sizeBytes} of ${found.sha256.slice(0, 12)}…`,
  );
}

const BLOCK_BYTES = 4 * 2 ** 20;

/** The file's bytes in blocks of at most `blockBytes`, each a buffer of its own. */
export async function* blocksOf(file: string, blockBytes = BLOCK_BYTES): AsyncGenerator<Buffer> {
  const handle = await open(file, 'r');
  try {
    for (;;) {
      const block = Buffer.allocUnsafe(blockBytes);
      let filled = 0;
      while (filled < blockBytes) {
        const { bytesRead } = await handle.read(block, filled, blockBytes - filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      if (filled === 0) return;
      yield block.subarray(0, filled);
      if (filled < blockBytes) return;
    }
  } finally {
    await handle.close();
  }
}

/** What a local file contains now. */
export async function contentOf(file: string): Promise<Content> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const block of blocksOf(file)) {
    hash.update(block);
    sizeBytes += block.byteLength;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** Counts and hashes what goes by. */
export class ContentMeter {
  private readonly hash = createHash('sha256');
  private sizeBytes = 0;

  add(bytes: Uint8Array): void {
    this.hash.update(bytes);
    this.sizeBytes += bytes.byteLength;
  }

  get content(): Content {
    return { sizeBytes: this.sizeBytes, sha256: this.hash.copy().digest('hex') };
  }
}

/** An error of a store with what it was about; a full one is told as such. */
export function storeError(what: string, cause: unknown): PupilError {
  if (cause instanceof PupilError) return cause;
  const { code, message, name } = cause as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT' || name === 'XMinioStorageFull' || name === 'QuotaExceeded';
  return new PupilError(
    full ? 'storage-full' : 'storage',
    `${what}: ${full ? 'no room is left' : (message ?? String(cause))}`,
    full
      ? 'Make room there; the job goes on from its last checkpoint.'
      : 'Check that the store can be reached and its rights.',
    { cause },
  );
}
