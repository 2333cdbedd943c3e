// Claims about formats/safetensors*.ts: golden files read to the right numbers and written back to the same bytes; no lie
// in a header is believed; random bytes give a PupilError and nothing else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../../src/base/dtypes';
import { DTYPE_BYTES, elementCount, numberToBf16, numberToF16 } from '../../../src/base/dtypes';
import { memorySource, type ByteSource } from '../../../src/formats/byteSource';
import {
  readSafetensorsHeader,
  readTensorBytes,
  readTensorF32,
  readTensorNumbers,
  SAFETENSORS_DTYPES,
  tensorReader,
} from '../../../src/formats/safetensors';
import {
  inLibraryOrder,
  writeSafetensors,
  writeSafetensorsParts,
  type TensorData,
} from '../../../src/formats/safetensorsWrite';
import { encodeFloats, encodeI64 } from '../../../src/formats/tensorBytes';
import { anyText, bytesAt, DATA, expectRefusal, fileAt, GOLDEN, onlyPupilErrors, safetensorsOf, text } from './files';

const header = (bytes: Uint8Array) => readSafetensorsHeader(memorySource('w.safetensors', bytes));
const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: offsets });

describe('reading', () => {
  it('llama-tiny: 21 tensors with their shapes, and its metadata', async () => {
    const file = await readSafetensorsHeader(fileAt(`${GOLDEN}/llama-tiny/model.safetensors`));
    expect(file.tensors.size).toBe(21);
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.tensors.get('model.layers.1.mlp.down_proj.weight')).toMatchObject({ dtype: 'f32', shape: [64, 172] });
    const norm = await readTensorF32(file, 'model.norm.weight');
    expect(norm).toHaveLength(64);
    expect(norm.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
  });

  it('expected.safetensors: I64 ids read as numbers are token ids', async () => {
    const file = await readSafetensorsHeader(fileAt(`${GOLDEN}/llama-tiny/expected.safetensors`));
    const ids = await readTensorNumbers(file, 'input_ids');
    expect(ids.length).toBe(elementCount(file.tensors.get('input_ids')!.shape));
    expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 256)).toBe(true);
  });

  it('F16, BF16 and F64 become the float32 they stand for, also at odd addresses', async () => {
    const values = [0, -0, 1, -2.5, 65504, 2 ** -24, Infinity, -Infinity];
    const f16 = new Uint8Array(Uint16Array.from(values, numberToF16).buffer);
    const bf16 = new Uint8Array(Uint16Array.from(values, (v) => numberToBf16(v)).buffer);
    const bytes = writeSafetensors([
      { name: 'pad', dtype: 'u8', shape: [1], data: new Uint8Array(1) }, // everything behind it is unaligned
      { name: 'half', dtype: 'f16', shape: [8], data: f16 },
      { name: 'brain', dtype: 'bf16', shape: [8], data: bf16 },
      { name: 'double', dtype: 'f64', shape: [2, 4], data: Float64Array.from(values) },
      { name: 'single', dtype: 'f32', shape: [8], data: Float32Array.from(values) },
    ]);
    const file = await header(bytes);
    expect(Array.from(await readTensorF32(file, 'half'))).toEqual(values);
    expect(Array.from(await readTensorF32(file, 'double'))).toEqual(values);
    expect(Array.from(await readTensorF32(file, 'single'))).toEqual(values);
    expect((await readTensorF32(file, 'brain'))[3]).toBe(-2.5);
    expect((await readTensorF32(file, 'brain'))[5]).toBe(2 ** -24);
    expect(Array.from(await readTensorNumbers(file, 'half'))).toEqual(values);
  });

  it('a tensor larger than one piece is read in bounded pieces', async () => {
    const elements = 5 * 2 ** 20; // 20 MiB of f32: two pieces
    const data = new Float32Array(elements);
    data[0] = 1;
    data[elements - 1] = 2;
    const bytes = writeSafetensors([{ name: 'big', dtype: 'f32', shape: [elements], data }]);
    const sizes: number[] = [];
    const source: ByteSource = {
      name: 'big',
      size: bytes.byteLength,
      read: (start, end) => {
        sizes.push(end - start);
        return Promise.resolve(bytes.subarray(start, end));
      },
    };
    const out = await readTensorF32(await readSafetensorsHeader(source), 'big');
    expect([out[0], out[elements - 1]]).toEqual([1, 2]);
    expect(Math.max(...sizes)).toBe(16 * 2 ** 20);
  });

  it('every integer dtype reads as numbers; 64-bit ones beyond 2^53 are refused by index', async () => {
    const file = await header(
      writeSafetensors([
        { name: 'u8', dtype: 'u8', shape: [2], data: Uint8Array.of(0, 255) },
        { name: 'i8', dtype: 'i8', shape: [2], data: Int8Array.of(-128, 127) },
        { name: 'i16', dtype: 'i16', shape: [2], data: Int16Array.of(-5, 5) },
        { name: 'u16', dtype: 'u16', shape: [1], data: Uint16Array.of(65535) },
        { name: 'i32', dtype: 'i32', shape: [1], data: Int32Array.of(-7) },
        { name: 'u32', dtype: 'u32', shape: [1], data: Uint32Array.of(2 ** 32 - 1) },
        { name: 'bool', dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) },
        { name: 'i64', dtype: 'i64', shape: [2], data: encodeI64([-100, 2 ** 53 - 1]) },
        { name: 'u64', dtype: 'u64', shape: [2], data: BigUint64Array.of(1n, 2n ** 63n) },
      ]),
    );
    const numbers = async (name: string) => Array.from(await readTensorNumbers(file, name));
    expect(await numbers('u8')).toEqual([0, 255]);
    expect(await numbers('i8')).toEqual([-128, 127]);
    expect(await numbers('i16')).toEqual([-5, 5]);
    expect(await numbers('u16')).toEqual([65535]);
    expect(await numbers('i32')).toEqual([-7]);
    expect(await numbers('u32')).toEqual([2 ** 32 - 1]);
    expect(await numbers('bool')).toEqual([0, 1]);
    expect(await numbers('i64')).toEqual([-100, 2 ** 53 - 1]);
    await expectRefusal(() => numbers('u64'), 'format', '"u64"', 'element 1', '9223372036854775808');
    await expectRefusal(() => readTensorF32(file, 'i64'), 'checkpoint', '"i64"', 'F32', 'I64');
  });

  it('ranges are within a tensor or refused', async () => {
    const file = await header(
      writeSafetensors([{ name: 'x', dtype: 'u8', shape: [4], data: Uint8Array.of(1, 2, 3, 4) }]),
    );
    expect(Array.from(await readTensorBytes(file, 'x', { start: 1, end: 3 }))).toEqual([2, 3]);
    expect(Array.from(await tensorReader(file).readBytes('x', 2))).toEqual([3, 4]);
    for (const [start, end] of [
      [-1, 2],
      [0, 5],
      [3, 2],
      [0.5, 2],
    ] as const) {
      await expectRefusal(() => readTensorBytes(file, 'x', { start, end }), 'shape', '"x"', `${start}..${end}`);
    }
    await expectRefusal(() => readTensorBytes(file, 'y'), 'checkpoint', 'w.safetensors', '"y"', 'x');
  });

  it('a file that is cut off after its header was read is noticed', async () => {
    const bytes = writeSafetensors([{ name: 'x', dtype: 'f32', shape: [4], data: new Float32Array(4) }]);
    const source: ByteSource = {
      name: 'shrinks',
      size: bytes.byteLength,
      read: (start, end) => Promise.resolve(bytes.subarray(start, Math.min(end, bytes.byteLength - 4))),
    };
    const file = await readSafetensorsHeader(source);
    await expectRefusal(() => readTensorF32(file, 'x'), 'format', 'shrinks', '12 bytes instead of 16');
  });

  it.skipIf(DATA === undefined)(
    'story_llama: 656 thousand parameters, the tied matrix stored as the head only (needs PUPIL_DATA)',
    async () => {
      const file = await readSafetensorsHeader(fileAt(`${DATA}/weights/story_llama/model.safetensors`));
      const elements = Array.from(file.tensors.values()).reduce((sum, { shape }) => sum + elementCount(shape), 0);
      expect(elements).toBe(656_000);
      expect(file.tensors.has('lm_head.weight')).toBe(true);
      expect(file.tensors.has('model.embed_tokens.weight')).toBe(false);
    },
  );
});

