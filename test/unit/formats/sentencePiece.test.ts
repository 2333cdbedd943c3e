// sentencePiece.test.ts: the one protobuf message that is read, written here by hand, and what is not one.
import { describe, expect, it } from 'vitest';
import { readSentencePiece } from '../../../src/formats/sentencePiece';

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
const field = (number: number, bytes: number[]): number[] => [
  ...varint(number * 8 + 2),
  ...varint(bytes.length),
  ...bytes,
];
const number = (at: number, value: number): number[] => [...varint(at * 8), ...varint(value)];
const MINUS_ONE = [...Array<number>(9).fill(0xff), 1];
const piece = (text: string, score: number, kind?: number): number[] =>
  field(1, [
    ...field(1, [...new TextEncoder().encode(text)]),
    ...[2 * 8 + 5, ...new Uint8Array(Float32Array.of(score).buffer)],
    ...(kind === undefined ? [] : number(3, kind)),
  ]);
const good = [
  ...piece('<unk>', 0, 2),
  ...piece('▁世', -1.5),
  ...piece('\ufeff', -2, 1),
  ...piece('<0x0A>', 0, 6),
  ...field(2, [
    ...number(3, 2),
    ...number(35, 1),
    ...number(40, 0),
    ...varint(41 * 8),
    ...MINUS_ONE,
    ...number(42, 300),
  ]),
  ...field(3, [...field(1, [105]), ...number(3, 0), ...number(4, 0)]),
  ...field(9, [1, 2, 3]),
];

describe('readSentencePiece', () => {
  it('reads pieces, kinds, scores and settings; fields it does not know are passed over', () => {
    expect(readSentencePiece(Uint8Array.from(good), 'm')).toEqual({
      pieces: [
        { text: '<unk>', score: 0, kind: 'unknown' },
        { text: '▁世', score: -1.5, kind: 'normal' },
        { text: '\ufeff', score: -2, kind: 'normal' },
        { text: '<0x0A>', score: 0, kind: 'byte' },
      ],
      algorithm: 'bpe',
      byteFallback: true,
      unkId: 0,
      bosId: undefined,
      eosId: 300,
      padId: undefined,
      addDummyPrefix: false,
      removeExtraWhitespaces: false,
      rewritesCharacters: false,
    });
  });

  it('refuses a file cut off anywhere inside a field, another kind of file, and none', () => {
    expect(() => readSentencePiece(Uint8Array.from(good.slice(0, 12)), 'tokenizer.model')).toThrow(
      /tokenizer.model: expected a SentencePiece model, got a file that is cut off/,
    );
    const tiktoken = new TextEncoder().encode('IQ== 0\nIg== 1\nIw== 2\n');
    expect(() => readSentencePiece(tiktoken, 'tokenizer.model')).toThrow(/SentencePiece model/);
    expect(() => readSentencePiece(new Uint8Array(0), 'm')).toThrow(/empty/);
    expect(() =>
      readSentencePiece(new TextEncoder().encode('version https://git-lfs.github.com/spec/v1'), 'm'),
    ).toThrow(/Git-LFS pointer/);
    expect(() => readSentencePiece(Uint8Array.from(field(9, [1])), 'm')).toThrow(/it has none/);
  });
});
