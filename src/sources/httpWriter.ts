// httpWriter.ts: a file sent to the CLI's file server in pieces, as cli/uploads.ts takes them: a page cannot stream the body
// of a request over HTTP/1.1. Each piece is sent again while its failure may pass; the server knows one that it has already.
import type { FileWriter } from './openRoot';
import type { Outgoing } from './request';

/** Bytes of one request: what a lost connection costs at most, and what is held here. */
const PIECE_BYTES = 8 * 2 ** 20;

/** Sends a request until it has succeeded, or throws. `sizeBytes` is for messages. */
type Upload = (sent: Outgoing, sizeBytes: number) => Promise<void>;

/** @param url of the file; @param upload one request, tried again while that makes sense */
export function createHttpWriter(url: string, upload: Upload): FileWriter {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
  let piece = new Uint8Array(PIECE_BYTES);
  let held = 0;
  let sent = 0;
  const send = async (): Promise<void> => {
    if (held === 0) return;
    const headers = { 'upload-id': id, 'content-range': `bytes ${sent}-${sent + held - 1}/*` };
    await upload({ url, method: 'PUT', headers, body: new Blob([piece.slice(0, held)]) }, held);
    sent += held;
    held = 0;
  };
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.byteLength;) {
        const count = Math.min(bytes.byteLength - at, PIECE_BYTES - held);
        piece.set(bytes.subarray(at, at + count), held);
        held += count;
        at += count;
        if (held === PIECE_BYTES) await send();
      }
    },
    async close() {
      await send();
      piece = new Uint8Array(0);
      await upload({ url, method: 'PUT', headers: { 'upload-id': id, 'content-range': `bytes */${sent}` } }, sent);
    },
    async abort() {
      piece = new Uint8Array(0);
      await upload({ url, method: 'DELETE', headers: { 'upload-id': id } }, sent).catch(() => undefined);
    },
  };
}
