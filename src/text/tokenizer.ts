// tokenizer.ts: text ↔ token ids. An interface and the Hugging Face implementation (wraps @huggingface/tokenizers, pure
// JavaScript). It fetches nothing: the parsed tokenizer.json and tokenizer_config.json are handed in.
import { Tokenizer } from '@huggingface/tokenizers';
import { PupilError } from '../base/errors';

/** What the rest of Pupil needs of a tokenizer. Ids are those of the model's embedding rows. */
export interface TextTokenizer {
  readonly vocabSize: number;
  /** Beginning-of-text id; absent where the model has none. */
  readonly bosId?: number;
  /** Ids that end an answer. The first is the one written after training answers. */
  readonly eosIds: readonly number[];
  readonly padId?: number;
  /** Text of the special tokens, for chat templates. */
  readonly specialTexts: Readonly<Record<string, string>>;
  /**
   * Ids of a text. `addBos` puts the beginning-of-text id in front where this model's convention has one (a GPT-2 or
   * Qwen tokenizer has none: then nothing is added). No end-of-text is ever appended.
   */
  encode(text: string, options?: { addBos?: boolean }): number[];
  /** Text of ids. `skipSpecial` (default true) leaves out bos, eos, pad and other control tokens. */
  decode(ids: readonly number[], options?: { skipSpecial?: boolean }): string;
  /** The words of a vocabulary of whole words, in order; absent where it is made of smaller pieces. */
  readonly words?: readonly string[];
  /** Distinct pieces of the text that the vocabulary cannot express, in order of appearance; empty when all can. */
  unknownPieces(text: string): string[];
}

/** The files of a tokenizer, parsed. `generationConfig` may name further end-of-text ids. */
export interface TokenizerFiles {
  tokenizer: unknown;
  tokenizerConfig: unknown;
  generationConfig?: unknown;
}

type JsonObject = Record<string, unknown>;

function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new PupilError(
    'text',
    `HuggingFaceTokenizer: ${what} must be a JSON object, got ${Array.isArray(value) ? 'an array' : typeof value}`,
    'Check that the file is not a Git-LFS pointer or an error page.',
  );
}

/** A special token is written as text or as an object with `content`. */
function specialText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && typeof (value as JsonObject)['content'] === 'string') {
    return (value as JsonObject)['content'] as string;
  }
  return undefined;
}

/** Option letters with their bracket, words, numbers, and any other sign by itself. */
const WORDS = /\b[A-Z]\)|[\p{L}\p{M}'’-]+|\p{N}+|[^\s\p{L}\p{M}\p{N}]/gu;

/** A tokenizer.json of the Hugging Face format. */
export class HuggingFaceTokenizer implements TextTokenizer {
  readonly vocabSize: number;
  readonly bosId?: number;
  readonly eosIds: readonly number[];
  readonly padId?: number;
  readonly specialTexts: Readonly<Record<string, string>>;
  readonly words?: readonly string[];
  /** The chat template of tokenizer_config.json, where it has one. */
  readonly chatTemplate?: string;
  private readonly inner: Tokenizer;
  private readonly unknownId: number | undefined;
  private readonly addsBos: boolean;
  /** A vocabulary of words lacks whole words; one of smaller pieces lacks single characters. */
  private readonly wholeWords: boolean;
  private readonly expressible = new Map<string, boolean>();

  /** @throws PupilError `text` where the files are not a tokenizer this library can read. */
  constructor(files: TokenizerFiles) {
    const json = asObject(files.tokenizer, 'tokenizer.json');
    const config = asObject(files.tokenizerConfig, 'tokenizer_config.json');
    const model = asObject(json['model'], 'tokenizer.json: model');
    try {
      this.inner = new Tokenizer(json, config);
    } catch (cause) {
      throw new PupilError(
        'text',
        `HuggingFaceTokenizer: tokenizer.json was expected in a form this library reads, got: ${(cause as Error).message}`,
        'Save the tokenizer again with a current version of transformers ("fast" tokenizer).',
        { cause },
      );
    }

    const specialTexts: Record<string, string> = {};
    for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
      const text = specialText(config[name]);
      if (text !== undefined) specialTexts[name] = text;
    }
    this.specialTexts = specialTexts;
    const idOf = (name: string): number | undefined => {
      const text = specialTexts[name];
      return text === undefined ? undefined : this.inner.token_to_id(text);
    };

    let largest = -1;
    for (const id of this.inner.get_vocab(true).values()) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;

    const bosId = idOf('bos_token');
    if (bosId !== undefined) this.bosId = bosId;
    const padId = idOf('pad_token');
    if (padId !== undefined) this.padId = padId;
    this.eosIds = endIds(idOf('eos_token'), files.generationConfig);
    this.unknownId = idOf('unk_token') ?? this.inner.token_to_id(String(model['unk_token'] ?? ''));
    this.wholeWords = model['type'] === 'WordLevel' || model['type'] === 'WordPiece';
    if (model['type'] === 'WordLevel') this.words = wordsAmong(this.inner.get_vocab(true).keys());
    const template = config['chat_template'];
    if (typeof template === 'string') this.chatTemplate = template;
    else if (Array.isArray(template)) {
      const named = (template as JsonObject[]).find((entry) => entry['name'] === 'default') ?? template[0];
      if (typeof named?.template === 'string') this.chatTemplate = named.template;
    }
    this.addsBos = bosId !== undefined && this.inner.encode('a').ids[0] === bosId;
  }

  encode(text: string, options: { addBos?: boolean } = {}): number[] {
    const ids = text === '' ? [] : this.inner.encode(text, { add_special_tokens: false }).ids;
    return options.addBos === true && this.addsBos ? [this.bosId!, ...ids] : [...ids];
  }

  decode(ids: readonly number[], options: { skipSpecial?: boolean } = {}): string {
    if (ids.length === 0) return '';
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0) {
        throw new PupilError('text', `HuggingFaceTokenizer.decode: ids must be integers ≥ 0, got ${id}`);
      }
    }
    return this.inner.decode([...ids], { skip_special_tokens: options.skipSpecial ?? true });
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

/** eos of the tokenizer first, then those of generation_config.json (a number or a list). */
function endIds(eosId: number | undefined, generationConfig: unknown): number[] {
  const ids = new Set<number>();
  if (eosId !== undefined) ids.add(eosId);
  if (typeof generationConfig === 'object' && generationConfig !== null) {
    const value = (generationConfig as JsonObject)['eos_token_id'];
    for (const id of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof id === 'number' && Number.isInteger(id)) ids.add(id);
    }
  }
  return [...ids];
}
