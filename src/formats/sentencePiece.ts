// sentencePiece.ts: a SentencePiece model file (`tokenizer.model`) → its pieces and the settings that decide how text becomes
// pieces. It reads that one protobuf message, nothing else of protobuf, and encodes no text: text/tokenizerJson.ts turns it
// into the form that the tokenizer library reads.
// Source: sentencepiece_model.proto of google/sentencepiece; the field numbers below are its.
import { PupilError } from '../base/errors';
import { refuseImpostor } from './jsonText';

export type PieceKind = 'normal' | 'unknown' | 'control' | 'userDefined' | 'unused' | 'byte';

export interface SentencePiece {
  text: string;
  /** Log-probability (unigram), or minus the order of merging (BPE). */
  score: number;
  kind: PieceKind;
}

export interface SentencePieceModel {
  /** By id. */
  pieces: SentencePiece[];
  algorithm: 'unigram' | 'bpe' | 'word' | 'char';
  byteFallback: boolean;
  /** Undefined where the model has no such piece (−1 in the file). */
  unkId: number | undefined;
  bosId: number | undefined;
  eosId: number | undefined;
  padId: number | undefined;
  /** Whether a space is put in front of every text. */
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  /** Whether characters are rewritten before anything else (NFKC, say). */
  rewritesCharacters: boolean;
}

/** SentencePiece.Type, from 1. */
const KINDS: readonly PieceKind[] = ['normal', 'unknown', 'control', 'userDefined', 'unused', 'byte'];
/** TrainerSpec.ModelType, from 1. */
const ALGORITHMS = ['unigram', 'bpe', 'word', 'char'] as const;

/** A field of a message: a number (varint or float), or bytes. */
interface Field {
  number: number;
  value: number | Uint8Array;
}

/** The fields of one message, in order. Numbers beyond 2^53 and groups do not occur here. */
function* fieldsOf(bytes: Uint8Array, fileName: string): Generator<Field> {
  const damaged = (what: string): never => {
    throw new PupilError(
      'format',
      `${fileName}: expected a SentencePiece model, got ${what}`,
      'The file is damaged or another kind of tokenizer (a tiktoken file has the same name): take tokenizer.json.',
    );
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  // Ten bytes are a negative number. Only its sign matters here (−1: no such piece), and a double could not hold it.
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (at >= bytes.length) damaged('a file that is cut off');
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return i < 9 ? value : -1;
    }
    return damaged('a number of more than 10 bytes');
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 5) {
      if (at + 4 > bytes.length) damaged('a file that is cut off');
      yield { number, value: view.getFloat32(at, true) };
      at += 4;
    } else if (wire === 1) {
      at += 8;
    } else if (wire === 2) {
      const length = varint();
      if (length < 0 || at + length > bytes.length) damaged('a file that is cut off');
      yield { number, value: bytes.subarray(at, at + length) };
      at += length;
    } else damaged(`a field of wire type ${wire}`);
  }
}

/**
 * @param bytes the whole file.
 * @throws PupilError `format` where it is not a SentencePiece model or cut off.
 */
export function readSentencePiece(bytes: Uint8Array, fileName: string): SentencePieceModel {
  refuseImpostor(bytes.subarray(0, 64), fileName, 'a SentencePiece model');
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true }); // U+FEFF is a piece of Llama-2's
  // Defaults are those of the .proto file.
  const model: SentencePieceModel = {
    pieces: [],
    algorithm: 'unigram',
    byteFallback: false,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: undefined,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    rewritesCharacters: false,
  };
  const id = (value: number): number | undefined => (value < 0 ? undefined : value);
  for (const { number, value } of fieldsOf(bytes, fileName)) {
    if (typeof value === 'number') continue;
    if (number === 1) {
      const piece: SentencePiece = { text: '', score: 0, kind: 'normal' };
      for (const field of fieldsOf(value, fileName)) {
        if (field.number === 1 && typeof field.value !== 'number') piece.text = utf8.decode(field.value);
        else if (field.number === 2 && typeof field.value === 'number') piece.score = field.value;
        else if (field.number === 3 && typeof field.value === 'number') piece.kind = KINDS[field.value - 1] ?? 'unused';
      }
      model.pieces.push(piece);
    } else if (number === 2) {
      for (const field of fieldsOf(value, fileName)) {
        if (typeof field.value !== 'number') continue;
        if (field.number === 3) model.algorithm = ALGORITHMS[field.value - 1] ?? 'unigram';
        else if (field.number === 35) model.byteFallback = field.value !== 0;
        else if (field.number === 40) model.unkId = id(field.value);
        else if (field.number === 41) model.bosId = id(field.value);
        else if (field.number === 42) model.eosId = id(field.value);
        else if (field.number === 43) model.padId = id(field.value);
      }
    } else if (number === 3) {
      for (const field of fieldsOf(value, fileName)) {
        if (field.number === 2 && typeof field.value !== 'number') model.rewritesCharacters = field.value.length > 0;
        else if (field.number === 3) model.addDummyPrefix = field.value !== 0;
        else if (field.number === 4) model.removeExtraWhitespaces = field.value !== 0;
      }
    }
  }
  if (model.pieces.length === 0) {
    throw new PupilError(
      'format',
      `${fileName}: expected a SentencePiece model with pieces, it has none`,
      'The file is damaged or another kind of tokenizer (a tiktoken file has the same name): take tokenizer.json.',
    );
  }
  return model;
}
