// Claims about the small helpers of formats/: strict JSON text, Python's JSON, byte sources.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource, readExact, readWhole } from '../../../src/formats/byteSource';
import { decodeUtf8, parseStrictJson } from '../../../src/formats/jsonText';
import { dumpPythonJson, PythonFloat } from '../../../src/formats/pythonJson';
import { encodeFloats } from '../../../src/formats/tensorBytes';
import { anyText, expectRefusal, onlyPupilErrors } from './files';

describe('parseStrictJson', () => {
  it('equals JSON.parse on any JSON, pretty or not', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const source = JSON.stringify(value, null, indent);
        expect(parseStrictJson(source, 'x.json')).toEqual(JSON.parse(source));
      }),
    );
  });

  it('finds a repeated key at any depth, and only within one object', async () => {
    for (const bad of ['{"a":1,"a":1}', '[{"b":{"a":1,"c":[],"a":2}}]', '{"\\u0061":1,"a":2}', '{"":1,"":2}']) {
      await expectRefusal(() => parseStrictJson(bad, 'x.json'), 'format', 'x.json', 'comes twice');
    }
    const fine = '{"a":{"a":[{"a":1},{"a":"a,\\"a\\":"}]},"b":"a","c":["a","a"]}';
    expect(parseStrictJson(fine, 'x.json')).toEqual(JSON.parse(fine));
  });

  it('a million open brackets are an error, not a crash', async () => {
    await expectRefusal(() => parseStrictJson('['.repeat(1e6), 'x.json'), 'format', 'x.json');
    await onlyPupilErrors(() => parseStrictJson('['.repeat(1e5) + ']'.repeat(1e5), 'x.json'));
  });

  it('bytes that are not UTF-8 are refused by file', async () => {
    await expectRefusal(() => decodeUtf8(Uint8Array.of(0xc3, 0x28), 'x.json'), 'format', 'x.json', 'UTF-8');
  });
});

describe('dumpPythonJson', () => {
  // Each line was printed by CPython's json.dumps.
  const cases: [Parameters<typeof dumpPythonJson>[0], string][] = [
    [{ a: [1, 2], b: {}, c: [], d: null, e: true }, '{"a": [1, 2], "b": {}, "c": [], "d": null, "e": true}'],
    [new PythonFloat(0), '0.0'],
    [new PythonFloat(-0), '-0.0'],
    [new PythonFloat(0.1), '0.1'],
    [new PythonFloat(1e-4), '0.0001'],
    [new PythonFloat(1e-5), '1e-05'],
    [new PythonFloat(1.5e-7), '1.5e-07'],
    [new PythonFloat(1e15), '1000000000000000.0'],
    [new PythonFloat(1e16), '1e+16'],
    [new PythonFloat(1.25e300), '1.25e+300'],
    ['é "\\\n😀\u007f', '"\\u00e9 \\"\\\\\\n\\ud83d\\ude00\u007f"'],
  ];
  it.each(cases)('%j', (value, wanted) => {
    expect(dumpPythonJson(value)).toBe(wanted);
  });

  it('indents as Python does', () => {
    expect(dumpPythonJson({ a: [1], b: {} }, 2)).toBe('{\n  "a": [\n    1\n  ],\n  "b": {}\n}');
  });

  it('reads back as given, and refuses what JSON cannot hold', async () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), anyText(), (x, s) => {
        expect(JSON.parse(dumpPythonJson([new PythonFloat(x), s]))).toEqual([x, s]);
      }),
    );
    await expectRefusal(() => dumpPythonJson(new PythonFloat(NaN)), 'shape', 'NaN');
  });
});

describe('byte sources', () => {
  const source = memorySource('x.bin', Uint8Array.of(1, 2, 3));
  it('read exactly the range, or refuse it', async () => {
    expect(Array.from(await readExact(source, 1, 3))).toEqual([2, 3]);
    expect(await readExact(source, 3, 3)).toHaveLength(0);
    await expectRefusal(() => readExact(source, 2, 4), 'format', 'x.bin', '2..4', '3 bytes');
    await expectRefusal(() => readExact(source, NaN, 2), 'format', 'x.bin', 'NaN');
    await expectRefusal(() => readWhole(source, 2), 'format', 'x.bin', 'at most 2');
  });
});

describe('encodeFloats', () => {
  it('rounds to nearest, ties to even', () => {
    const halves = encodeFloats(Float32Array.of(1, 1 + 2 ** -11, 1 + 3 * 2 ** -11), 'f16');
    expect(Array.from(new Uint16Array(halves.buffer))).toEqual([0x3c00, 0x3c00, 0x3c02]);
    const brains = encodeFloats(Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8), 'bf16');
    expect(Array.from(new Uint16Array(brains.buffer))).toEqual([0x3f80, 0x3f80, 0x3f82]);
  });
});
