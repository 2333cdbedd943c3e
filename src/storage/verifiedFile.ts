// verifiedFile.ts: a stored file whose every byte is held against its checksum before anybody gets it. What is asked for is
// rounded out to whole pieces; the last piece read is kept, so that small reads beside each other cost one.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import type { StoredFile, StoredPiece } from '../formats/studentManifest';
import { sha256Of } from '../formats/trainingCheckpoint';
import type { OpenedFile } from './cachePlace';

/** What is wrong with a piece, in words; undefined where nothing is. */
export async function pieceProblem(piece: StoredPiece, bytes: Uint8Array): Promise<string | undefined> {
  const { start, end, part, sha256 } = piece;
  const what = part === 'header' ? 'header' : `"${part}"`;
  if (bytes.byteLength !== end - start) return `${what}: bytes ${start}..${end}: only ${bytes.byteLength} are there`;
  if ((await sha256Of(bytes)) !== sha256) return `${what}: bytes ${start}..${end}: checksum differs`;
  return undefined;
}

/**
 * @param name for messages: the entry's name and the file's path
 * @param onDamage told what is wrong, before the read rejects with `storage`
 */
export function verifiedSource(
  name: string,
  file: OpenedFile,
  { sizeBytes, pieces }: StoredFile,
  onDamage: (problem: string) => void,
): ByteSource {
  let last: { piece: StoredPiece; bytes: Promise<Uint8Array> } | undefined;

  const readAndCheck = async (piece: StoredPiece): Promise<Uint8Array> => {
    const bytes = await file.read(piece.start, piece.end);
    const problem = await pieceProblem(piece, bytes);
    if (problem === undefined) return bytes;
    onDamage(problem);
    throw new PupilError('storage', `${name}: ${problem}`, 'The cached student is damaged: delete it.');
  };

  /** A piece that is being read already is not read twice: who reads ahead asks for its parts at once. */
  const readPiece = (piece: StoredPiece): Promise<Uint8Array> => {
    if (last?.piece !== piece) last = { piece, bytes: readAndCheck(piece) };
    return last.bytes;
  };

  /** Index of the piece that holds a byte. */
  const pieceAt = (at: number): number => {
    let [low, high] = [0, pieces.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pieces[middle]!.end <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    name,
    size: sizeBytes,
    read: async (start, end) => {
      if (start >= end) return new Uint8Array(0);
      let index = pieceAt(start);
      const first = pieces[index]!;
      if (first.end >= end) return (await readPiece(first)).subarray(start - first.start, end - first.start);
      const out = new Uint8Array(end - start);
      for (let at = start; at < end; index++) {
        const piece = pieces[index]!;
        const bytes = await readPiece(piece);
        const upTo = Math.min(end, piece.end);
        out.set(bytes.subarray(at - piece.start, upTo - piece.start), at - start);
        at = upTo;
      }
      return out;
    },
  };
}
