// jsonText.ts: text and JSON read strictly, with errors that name the file: UTF-8, duplicate keys (JSON.parse silently
// keeps the last), and other files posing as the wanted one (a Git-LFS pointer, an HTML error page). Not a schema.
import { PupilError } from '../base/errors';

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as it should appear in a message: JSON, shortened. */
export function showValue(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/**
 * Refuses a file that is not what its name says: a Git-LFS pointer, an HTML page, or nothing at all.
 * @param start the first bytes of the file; 64 suffice
 * @throws PupilError `format`, e.g. `model.safetensors: expected safetensors, got a Git-LFS pointer`
 */
export function refuseImpostor(start: Uint8Array, fileName: string, expected: string): void {
  if (start.byteLength === 0) {
    throw new PupilError('format', `${fileName}: expected ${expected}, the file is empty`, 'Fetch the file again.');
  }
  const text = latin1(start.subarray(0, 64))
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart()
    .toLowerCase();
  if (text.startsWith('version https://git-lfs')) {
    throw new PupilError(
      'format',
      `${fileName}: expected ${expected}, got a Git-LFS pointer (the file's address, not its contents)`,
      'Run `git lfs pull` in the folder it came from, or download the file itself.',
    );
  }
  if (/^<(!doctype|html|head|\?xml|!--)/.test(text)) {
    throw new PupilError(
      'format',
      `${fileName}: expected ${expected}, got an HTML or XML page`,
      'The server answered with a page (an error or a login): check the address and the access rights.',
    );
  }
}

/** Bytes as characters 0–255, one each: for looking at the start of any file. */
function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/** Bytes → text. @throws PupilError `format` where the bytes are not UTF-8. A byte-order mark is dropped. */
export function decodeUtf8(bytes: Uint8Array, fileName: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PupilError(
      'format',
      `${fileName}: expected UTF-8 text, got bytes that are not UTF-8`,
      'The file is damaged or saved in another encoding: save it as UTF-8.',
      { cause },
    );
  }
}

/**
 * JSON text → value, refusing duplicate keys at any depth.
 * @throws PupilError `format`, e.g. `config.json: expected JSON without repeated keys, "hidden_size" comes twice`
 */
export function parseStrictJson(text: string, fileName: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PupilError('format', `${fileName}: expected JSON, ${reason}`, 'The file is damaged or cut off.', {
      cause,
    });
  }
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) {
    throw new PupilError(
      'format',
      `${fileName}: expected JSON without repeated keys, ${showValue(repeated)} comes twice in one object`,
      'Two values for one key: the file was edited or written wrongly.',
    );
  }
  return value;
}

/** JSON bytes that must hold an object. */
export function parseJsonObject(bytes: Uint8Array, fileName: string): JsonObject {
  refuseImpostor(bytes, fileName, 'a JSON object');
  const value = parseStrictJson(decodeUtf8(bytes, fileName), fileName);
  if (!isJsonObject(value)) {
    throw new PupilError('format', `${fileName}: expected a JSON object, got ${showValue(value)}`);
  }
  return value;
}

/** The first key that an object of this (valid) JSON text holds twice. Linear in the text; no recursion. */
function findRepeatedKey(text: string): string | undefined {
  /** One entry per open bracket: the keys of an object so far, or undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{') {
      open.push(new Set());
      expectsKey = true;
    } else if (c === '[') {
      open.push(undefined);
      expectsKey = false;
    } else if (c === '}' || c === ']') {
      open.pop();
      expectsKey = false;
    } else if (c === ',') {
      expectsKey = open.at(-1) !== undefined;
    } else if (c === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      const keys = open.at(-1);
      if (!expectsKey || keys === undefined) continue;
      expectsKey = false;
      const raw = text.slice(start, i + 1);
      const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
