// wordTokenizer.ts: the lesson student's word-level tokenizer: a list of tokens, cut by one regular expression. It has no
// unknown token: what the vocabulary lacks is an error, because the student could only be confused by it.
import { PupilError } from '../base/errors';
import { wordsAmong, type TextTokenizer } from './tokenizer';

const PIECES = /\n|[A-D]\)|\d|[A-Za-z']+|[^\sA-Za-z\d]/g;
const NO_SPACE_BEFORE = new Set(['.', ',', ':', '?', '\n']);

/**
 * Text is cut into line breaks, option letters with their bracket ("A)"), single digits, words and single signs; other
 * white space is dropped. Reading back puts one space between tokens, except before `. , : ?`, around a line break, and
 * between two digits.
 */
export class WordTokenizer implements TextTokenizer {
  readonly vocabSize: number;
  readonly bosId: number;
  readonly eosIds: readonly number[];
  readonly padId: number;
  readonly words: readonly string[];
  /** None: a control token is written by its id only. */
  readonly controlTexts: readonly string[] = [];
  readonly specialTexts = { pad_token: '<pad>', bos_token: '<bos>', eos_token: '<eos>' } as const;
  private readonly idOf = new Map<string, number>();
  private readonly special: ReadonlySet<number>;

  /**
   * @param tokens the tokens by id: the parsed vocab.json.
   * @throws PupilError `text` unless it is a list of distinct texts with <pad>, <bos> and <eos>.
   */
  constructor(private readonly tokens: readonly string[]) {
    if (!Array.isArray(tokens) || tokens.some((token) => typeof token !== 'string')) {
      throw new PupilError('text', 'WordTokenizer: vocab.json must be a list of texts, got something else');
    }
    tokens.forEach((token, id) => this.idOf.set(token, id));
    if (this.idOf.size !== tokens.length) {
      throw new PupilError('text', 'WordTokenizer: the tokens of vocab.json must differ, some are listed twice');
    }
    this.vocabSize = tokens.length;
    this.words = wordsAmong(tokens);
    this.padId = this.required('<pad>');
    this.bosId = this.required('<bos>');
    this.eosIds = [this.required('<eos>')];
    this.special = new Set([this.padId, this.bosId, ...this.eosIds]);
  }

  private required(token: string): number {
    const id = this.idOf.get(token);
    if (id === undefined) throw new PupilError('text', `WordTokenizer: vocab.json must contain ${token}, it does not`);
    return id;
  }

  /** @throws PupilError `text` naming the words the vocabulary lacks. */
  encode(text: string, options: { addBos?: boolean } = {}): number[] {
    const ids = options.addBos === true ? [this.bosId] : [];
    for (const piece of text.match(PIECES) ?? []) {
      const id = this.idOf.get(piece);
      if (id === undefined) {
        throw new PupilError(
          'text',
          `WordTokenizer.encode: every word must be in the vocabulary, got ${this.unknownPieces(text)
            .map((word) => JSON.stringify(word))
            .join(', ')}`,
          'The lesson student knows a few hundred words only; rephrase, or choose another student.',
        );
      }
      ids.push(id);
    }
    return ids;
  }

  decode(ids: readonly number[], options: { skipSpecial?: boolean } = {}): string {
    const skipSpecial = options.skipSpecial ?? true;
    let text = '';
    let previous: string | undefined;
    for (const id of ids) {
      const token = this.tokens[id];
      if (token === undefined) {
        throw new PupilError('text', `WordTokenizer.decode: ids must be in 0 … ${this.vocabSize - 1}, got ${id}`);
      }
      if (skipSpecial && this.special.has(id)) continue;
      const joined =
        previous === undefined ||
        previous === '\n' ||
        NO_SPACE_BEFORE.has(token) ||
        (/^\d$/.test(token) && /^\d$/.test(previous));
      text += joined ? token : ` ${token}`;
      previous = token;
    }
    return text;
  }

  unknownPieces(text: string): string[] {
    return [...new Set((text.match(PIECES) ?? []).filter((piece) => !this.idOf.has(piece)))];
  }
}