describe('hostile files', () => {
  const cases: [claim: string, bytes: Uint8Array, words: string[]][] = [
    ['empty file', new Uint8Array(0), ['empty']],
    ['three bytes', Uint8Array.of(1, 2, 3), ['at least 8 bytes', '3']],
    ['header of 2^60 bytes', safetensorsOf('{}', 16, 2n ** 60n), ['1152921504606846976', 'at most']],
    ['header one byte beyond the file', safetensorsOf('{}', 0, 3n), ['claims 3']],
    [
      'Git-LFS pointer',
      text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'),
      ['Git-LFS pointer'],
    ],
    ['HTML page', text('<!DOCTYPE html><html><body>404</body></html>'), ['HTML']],
    ['no header', safetensorsOf('', 0), ['begins with "{"', 'empty']],
    ['header that is a list', safetensorsOf('[1]', 0), ['begins with "{"', '0x5b']],
    ['header of broken JSON', safetensorsOf('{"a":', 0), ['expected JSON']],
    ['header that is not UTF-8', safetensorsOf('{"', 0).with(9, 0xff), ['UTF-8']],
    [
      'duplicate tensor',
      safetensorsOf(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        2,
      ),
      ['"a" comes twice'],
    ],
    [
      'duplicate tensor behind an escape',
      safetensorsOf(
        '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}',
        2,
      ),
      ['"a" comes twice'],
    ],
    ['entry that is a number', safetensorsOf({ a: 1 }, 0), ['"a"', 'an object']],
    ['unknown dtype', safetensorsOf({ a: entry([1], [0, 1], 'F8_E4M3') }, 1), ['"a"', 'dtype', 'F8_E4M3', 'BF16']],
    ['dtype "constructor"', safetensorsOf({ a: entry([1], [0, 1], 'constructor') }, 1), ['dtype', 'constructor']],
    ['negative size', safetensorsOf({ a: entry([-1], [0, 4]) }, 4), ['"a"', 'shape', '-1']],
    ['fractional size', safetensorsOf({ a: entry([1.5], [0, 6]) }, 6), ['shape', '1.5']],
    ['overflowing shape', safetensorsOf({ a: entry([2 ** 40, 2 ** 40], [0, 4]) }, 4), ['shape', '2^53']],
    ['overflow hidden by a zero', safetensorsOf({ a: entry([2 ** 40, 2 ** 40, 0], [0, 0]) }, 0), ['2^53']],
    ['no offsets', safetensorsOf({ a: { dtype: 'F32', shape: [1] } }, 4), ['data_offsets', 'nothing']],
    ['offsets backwards', safetensorsOf({ a: entry([1], [4, 0]) }, 4), ['data_offsets', 'span of 4']],
    ['span too long', safetensorsOf({ a: entry([1], [0, 8]) }, 8), ['span of 4 bytes for F32 [1]']],
    ['offsets beyond the file', safetensorsOf({ a: entry([2], [0, 8]) }, 4), ['"a"', 'the file has']],
    ['offsets of 2^52', safetensorsOf({ a: entry([1], [2 ** 52, 2 ** 52 + 4]) }, 4), ['"a"', 'the file has']],
    ['overlap', safetensorsOf({ a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12), ['"b"', 'overlaps "a"']],
    ['same bytes twice', safetensorsOf({ a: entry([1], [0, 4]), b: entry([1], [0, 4]) }, 4), ['overlaps']],
    ['hole', safetensorsOf({ a: entry([1], [0, 4]), b: entry([1], [8, 12]) }, 12), ['"b"', 'hole after "a"']],
    ['hole at the front', safetensorsOf({ a: entry([1], [4, 8]) }, 8), ['hole after the header']],
    ['rest at the end', safetensorsOf({ a: entry([1], [0, 4]) }, 5), ['expected the file to end']],
    ['metadata of numbers', safetensorsOf({ __metadata__: { a: 1 } }, 0), ['__metadata__.a', 'string']],
    ['metadata that is a list', safetensorsOf({ __metadata__: [] }, 0), ['__metadata__', 'object']],
  ];
  it.each(cases)('%s is refused, naming file and fault', async (_claim, bytes, words) => {
    await expectRefusal(() => header(bytes), 'format', 'w.safetensors', ...words);
  });

  it('a lying header length reads no more than 64 bytes', async () => {
    let read = 0;
    const bytes = safetensorsOf('{}', 1000, 2n ** 60n);
    const source: ByteSource = {
      name: 'lie',
      size: 2 ** 45,
      read: (start, end) => {
        read += end - start;
        return Promise.resolve(bytes.subarray(start, end));
      },
    };
    await expectRefusal(() => readSafetensorsHeader(source), 'format', 'claims 1152921504606846976');
    expect(read).toBeLessThanOrEqual(72);
  });

  it('llama-tiny cut off anywhere is refused', async () => {
    const whole = bytesAt(`${GOLDEN}/llama-tiny/model.safetensors`);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.byteLength - 1 }), async (length) => {
        await expectRefusal(() => header(whole.subarray(0, length)), 'format', 'w.safetensors');
      }),
      { numRuns: 200 },
    );
  });

  it('random bytes, and real files with random bytes in the header, give a PupilError or a file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) => onlyPupilErrors(() => header(bytes))),
      { numRuns: 500 },
    );
    const real = bytesAt(`${GOLDEN}/lora-llama-tiny/adapter_init/adapter_model.safetensors`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3500 }), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        async (edits) => {
          const bytes = real.slice();
          for (const [at, byte] of edits) bytes[at] = byte;
          await onlyPupilErrors(() => header(bytes));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('random headers of plausible JSON give a PupilError or a file', async () => {
    const json = fc.dictionary(
      fc.string({ maxLength: 4 }),
      fc.record({
        dtype: fc.constantFrom('F32', 'U8', 'I64', 'F8', '', null),
        shape: fc.oneof(fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 3 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.tuple(fc.nat(40), fc.nat(40)), fc.jsonValue()),
      }),
    );
    await fc.assert(
      fc.asyncProperty(json, fc.nat(64), (value, data) => onlyPupilErrors(() => header(safetensorsOf(value, data)))),
      { numRuns: 500 },
    );
  });
});

