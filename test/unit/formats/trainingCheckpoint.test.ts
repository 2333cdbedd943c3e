// Claims about formats/trainingCheckpoint.ts: what is put into a part comes back bit for bit; equal content gives equal
// parts; a commit with a flipped bit or a missing end is noticed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arrayPart,
  decodeCommit,
  encodeCommit,
  jsonPart,
  readArrayPart,
  readJsonPart,
  type Commit,
} from '../../../src/formats/trainingCheckpoint';
import { bytesAt, expectRefusal, GOLDEN } from './files';

const commit = (): Commit => ({
  runId: 'run-1',
  sequence: 40,
  parts: [
    { name: 'state', sha256: 'a'.repeat(64), sizeBytes: 123, number: 0 },
    { name: 'tensors/adapter', sha256: 'b'.repeat(64), sizeBytes: 2 ** 40, number: 17 },
  ],
});

describe('parts', () => {
  it('any JSON value comes back, and equal values give the same SHA-256', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const part = await jsonPart('state', value);
        expect(readJsonPart(part.bytes, 'state')).toEqual(JSON.parse(JSON.stringify(value))); // −0 is 0 in JSON
        expect((await jsonPart('other', value)).sha256).toBe(part.sha256);
      }),
      { numRuns: 150 },
    );
  });

  it('numbers come back bit for bit, NaN and −0 included, and share no memory', async () => {
    const data = Float32Array.of(1, -0, 3.4e38, 1e-45, NaN);
    const part = await arrayPart('tensors/m', data.subarray(1));
    const back = readArrayPart(part.bytes, 'm');
    expect(back).toEqual(data.slice(1));
    expect(Object.is(back[0], -0)).toBe(true);
    data.fill(0);
    expect(back[1]).toBe(Math.fround(3.4e38));
    expect(readArrayPart(new Uint8Array(0), 'm')).toEqual(new Float32Array(0));
  });

  it('bytes that are no whole numbers, or no JSON, are refused', async () => {
    await expectRefusal(() => Promise.resolve(readArrayPart(new Uint8Array(7), 'part m')), 'format', 'part m', '7');
    await expectRefusal(() => Promise.resolve(readJsonPart(Uint8Array.of(123), 'part s')), 'format', 'part s');
  });

  const losses: [string, unknown][] = [
    ['NaN', NaN],
    ['infinity', -Infinity],
    ['bigint', 1n],
    ['Map', new Map([[1, 2]])],
    ['typed array', Float32Array.of(1)],
    ['function', () => 1],
  ];
  it.each(losses)('%s in JSON is refused, for it would be lost', async (_claim, value) => {
    await expectRefusal(() => jsonPart('state', { run: { loss: value } }), 'checkpoint', 'part state', '"loss"');
  });

  it('an undefined field is dropped', async () => {
    expect(readJsonPart((await jsonPart('state', { a: undefined, b: 1 })).bytes, 'state')).toEqual({ b: 1 });
  });
});

describe('a commit', () => {
  const decode = (bytes: Uint8Array) => decodeCommit(bytes, 'commit 0');

  it('comes back, and is text that a person can read', async () => {
    const bytes = await encodeCommit(commit());
    expect(await decode(bytes)).toEqual(commit());
    expect(new TextDecoder().decode(bytes)).toContain('"name":"tensors/adapter"');
  });

  it('with a single flipped bit, or cut off, is none, or says that it is of another version', async () => {
    const bytes = await encodeCommit(commit());
    for (let at = 0; at < bytes.byteLength; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = bytes.slice();
        damaged[at]! ^= 1 << bit;
        const found = await decode(damaged).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'checkpoint' });
          return undefined;
        });
        expect(found, `bit ${bit} of byte ${at}`).toBeUndefined();
      }
      expect(await decode(bytes.subarray(0, at)), `first ${at} bytes`).toBeUndefined();
    }
  });

  it('of another version is refused by name; another file is no commit', async () => {
    const text = new TextDecoder().decode(await encodeCommit(commit()));
    const later = new TextEncoder().encode(text.replace('"version":2', '"version":3'));
    await expectRefusal(() => decode(later), 'checkpoint', 'version 2', 'got 3');
    expect(await decode(bytesAt(`${GOLDEN}/llama-tiny/config.json`))).toBeUndefined();
    expect(await decode(bytesAt(`${GOLDEN}/llama-tiny/model.safetensors`))).toBeUndefined();
  });
});
