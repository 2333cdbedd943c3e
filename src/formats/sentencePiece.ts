// sentencePiece.ts: the pieces of a SentencePiece model (`tokenizer.model`) with their scores, from its protocol buffer.
// It tokenises nothing: text/tokenizer.ts does, from tokenizer.json.
// Source: SentencePiece, src/sentencepiece_model.proto; protobuf.dev, "Encoding".
import { PupilError } from '../base/errors';
import { decodeUtf8 } from './jsonText';

export interface SentencePiece {
  text: string;
  score: number;
  /** ModelProto.SentencePiece.Type: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  type: number;
}

export interface SentencePieceModel {
  pieces: SentencePiece[];
  /** TrainerSpec.ModelType. */
  kind: 'unigram' | 'bpe' | 'word' | 'char';
  /** A space is put in front of a text. */
  addsDummyPrefix: boolean;
  /** The rule by which a text is normalised first; `identity` for none. */
  normalization: string;
}

const KINDS = ['unigram', 'bpe', 'word', 'char'] as const;

/**
 * @param bytes of the whole file
 * @param fileName for messages
 * @throws PupilError `format` where it is no such file, or is cut off
 */
export function parseSentencePieceModel(bytes: Uint8Array, fileName = 'tokenizer.model'): SentencePieceModel {
  const pieces: SentencePiece[] = [];
  let kind: SentencePieceModel['kind'] = 'unigram';
  let addsDummyPrefix = true;
  let normalization = '';
  const textOf = (value: Uint8Array): string => decodeUtf8(value, fileName);
  for (const { number, value } of fields(bytes, fileName)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === 1) {
      const piece: SentencePiece = { text: '', score: 0, type: 1 };
      for (const inner of fields(value, fileName)) {
        if (inner.number === 1 && inner.value instanceof Uint8Array) piece.text = textOf(inner.value);
        else if (inner.number === 2 && inner.float !== undefined) piece.score = inner.float;
        else if (inner.number === 3 && typeof inner.value === 'number') piece.type = inner.value;
      }
      pieces.push(piece);
    } else if (number === 2) {
      for (const inner of fields(value, fileName)) {
        if (inner.number === 3 && typeof inner.value === 'number') kind = KINDS[inner.value - 1] ?? kind;
      }
    } else if (number === 3) {
      for (const inner of fields(value, fileName)) {
        if (inner.number === 1 && inner.value instanceof Uint8Array) normalization = textOf(inner.value);
        if (inner.number === 3 && typeof inner.value === 'number') addsDummyPrefix = inner.value !== 0;
      }
    }
  }
  if (pieces.length === 0) {
    throw new PupilError('format', `${fileName}: expected a SentencePiece model, it has no pieces`, DAMAGED);
  }
  return { pieces, kind, addsDummyPrefix, normalization };
}

const DAMAGED = 'The file is damaged, or of another kind (a Git-LFS pointer, say): fetch it again.';

interface Field {
  number: number;
  /** A number (varint), or the bytes of a text or message. */
  value: number | Uint8Array | undefined;
  /** Of a 32-bit field. */
  float?: number;
}

/** The fields of a message, in order. */
function* fields(bytes: Uint8Array, fileName: string): Generator<Field> {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const expect = (count: number): number => {
    if (count <= bytes.byteLength - at) return at;
    throw new PupilError('format', `${fileName}: expected ${count} bytes at ${at}, the message ends there`, DAMAGED);
  };
  const varint = (): number => {
    let value = 0;
    for (let power = 1; ; power *= 128) {
      const byte = bytes[expect(1)]!;
      at++;
      value += (byte & 127) * power;
      if (byte < 128) return value;
      if (power > 2 ** 56) {
        throw new PupilError('format', `${fileName}: expected a number of at most 10 bytes at ${at}`, DAMAGED);
      }
    }
  };
  while (at < bytes.byteLength) {
    const key = varint();
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        expect(8);
        at += 8;
        break;
      case 2: {
        const length = varint();
        const start = expect(length);
        at += length;
        yield { number, value: bytes.subarray(start, at) };
        break;
      }
      case 5: {
        const float = data.getFloat32(expect(4), true);
        at += 4;
        yield { number, value: undefined, float };
        break;
      }
      default:
        throw new PupilError('format', `${fileName}: expected a protocol buffer, got wire type ${key % 8}`, DAMAGED);
    }
  }
}
