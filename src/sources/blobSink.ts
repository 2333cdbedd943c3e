// blobSink.ts: what is written, kept as blobs: a browser holds them outside a worker's memory, on its disk where they are large,
// and hands them to a person as a download. Nothing of it outlives the page.
import { PupilError } from '../base/errors';
import type { OpenRoot } from './openRoot';

/** So much is handed to the browser at a time. */
const PIECE_BYTES = 2 ** 23;

/** One file that is written from its beginning to its end. */
export class BlobSink {
  private blobs: Blob[] = [];
  private pieces: Uint8Array<ArrayBuffer>[] = [];
  private heldBytes = 0;

  /** Copies the bytes. */
  add(bytes: Uint8Array): void {
    this.pieces.push(bytes.slice());
    this.heldBytes += bytes.byteLength;
    if (this.heldBytes >= PIECE_BYTES) this.hand();
  }

  blob(type = 'application/octet-stream'): Blob {
    this.hand();
    return new Blob(this.blobs, { type });
  }

  clear(): void {
    this.blobs = [];
    this.pieces = [];
    this.heldBytes = 0;
  }

  private hand(): void {
    this.blobs.push(new Blob(this.pieces));
    this.pieces = [];
    this.heldBytes = 0;
  }
}

/** A root that is only written to; `files` has what is whole, by path. */
export function openBlobOutput(): { root: OpenRoot; files: Map<string, Blob> } {
  const files = new Map<string, Blob>();
  const description = 'the files to be saved';
  const refuse = (path: string): Promise<never> =>
    Promise.reject(new PupilError('usage', `${path}: expected a place to read from, ${description} are only written`));
  return {
    files,
    root: {
      description,
      open: refuse,
      readText: refuse,
      readBytes: refuse,
      write: (path, bytes) => Promise.resolve(void files.set(path, new Blob([bytes.slice()]))),
      create: (path) => {
        const sink = new BlobSink();
        return Promise.resolve({
          write: (bytes) => Promise.resolve(sink.add(bytes)),
          close: () => Promise.resolve(void files.set(path, sink.blob())),
          abort: () => Promise.resolve(sink.clear()),
        });
      },
    },
  };
}
