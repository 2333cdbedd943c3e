// jsonl.ts: JSON lines, read as a stream. A bad line is reported with its number and does not stop the others; a file that
// is no JSONL at all (a Git-LFS pointer, a web page) is refused at once. Files held as one text: rows.ts.
import { PupilError } from '../base/errors';
import { refuseImpostor } from './jsonText';

/** A line that held JSON, or the reason why not. Lines count from 1; blank ones are skipped but counted. */
export type JsonlLine = { lineNumber: number; value: unknown } | { lineNumber: number; error: PupilError };

/** Longer lines are reported as errors and their bytes dropped: a lying file must not fill the memory. */
export const MAX_LINE_BYTES = 2 ** 26;

/**
 * Parses JSONL from a text, or from pieces of bytes or text that may break anywhere. Accepts a byte-order mark, CRLF and a
 * missing last newline.
 * @param fileName for messages
 * @throws PupilError `format` where the file as a whole is something else; a bad line is yielded as an `error`, e.g.
 *   `demonstrations.jsonl:7: expected JSON, Unexpected end of JSON input`
 */
export async function* parseJsonl(
  input: string | AsyncIterable<string | Uint8Array>,
  fileName: string,
  maxLineBytes = MAX_LINE_BYTES,
): AsyncGenerator<JsonlLine> {
  let lineNumber = 0;
  for await (const line of splitLines(typeof input === 'string' ? [input] : input, maxLineBytes)) {
    lineNumber++;
    if (lineNumber === 1 && line !== undefined && line.byteLength > 0) refuseImpostor(line, fileName, 'JSON lines');
    const parsed = parseLine(line, `${fileName}:${lineNumber}`, maxLineBytes);
    if (parsed !== undefined) yield { lineNumber, ...parsed };
  }
}

/** One line's value or error; undefined for a blank line. */
function parseLine(
  line: Uint8Array | undefined,
  label: string,
  maxLineBytes: number,
): { value: unknown } | { error: PupilError } | undefined {
  const bad = (reason: string): { error: PupilError } => {
    return { error: new PupilError('format', `${label}: expected JSON, ${reason}`, 'Repair or remove the line.') };
  };
  if (line === undefined) return bad(`the line is longer than ${maxLineBytes} bytes`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(line); // also drops a byte-order mark
  } catch {
    return bad('the line is not UTF-8');
  }
  if (text.trim() === '') return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    return bad(cause instanceof Error ? cause.message : String(cause));
  }
}

/** Lines without their line feed; undefined for one that is too long. A last line counts only where it is not empty. */
async function* splitLines(
  pieces: Iterable<string> | AsyncIterable<string | Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<Uint8Array | undefined> {
  let held: Uint8Array[] = []; // of the current line; joined once, so long lines cost linear time
  let heldBytes = 0;
  const take = (): Uint8Array | undefined => {
    const line = heldBytes > maxLineBytes ? undefined : held.length === 1 ? held[0]! : join(held, heldBytes);
    held = [];
    heldBytes = 0;
    return line;
  };
  const hold = (bytes: Uint8Array): void => {
    heldBytes += bytes.byteLength;
    if (heldBytes > maxLineBytes) held = [];
    else held.push(bytes);
  };
  for await (const piece of encodePieces(pieces)) {
    let start = 0;
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, start)) {
      hold(piece.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < piece.byteLength) hold(piece.subarray(start));
  }
  if (heldBytes > 0) yield take();
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** Pieces of text as UTF-8. A character may be split between two pieces: its first half waits for the second. */
async function* encodePieces(
  pieces: Iterable<string> | AsyncIterable<string | Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let half = '';
  for await (const piece of pieces) {
    if (typeof piece !== 'string') {
      yield piece;
      continue;
    }
    const text = half + piece;
    half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : '';
    yield encoder.encode(half === '' ? text : text.slice(0, -1));
  }
  if (half !== '') yield encoder.encode(half);
}
