// tokenizer.ts: text ↔ token ids. An interface and the Hugging Face implementation (wraps @huggingface/tokenizers, pure
// JavaScript). It fetches nothing: the parsed files are handed in; which of them is believed is tokenizerSettings.ts.
import { Tokenizer } from '@huggingface/tokenizers';
import { PupilError } from '../base/errors';
import {
  addsBos,
  endIdsOf,
  expectObject,
  specialTextsOf,
  templateOf,
  withAddedTokens,
  type TokenizerFiles,
} from './tokenizerSettings';

/** A part of a text, in UTF-16 units: [start, end). */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** What the rest of Pupil needs of a tokenizer. Ids are those of the model's embedding rows. */
export interface TextTokenizer {
  /** Largest id that a text can have, and one more; a pad token behind all others is not counted. */
  readonly vocabSize: number;
  /** Beginning-of-text id; absent where the model has none. */
  readonly bosId?: number;
  /** Ids that end an answer. The first is the one written after training answers, unless a chat template has its own. */
  readonly eosIds: readonly number[];
  /** Nothing is ever padded here, so it may be eos, or lie behind the embedding. */
  readonly padId?: number;
  /** Text of the special tokens, for chat templates. */
  readonly specialTexts: Readonly<Record<string, string>>;
  /** Texts that become a control token (bos, end of turn …) wherever they are not literal. */
  readonly controlTexts: readonly string[];
  /**
   * Ids of a text. `addBos` puts the beginning-of-text id in front where this model's convention has one (a GPT-2 or
   * Qwen tokenizer has none: then nothing is added). No end-of-text is ever appended.
   *
   * @param options literal: parts that come from outside (a question, a data set). The text of a control token in them is
   *   encoded as ordinary text: it cannot end a turn. Absent: control tokens are read everywhere.
   */
  encode(text: string, options?: { addBos?: boolean; literal?: readonly TextRange[] }): number[];
  /** Text of ids. `skipSpecial` (default true) leaves out bos, eos, pad and other control tokens. */
  decode(ids: readonly number[], options?: { skipSpecial?: boolean }): string;
  /** The words of a vocabulary of whole words, in order; absent where it is made of smaller pieces. */
  readonly words?: readonly string[];
  /** Distinct pieces of the text that the vocabulary cannot express, in order of appearance; empty when all can. */
  unknownPieces(text: string): string[];
}

