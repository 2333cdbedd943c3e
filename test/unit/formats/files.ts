// files.ts: fixtures for the tests of formats: golden folders from disk, hostile safetensors built by hand. Tests only.
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import { PupilError, type ErrorCode } from '../../../src/base/errors';
import { memorySource, type ByteSource, type OpenFile } from '../../../src/formats/byteSource';

export const GOLDEN = 'test/fixtures/golden';
export const DATA = process.env['PUPIL_DATA'];

export function bytesAt(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}

export function fileAt(path: string): ByteSource {
  return memorySource(path.split('/').at(-1)!, bytesAt(path));
}

export function openFolder(folder: string): OpenFile {
  return (path) => Promise.resolve(existsSync(`${folder}/${path}`) ? fileAt(`${folder}/${path}`) : undefined);
}

/** A folder in memory; objects become JSON. */
export function folderOf(files: Record<string, Uint8Array | object>): OpenFile {
  return (path) => {
    const content = files[path];
    if (content === undefined) return Promise.resolve(undefined);
    const bytes = content instanceof Uint8Array ? content : text(JSON.stringify(content));
    return Promise.resolve(memorySource(path, bytes));
  };
}

export function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}

export function jsonAt(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}

/** A safetensors file with this header, truthful or not, and this many zero bytes of data. */
export function safetensorsOf(
  header: object | string,
  dataBytes: number,
  headerLength?: bigint,
): Uint8Array<ArrayBuffer> {
  const json = text(typeof header === 'string' ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + json.byteLength + dataBytes);
  new DataView(out.buffer).setBigUint64(0, headerLength ?? BigInt(json.byteLength), true);
  out.set(json, 8);
  return out;
}

/** Asserts that the work fails with a PupilError of this code whose message has all these words. */
export async function expectRefusal(work: () => unknown, code: ErrorCode, ...words: string[]): Promise<void> {
  let thrown: unknown;
  try {
    await work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(PupilError);
  const error = thrown as PupilError;
  expect(error.code, error.message).toBe(code);
  for (const word of words) expect(error.message).toContain(word);
}

/** Runs the work, which may fail with a PupilError but with nothing else. */
export async function onlyPupilErrors(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof PupilError)) throw error;
  }
}

/** Text of the characters that formats trip over. (fast-check's own `unit: 'binary'` takes seconds to set up.) */
export function anyText(maxLength = 12): fc.Arbitrary<string> {
  const characters = ['a', 'B', '0', ' ', '"', "'", '\\', '/', ',', ':', '{', ']', '\n', '\r', '\t', '\0', '\u007f'];
  return fc.string({
    unit: fc.constantFrom(...characters, 'é', '\u2028', '\ufffd', '\uffff', '😀', '__proto__'),
    maxLength,
  });
}
