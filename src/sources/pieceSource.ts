// pieceSource.ts: a remote file read through a store of its pieces: what was downloaded once, by whatever process, is not
// downloaded again. It decides what to fetch; where pieces lie is the store's business.
import type { PieceFile } from '../base/pieces';
import type { ByteSource } from '../formats/byteSource';

/** Reads of less than this share of a piece (headers, norms, fingerprints) fetch no more: a mere look would not need it. */
const SMALL_SHARE = 1 / 64;

/** @param runBytes neighbouring pieces that are missing are fetched at once, up to so many bytes. */
export function throughPieces(
  inner: ByteSource,
  pieces: PieceFile,
  { pieceBytes, runBytes }: { pieceBytes: number; runBytes: number },
): ByteSource {
  const { size, name } = inner;
  const coming = new Map<number, Promise<Uint8Array>>();
  /** The piece that was used last: the next tensor mostly begins in it. */
  let last: { index: number; bytes: Uint8Array } | undefined;

  /** Fetches pieces [from, to], each to be had from `coming` at once, and keeps them. */
  const fetchRun = (from: number, to: number): void => {
    const start = from * pieceBytes;
    const run = inner.read(start, Math.min(size, (to + 1) * pieceBytes));
    for (let index = from; index <= to; index++) {
      const at = (index - from) * pieceBytes;
      const piece = run
        .then(async (bytes) => {
          const own = bytes.slice(at, at + pieceBytes);
          await pieces.write(index, own);
          return own;
        })
        .finally(() => coming.delete(index));
      piece.catch(() => undefined); // told to whoever waits for it
      coming.set(index, piece);
    }
  };

  const pieceAt = async (index: number): Promise<Uint8Array> => {
    if (last?.index === index) return last.bytes;
    const known = coming.get(index);
    if (known !== undefined) return known;
    const kept = await pieces.read(index);
    if (kept !== undefined && kept.byteLength === Math.min(pieceBytes, size - index * pieceBytes)) return kept;
    if (!coming.has(index)) fetchRun(index, index);
    return coming.get(index)!;
  };

  return {
    name,
    size,
    read: async (start, end) => {
      if (start >= end) return new Uint8Array(0);
      const from = Math.floor(start / pieceBytes);
      const to = Math.floor((end - 1) / pieceBytes);
      const missing = (index: number): boolean => index !== last?.index && !coming.has(index) && !pieces.has(index);
      const indices = Array.from({ length: to - from + 1 }, (_, i) => from + i);
      if (end - start <= pieceBytes * SMALL_SHARE && indices.some(missing)) return inner.read(start, end);
      const most = Math.max(1, Math.floor(runBytes / pieceBytes));
      for (let index = from; index <= to; index++) {
        if (!missing(index)) continue;
        let runEnd = index;
        while (runEnd < to && runEnd - index + 1 < most && missing(runEnd + 1)) runEnd++;
        fetchRun(index, runEnd);
        index = runEnd;
      }
      const bytes = new Uint8Array(end - start);
      const parts = await Promise.allSettled(
        indices.map(async (index) => {
          const piece = await pieceAt(index);
          const at = index * pieceBytes;
          bytes.set(
            piece.subarray(Math.max(0, start - at), Math.min(piece.byteLength, end - at)),
            Math.max(0, at - start),
          );
          if (index === to) last = { index, bytes: piece };
        }),
      );
      // None goes on behind the caller's back: all have ended.
      const broken = parts.find((part) => part.status === 'rejected');
      if (broken !== undefined) throw broken.reason as Error;
      return bytes;
    },
  };
}