/** Option letters with their bracket, words, numbers, and any other sign by itself. */
const WORDS = /\b[A-Z]\)|[\p{L}\p{M}'’-]+|\p{N}+|[^\s\p{L}\p{M}\p{N}]/gu;

/** One text of the longest first, so that no token hides a longer one. */
export function anyOf(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
}

/** A tokenizer.json of the Hugging Face format. */
export class HuggingFaceTokenizer implements TextTokenizer {
  readonly vocabSize: number;
  readonly bosId?: number;
  readonly eosIds: readonly number[];
  readonly padId?: number;
  readonly specialTexts: Readonly<Record<string, string>>;
  readonly controlTexts: readonly string[];
  readonly words?: readonly string[];
  /** The chat template of tokenizer_config.json, where it has one. */
  readonly chatTemplate?: string;
  private readonly inner: Tokenizer;
  private readonly unknownId: number | undefined;
  private readonly addsBos: boolean;
  /** A vocabulary of words lacks whole words; one of smaller pieces lacks single characters. */
  private readonly wholeWords: boolean;
  private readonly expressible = new Map<string, boolean>();
  private readonly added: ReadonlyMap<string, { lstrip: boolean; rstrip: boolean }>;

  /** @throws PupilError `text` where the files are not a tokenizer this library can read. */
  constructor(files: TokenizerFiles) {
    const json = expectObject(files.tokenizer, 'tokenizer.json');
    const config = expectObject(files.tokenizerConfig, 'tokenizer_config.json');
    const model = expectObject(json['model'], 'tokenizer.json: model');
    try {
      // Absent, clean_up_tokenization_spaces is true for the library, and false for transformers 5: "x != 3" stays.
      this.inner = new Tokenizer(withAddedTokens(json, config), { clean_up_tokenization_spaces: false, ...config });
    } catch (cause) {
      throw new PupilError(
        'text',
        `HuggingFaceTokenizer: tokenizer.json was expected in a form this library reads, got: ${(cause as Error).message}`,
        'Save the tokenizer again with a current version of transformers ("fast" tokenizer).',
        { cause },
      );
    }

    const specialTexts = specialTextsOf(files, (id) => this.inner.id_to_token(id));
    this.specialTexts = specialTexts;
    const idOf = (text: string | undefined): number | undefined =>
      text === undefined ? undefined : this.inner.token_to_id(text);
    const added = [...this.inner.get_added_tokens_decoder().values()];
    this.added = new Map(added.map((token) => [token.content, token]));
    const named = new Set<string | undefined>(Object.values(specialTexts)); // some files forget the flag
    this.controlTexts = added
      .filter(({ special, content }) => special || named.has(content))
      .map(({ content }) => content);

    const bosId = idOf(specialTexts['bos_token']);
    if (bosId !== undefined) this.bosId = bosId;
    const padId = idOf(specialTexts['pad_token']);
    if (padId !== undefined) this.padId = padId;
    this.eosIds = endIdsOf(idOf(specialTexts['eos_token']), files);
    // A pad token that was added behind the vocabulary has no embedding unless somebody resized it; no text has it.
    const onlyPads = padId !== undefined && padId !== bosId && !this.eosIds.includes(padId);
    let largest = -1;
    for (const id of this.inner.get_vocab(true).values())
      if (!(onlyPads && id === padId)) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;
    this.unknownId = idOf(specialTexts['unk_token']) ?? this.inner.token_to_id(String(model['unk_token'] ?? ''));
    this.wholeWords = model['type'] === 'WordLevel' || model['type'] === 'WordPiece';
    if (model['type'] === 'WordLevel') this.words = wordsAmong(this.inner.get_vocab(true).keys());
    const template = templateOf(config['chat_template']);
    if (template !== undefined) this.chatTemplate = template;
    this.addsBos = bosId !== undefined && addsBos(config, this.inner.encode('a').ids[0] === bosId);
  }

  encode(text: string, options: { addBos?: boolean; literal?: readonly TextRange[] } = {}): number[] {
    const { literal = [] } = options;
    const hidden = literal.some(({ start, end }) => {
      const part = text.slice(start, end);
      return this.controlTexts.some((control) => part.includes(control));
    });
    let ids: number[] = [];
    if (hidden) ids = this.encodeLiteral(text, literal);
    else if (text !== '') ids = this.inner.encode(text, { add_special_tokens: false }).ids;
    return options.addBos === true && this.addsBos ? [this.bosId!, ...ids] : [...ids];
  }

  /**
   * As the library's encode, except that control tokens inside `literal` are no tokens: the text is cut at all others, and
   * each part between two cuts goes through the same normaliser, pre-tokenizer and model.
   */
  private encodeLiteral(text: string, literal: readonly TextRange[]): number[] {
    const { normalizer, pre_tokenizer: preTokenizer, model } = this.inner;
    const pattern = anyOf([...this.added.keys()])!;
    const sections: { text: string; token: boolean }[] = [];
    let from = 0;
    for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
      const [token] = found;
      const [start, end] = [found.index, found.index + token.length];
      const inside = literal.some((range) => start < range.end && end > range.start);
      if (inside && this.controlTexts.includes(token)) {
        pattern.lastIndex = start + 1;
        continue;
      }
      sections.push({ text: text.slice(from, start), token: false }, { text: token, token: true });
      from = end;
    }
    sections.push({ text: text.slice(from), token: false });
    sections.forEach(({ text: token, token: isToken }, i) => {
      const { lstrip = false, rstrip = false } = (isToken ? this.added.get(token) : undefined) ?? {};
      if (lstrip) sections[i - 1]!.text = sections[i - 1]!.text.trimEnd();
      if (rstrip) sections[i + 1]!.text = sections[i + 1]!.text.trimStart();
    });
    return sections
      .filter((section) => section.text !== '')
      .flatMap((section, i) => {
        if (section.token) return [this.inner.token_to_id(section.text)!];
        const normal = normalizer === null ? section.text : normalizer(section.text);
        const pieces = preTokenizer === null ? [normal] : preTokenizer(normal, { section_index: i });
        return model!(pieces).map((piece) => this.inner.token_to_id(piece) ?? this.unknownId!);
      });
  }

  decode(ids: readonly number[], options: { skipSpecial?: boolean } = {}): string {
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0) {
        throw new PupilError('text', `HuggingFaceTokenizer.decode: ids must be integers ≥ 0, got ${id}`);
      }
    }
    // An embedding may have more rows than the tokenizer has tokens (Qwen's does): a student may draw them; they say nothing.
    const known = ids.filter((id) => this.inner.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    return this.inner.decode(known, { skip_special_tokens: options.skipSpecial ?? true });
  }

  unknownPieces(text: string): string[] {
    if (this.unknownId === undefined) return [];
    const found: string[] = [];
    for (const piece of new Set(this.wholeWords ? (text.match(WORDS) ?? []) : text)) {
      let known = this.expressible.get(piece);
      if (known === undefined) {
        known = !this.inner.encode(piece, { add_special_tokens: false }).ids.includes(this.unknownId);
        this.expressible.set(piece, known);
      }
      if (!known) found.push(piece);
    }
    return found;
  }
}

/** Tokens that are words: no signs, digits, option letters or control tokens. By the alphabet. */
export function wordsAmong(tokens: Iterable<string>): string[] {
  return [...tokens].filter((token) => /^\p{L}[\p{L}'’-]*$/u.test(token)).sort((a, b) => (a < b ? -1 : 1));
}