describe('writing', () => {
  const golden = [
    'llama-tiny/model',
    'llama-tiny/expected',
    'lora-llama-tiny/adapter_init/adapter_model',
    'qlora-llama-tiny-double/hf_bnb4bit/model',
    'nf4/linear4bit_double_state_dict',
  ];
  it.each(golden)('%s.safetensors is written back byte for byte', async (path) => {
    const bytes = bytesAt(`${GOLDEN}/${path}.safetensors`);
    const file = await header(bytes);
    const tensors: TensorData[] = [];
    for (const { name, dtype, shape } of file.tensors.values()) {
      tensors.push({ name, dtype, shape, data: await readTensorBytes(file, name) });
    }
    const shuffled = inLibraryOrder(tensors.reverse());
    expect(Buffer.from(writeSafetensors(shuffled, file.metadata)).equals(bytes)).toBe(true);
  });

  it('any tensors, in any order, read back as given; the data begins at a multiple of 8', async () => {
    const dtype = fc.constantFrom(...(Object.values(SAFETENSORS_DTYPES) as DType[]));
    const tensor = fc.tuple(anyText(8), dtype, fc.array(fc.nat(4), { maxLength: 3 }), fc.nat(255));
    const metadata = fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(tensor, { selector: ([name]) => name, maxLength: 6 }),
        metadata,
        async (items, meta) => {
          const tensors = items
            .filter(([name]) => name !== '__metadata__')
            .map(([name, type, shape, fill]): TensorData => {
              return {
                name,
                dtype: type,
                shape,
                data: new Uint8Array(elementCount(shape) * DTYPE_BYTES[type]).fill(fill),
              };
            });
          const bytes = writeSafetensors(tensors, meta);
          const file = await header(bytes);
          expect(file.tensors.size).toBe(tensors.length);
          expect(file.metadata).toEqual(meta ?? {});
          expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
          for (const { name, dtype: type, shape, data } of tensors) {
            expect(file.tensors.get(name)).toMatchObject({ dtype: type, shape });
            expect(await readTensorBytes(file, name)).toEqual(data);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('part by part gives the same bytes as whole', async () => {
    const tensors: TensorData[] = [
      { name: 'a', dtype: 'f32', shape: [3], data: Float32Array.of(1, 2, 3) },
      { name: 'b', dtype: 'bf16', shape: [2], data: encodeFloats(Float32Array.of(1, -2), 'bf16') },
    ];
    const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    async function* split(bytes: Uint8Array) {
      for (let at = 0; at < bytes.byteLength; at += 3) yield await Promise.resolve(bytes.subarray(at, at + 3));
    }
    const parts = writeSafetensorsParts(
      tensors,
      (spec) => {
        const bytes = bytesOf(tensors.find(({ name }) => name === spec.name)!.data);
        return Promise.resolve(spec.name === 'a' ? split(bytes) : bytes);
      },
      { format: 'pt' },
    );
    const pieces: Uint8Array[] = [];
    for await (const piece of parts.parts()) pieces.push(piece.slice());
    const joined = Buffer.concat(pieces);
    expect(joined.byteLength).toBe(parts.totalBytes);
    expect(joined.equals(writeSafetensors(tensors, { format: 'pt' }))).toBe(true);
  });

  it('bytes that do not fit, and names that repeat, are refused', async () => {
    const x: TensorData = { name: 'x', dtype: 'f32', shape: [2], data: new Float32Array(2) };
    await expectRefusal(() => writeSafetensors([{ ...x, dtype: 'bf16' }]), 'shape', '"x"', 'expected 4 bytes', 'got 8');
    await expectRefusal(() => writeSafetensors([x, x]), 'shape', '"x" is taken');
    await expectRefusal(() => writeSafetensors([{ ...x, name: '__metadata__' }]), 'shape', '__metadata__');
    await expectRefusal(() => writeSafetensors([{ ...x, shape: [-2, -1] }]), 'shape', '-2');
    const drain = async (bytes: number) => {
      const { parts } = writeSafetensorsParts([x], () => Promise.resolve(new Uint8Array(bytes)));
      for await (const piece of parts()) expect(piece.byteLength).toBeGreaterThan(0);
    };
    await expectRefusal(() => drain(4), 'shape', 'expected 8 bytes', 'got 4');
    await expectRefusal(() => drain(12), 'shape', 'expected 8 bytes', 'got 12');
  });
});
