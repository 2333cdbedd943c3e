// tokenizerJson.ts: older forms of a tokenizer (a SentencePiece model; vocab.json with merges.txt) → the tokenizer.json that
// the library reads, as transformers' own conversion to a "fast" tokenizer does. It reads no files and encodes no text.
import { PupilError } from '../base/errors';
import type { JsonObject } from '../formats/jsonText';
import type { SentencePieceModel } from '../formats/sentencePiece';

/** A tokenizer.json and what its tokenizer_config.json would at least say. */
export interface ConvertedTokenizer {
  tokenizer: JsonObject;
  /** What the folder's own tokenizer_config.json does not say. */
  defaults: JsonObject;
}

const SPACE = '▁';
/** Stands where no text has it: see `metaspace`. */
const NO_CHARACTER = '\u0000';

/**
 * A SentencePiece BPE model, as Llama-2's and Mistral's. Every text begins with a space of its own, also one that begins
 * with a space, and no text behind a control token does: SentencePiece's rule, and that of the models' makers.
 *
 * @throws PupilError `text` for what the library cannot express: unigram models, rewritten characters, dropped spaces.
 */
export function fromSentencePiece(model: SentencePieceModel, fileName: string): ConvertedTokenizer {
  const refuse = (expected: string, came: string): never => {
    throw new PupilError(
      'text',
      `${fileName}: expected ${expected}, got ${came}`,
      'Save the "fast" tokenizer (tokenizer.json) beside the weights with transformers: it is read instead.',
    );
  };
  if (model.algorithm !== 'bpe') refuse('a SentencePiece model of kind "bpe"', `"${model.algorithm}"`);
  if (model.rewritesCharacters) refuse('a model that leaves characters as they are', 'one that normalises them');
  if (model.removeExtraWhitespaces) refuse('a model that keeps every space', 'one that drops repeated spaces');

  const vocab: Record<string, number> = {};
  const addedTokens: JsonObject[] = [];
  model.pieces.forEach(({ text, kind }, id) => {
    vocab[text] = id;
    if (kind === 'normal' || kind === 'byte' || kind === 'unused') return;
    const special = kind !== 'userDefined';
    addedTokens.push({ id, content: text, special, normalized: false, lstrip: false, rstrip: false });
  });
  const textOf = (id: number | undefined): string | undefined =>
    id === undefined ? undefined : model.pieces[id]?.text;
  // The library, like HF's, puts no space before a text that begins with `replacement`. SentencePiece does: so the character
  // that is looked for is one that never comes, and what spaces become (`str_rep`) is said apart.
  const metaspace = { type: 'Metaspace', replacement: NO_CHARACTER, str_rep: SPACE };
  const strip = model.addDummyPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [];
  const names = { bos_token: model.bosId, eos_token: model.eosId, unk_token: model.unkId, pad_token: model.padId };
  const special = Object.entries(names).flatMap(([name, id]) => {
    const text = textOf(id);
    return text === undefined ? [] : [[name, text] as const];
  });
  return {
    tokenizer: {
      added_tokens: addedTokens,
      normalizer: null,
      pre_tokenizer: { ...metaspace, prepend_scheme: model.addDummyPrefix ? 'first' : 'never' },
      post_processor: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...strip,
        ],
      },
      model: {
        type: 'BPE',
        unk_token: textOf(model.unkId) ?? null,
        fuse_unk: true,
        byte_fallback: model.byteFallback,
        vocab,
        merges: mergesOf(model),
      },
    },
    defaults: { ...Object.fromEntries(special), add_bos_token: true, clean_up_tokenization_spaces: false },
  };
}

/**
 * SentencePiece merges whatever neighbours make the piece of the best score. As merges: every way to cut a piece into two
 * pieces, best score first; of one piece, the ways whose parts come first.
 */
function mergesOf({ pieces }: SentencePieceModel): [string, string][] {
  const idOf = new Map<string, number>();
  pieces.forEach(({ text, kind }, id) => {
    if (kind === 'normal' || kind === 'userDefined') idOf.set(text, id);
  });
  const ranked = [...idOf.entries()].sort(([, a], [, b]) => pieces[b]!.score - pieces[a]!.score || a - b);
  return ranked.flatMap(([text, id]) => {
    if (pieces[id]!.kind !== 'normal') return [];
    const characters = Array.from(text);
    const cuts: { pair: [string, string]; left: number; right: number }[] = [];
    for (let cut = 1; cut < characters.length; cut++) {
      const pair: [string, string] = [characters.slice(0, cut).join(''), characters.slice(cut).join('')];
      const [left, right] = [idOf.get(pair[0]), idOf.get(pair[1])];
      if (left !== undefined && right !== undefined) cuts.push({ pair, left, right });
    }
    return cuts.sort((a, b) => a.left - b.left || a.right - b.right).map(({ pair }) => pair);
  });
}

/** How Qwen2 cuts text before it merges bytes (Qwen2Converter of transformers). */
const QWEN2_PIECES =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * A byte-level BPE of two files, as GPT-2's and Qwen2's. Which rule cuts the text stands in neither: it follows from
 * `tokenizer_class`.
 *
 * @param merges the text of merges.txt.
 * @param addedTokens added_tokens.json, where there is one: text → id.
 * @throws PupilError `text` where the class is another, or the files are not what they should be.
 */
export function fromVocabAndMerges(
  vocab: unknown,
  merges: string,
  config: JsonObject,
  addedTokens: unknown,
): ConvertedTokenizer {
  const name = String(config['tokenizer_class']).replace(/Fast$/, '');
  if (name !== 'Qwen2Tokenizer' && name !== 'GPT2Tokenizer') {
    throw new PupilError(
      'text',
      `tokenizer: expected tokenizer.json, or vocab.json and merges.txt of a GPT2Tokenizer or Qwen2Tokenizer, got tokenizer_class ${JSON.stringify(config['tokenizer_class']) ?? 'none'}`,
      'Save the "fast" tokenizer (tokenizer.json) beside the weights with transformers.',
    );
  }
  const isVocabulary = (value: unknown): value is Record<string, number> =>
    typeof value === 'object' && value !== null && Object.values(value).every((id) => Number.isInteger(id));
  if (!isVocabulary(vocab) || !isVocabulary(addedTokens ?? {})) {
    throw new PupilError('text', 'tokenizer: vocab.json and added_tokens.json must be objects of text → id');
  }
  const lines = merges.split(/\r?\n/).filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const bad = lines.find((line) => line.split(' ').length !== 2);
  if (bad !== undefined) {
    throw new PupilError('text', `tokenizer: merges.txt must have two pieces a line, got ${JSON.stringify(bad)}`);
  }
  const qwen = name === 'Qwen2Tokenizer';
  const byteLevel = { type: 'ByteLevel', add_prefix_space: config['add_prefix_space'] === true, use_regex: !qwen };
  const split = { type: 'Split', pattern: { Regex: QWEN2_PIECES }, behavior: 'Isolated', invert: false };
  const added = Object.entries((addedTokens ?? {}) as Record<string, number>);
  return {
    tokenizer: {
      added_tokens: added.map(([content, id]) => ({ id, content, special: true, normalized: false })),
      normalizer: qwen ? { type: 'NFC' } : null,
      pre_tokenizer: qwen ? { type: 'Sequence', pretokenizers: [split, byteLevel] } : byteLevel,
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', unk_token: null, vocab, merges: lines },
    },
    defaults: {},
  };
}
