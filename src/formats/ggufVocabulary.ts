// ggufVocabulary.ts: a Hugging Face tokenizer as the metadata from which llama.cpp tokenises: `llama` (SentencePiece pieces
// with scores) or `gpt2` (byte-level BPE with merges), special tokens, and the chat template. It opens no files.
// Source: llama.cpp conversion/base.py (get_vocab_base, _create_vocab_sentencepiece), gguf-py/gguf/vocab.py (SpecialVocab).
import { PupilError } from '../base/errors';
import type { GgufValue } from './gguf';
import { ggufPretokenizer } from './ggufPretokenizer';
import { isJsonObject, type JsonObject } from './jsonText';
import { readSentencePiece } from './sentencePiece';

/** What a student's folder has of a tokenizer. */
export interface TokenizerParts {
  /** tokenizer.json */
  tokenizer: JsonObject | undefined;
  /** tokenizer_config.json */
  config: JsonObject;
  /** tokenizer.model */
  sentencePiece: Uint8Array | undefined;
  /** config.json, for ids that the tokenizer's files do not name. */
  model: JsonObject;
  /** chat_template.jinja, where tokenizer_config.json has none. */
  chatTemplate: string | undefined;
  /** Ids of a text by tokenizer.json, special tokens around it included. */
  encode: (text: string) => readonly number[];
}

/** enum llama_token_type. */
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
type TokenType = (typeof TYPE)[keyof typeof TYPE];

/** The score of tokens that are never merged: any below those of pieces. */
const ADDED_SCORE = -1000;
const UNUSED_SCORE = -10_000;

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
}

/** Tokens by id, as many as the embedding has rows: those that the tokenizer lacks are `[PADn]`, never used. */
class TokenTable {
  readonly texts: string[];
  readonly types: TokenType[];
  readonly scores: number[];
  /** Tokens whose id has no row. */
  dropped = 0;

  constructor(readonly size: number) {
    this.texts = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
    this.types = new Array<TokenType>(size).fill(TYPE.unused);
    this.scores = new Array<number>(size).fill(UNUSED_SCORE);
  }

  set(id: number, text: string, type: TokenType, score: number): void {
    if (!(Number.isInteger(id) && id >= 0 && id < this.size)) {
      this.dropped++;
      return;
    }
    this.texts[id] = text;
    this.types[id] = type;
    this.scores[id] = score;
  }

  /** Tokens that are cut out of a text before it is merged. */
  add(added: readonly AddedToken[]): void {
    for (const { id, content, special } of added) {
      const control = special || looksSpecial(content);
      const kept = this.types[id] === TYPE.unknown ? TYPE.unknown : undefined;
      // llama.cpp matches user-defined tokens in the text as it is written, with real spaces.
      const text = control ? content : content.replaceAll('▁', ' ');
      this.set(id, text, kept ?? (control ? TYPE.control : TYPE.userDefined), ADDED_SCORE);
    }
  }
}

/**
 * The tokenizer's metadata, and what a person should know of it. Without a tokenizer, or with one of whole words,
 * `tokenizer.ggml.model` is `none`: llama.cpp then takes and gives ids only.
 * @param vocabSize rows of the embedding
 * @throws PupilError `checkpoint` for byte-level BPE that cuts texts in a way which llama.cpp has no name for; `format` for a
 *   damaged tokenizer.model
 */
export async function ggufVocabulary(
  parts: TokenizerParts,
  vocabSize: number,
): Promise<{ metadata: [string, GgufValue][]; notes: string[] }> {
  const { tokenizer, sentencePiece } = parts;
  const model = tokenizer?.['model'];
  const bpe = isJsonObject(model) && model['type'] === 'BPE' ? model : undefined;
  const notes: string[] = [];
  const table = new TokenTable(vocabSize);
  const added = addedTokens(parts);
  const metadata: [string, GgufValue][] = [];
  const put = (key: string, value: GgufValue): void => void metadata.push([`tokenizer.${key}`, value]);
  const tokens = (kind: 'llama' | 'gpt2', pre: string): void => {
    table.add(added);
    put('ggml.model', { type: 'string', value: kind });
    put('ggml.pre', { type: 'string', value: pre });
    put('ggml.tokens', { type: 'strings', value: table.texts });
    if (kind === 'llama') put('ggml.scores', { type: 'f32s', value: table.scores });
    put('ggml.token_type', { type: 'i32s', value: table.types });
    if (table.dropped > 0) {
      notes.push(`left out of the vocabulary: ${table.dropped} tokens beyond the ${vocabSize} rows of the embedding`);
    }
  };

  if (bpe !== undefined && isByteLevel(tokenizer!)) {
    const pre = await ggufPretokenizer(tokenizer!, parts.encode);
    if (pre === undefined) {
      throw new PupilError(
        'checkpoint',
        'export: GGUF: tokenizer.json: expected a pre_tokenizer that llama.cpp has a name for (that of Llama-3, Qwen2, SmolLM, GPT-2 …), this is another',
        'Export it as merged safetensors: with a wrong name llama.cpp would read other tokens without saying so.',
      );
    }
    if (pre.by === 'rule') {
      notes.push(
        `the tokenizer is none that llama.cpp's converter knows; by its rule it cuts texts as "${pre.name}" does`,
      );
    }
    for (const [text, id] of vocabOf(bpe)) table.set(id, text, TYPE.normal, 0);
    tokens('gpt2', pre.name);
    put('ggml.merges', { type: 'strings', value: mergesOf(bpe).map((pair) => pair.map(visibleSpaces).join(' ')) });
  } else if (sentencePiece !== undefined) {
    const { pieces, algorithm, addDummyPrefix } = readSentencePiece(sentencePiece, 'tokenizer.model');
    if (algorithm !== 'bpe') {
      notes.push(
        `warning: tokenizer.model is of the kind ${algorithm}; llama.cpp merges it as BPE and may give other tokens`,
      );
    }
    pieces.forEach(({ text, score, kind }, id) => {
      // A user-defined piece is one that merges first; its score of 0 says so.
      table.set(id, text, kind === 'userDefined' ? TYPE.normal : TYPE[kind], score);
    });
    tokens('llama', 'default');
    put('ggml.add_space_prefix', { type: 'bool', value: addsSpace(parts) ?? addDummyPrefix });
  } else if (bpe !== undefined && bpe['byte_fallback'] === true) {
    if (!scoreByMerges(table, bpe)) {
      notes.push(
        'warning: the merges of tokenizer.json cannot all be told by scores, as llama.cpp needs them: some texts may give other tokens (a tokenizer.model beside it would be exact)',
      );
    }
    tokens('llama', 'default');
    put('ggml.add_space_prefix', { type: 'bool', value: addsSpace(parts) ?? true });
  } else {
    put('ggml.model', { type: 'string', value: 'none' });
    const why = tokenizer === undefined ? 'the student’s folder has no tokenizer' : 'llama.cpp has no such tokenizer';
    notes.push(`warning: ${why}: the file has none, so llama.cpp takes and gives token ids only`);
    return { metadata, notes };
  }
  for (const [key, value] of specialTokens(parts, added, vocabSize)) put(key, value);
  for (const [key, value] of chatTemplates(parts)) put(key, value);
  return { metadata, notes };
}

function isByteLevel(tokenizer: JsonObject): boolean {
  const parts = [tokenizer['decoder'], tokenizer['pre_tokenizer']];
  return parts.some((part) => isJsonObject(part) && JSON.stringify(part).includes('"ByteLevel"'));
}

function vocabOf(bpe: JsonObject): [string, number][] {
  const vocab = bpe['vocab'];
  if (!isJsonObject(vocab)) throw new PupilError('checkpoint', 'tokenizer.json: model.vocab: expected an object');
  return Object.entries(vocab).map(([text, id]) => [text, Number(id)]);
}

/** Merges, written as "a b" or as pairs. */
function mergesOf(bpe: JsonObject): [string, string][] {
  const merges: unknown[] = Array.isArray(bpe['merges']) ? bpe['merges'] : [];
  return merges.map((merge) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')) {
      return pair as [string, string];
    }
    throw new PupilError('checkpoint', `tokenizer.json: model.merges: expected pairs, got ${JSON.stringify(merge)}`);
  });
}

/** The blank between the halves of a merge must be the only one. */
const visibleSpaces = (part: string): string => part.replaceAll(' ', 'Ġ');

/**
 * Pieces of a byte-fallback BPE tokenizer with scores by which the same pieces merge first: minus the place of a piece's
 * first merge. (llama.cpp's converter gives them all the same score where there is no tokenizer.model.)
 * @returns whether that says all: every way to put a piece together is a merge, and those of one piece stand together
 */
function scoreByMerges(table: TokenTable, bpe: JsonObject): boolean {
  const merges = mergesOf(bpe);
  const first = new Map<string, number>();
  const ways = new Map<string, number>();
  let together = true;
  let previous = '';
  merges.forEach(([left, right], rank) => {
    const piece = left + right;
    if (!first.has(piece)) first.set(piece, rank);
    else if (piece !== previous && new Set(piece).size > 1) together = false; // runs of blanks come out the same
    ways.set(piece, (ways.get(piece) ?? 0) + 1);
    previous = piece;
  });
  const vocab = vocabOf(bpe);
  const known = new Set(vocab.map(([text]) => text));
  let complete = true;
  for (const [text, id] of vocab) {
    const isByte = /^<0x[0-9A-F]{2}>$/i.test(text);
    const type = isByte ? TYPE.byte : text === bpe['unk_token'] ? TYPE.unknown : TYPE.normal;
    table.set(id, text, type, isByte ? 0 : -(first.get(text) ?? merges.length));
    if (type !== TYPE.normal || text.startsWith('<')) continue;
    let splits = 0;
    const letters = Array.from(text);
    for (let i = 1; i < letters.length; i++) {
      if (known.has(letters.slice(0, i).join('')) && known.has(letters.slice(i).join(''))) splits++;
    }
    if (splits !== (ways.get(text) ?? 0)) complete = false;
  }
  return together && complete;
}

/** Whether a space is put in front of a text; undefined where the files do not say. */
function addsSpace({ tokenizer, config }: TokenizerParts): boolean | undefined {
  if (typeof config['add_prefix_space'] === 'boolean') return config['add_prefix_space'];
  if (tokenizer === undefined) return undefined;
  const parts = [tokenizer['normalizer'], tokenizer['pre_tokenizer']].flatMap((part) => {
    if (!isJsonObject(part)) return [];
    const inner = part['normalizers'] ?? part['pretokenizers'];
    return Array.isArray(inner) ? inner.filter(isJsonObject) : [part];
  });
  return parts.some(
    (part) =>
      (part['type'] === 'Prepend' && part['prepend'] === '▁') ||
      (part['type'] === 'Metaspace' && part['prepend_scheme'] !== 'never' && part['add_prefix_space'] !== false),
  );
}

/** Tokens that were added to a vocabulary, by tokenizer.json and tokenizer_config.json. */
function addedTokens({ tokenizer, config }: TokenizerParts): AddedToken[] {
  const found = new Map<number, AddedToken>();
  const listed: unknown[] = Array.isArray(tokenizer?.['added_tokens']) ? tokenizer['added_tokens'] : [];
  const decoder = config['added_tokens_decoder'];
  const entries = isJsonObject(decoder) ? Object.entries(decoder) : [];
  for (const [id, token] of [...listed.map((token) => [undefined, token] as const), ...entries]) {
    if (!isJsonObject(token) || typeof token['content'] !== 'string') continue;
    const number = Number(id ?? token['id']);
    found.set(number, { id: number, content: token['content'], special: token['special'] === true });
  }
  return [...found.values()];
}

/** Some models mark tokens of their chat format as not special, though no text should give them. */
function looksSpecial(text: string): boolean {
  return (
    ['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(text) ||
    /^<\|.*\|>$/s.test(text) ||
    /^<｜.*｜>$/s.test(text) ||
    /^<unused.*>$/s.test(text)
  );
}

const SPECIAL_KEYS = { bos: 'bos', eos: 'eos', unk: 'unknown', sep: 'seperator', pad: 'padding' }; // as the format has it

function specialTokens(parts: TokenizerParts, added: readonly AddedToken[], vocabSize: number): [string, GgufValue][] {
  const { tokenizer, config, model } = parts;
  const out: [string, GgufValue][] = [];
  for (const [name, key] of Object.entries(SPECIAL_KEYS)) {
    const entry = config[`${name}_token`];
    const content = isJsonObject(entry) ? entry['content'] : entry;
    const listed: unknown = model[`${name}_token_id`];
    const id = added.find((token) => token.content === content)?.id ?? (Array.isArray(listed) ? listed[0] : listed);
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize) {
      out.push([`ggml.${key}_token_id`, { type: 'u32', value: id }]);
    }
  }
  const template = templateEnds(tokenizer);
  for (const name of ['bos', 'eos'] as const) {
    const flag = config[`add_${name}_token`];
    const value = typeof flag === 'boolean' ? flag : template?.[name];
    if (value !== undefined) out.push([`ggml.add_${name}_token`, { type: 'bool', value }]);
  }
  return out;
}

/** Whether tokenizer.json puts a special token before and behind a text; undefined without tokenizer.json. */
function templateEnds(tokenizer: JsonObject | undefined): { bos: boolean; eos: boolean } | undefined {
  if (tokenizer === undefined) return undefined;
  const post = tokenizer['post_processor'];
  const all = isJsonObject(post) ? (Array.isArray(post['processors']) ? post['processors'] : [post]) : [];
  const ends = { bos: false, eos: false };
  for (const processor of all.filter(isJsonObject)) {
    const single: unknown = processor['type'] === 'TemplateProcessing' ? processor['single'] : undefined;
    if (!Array.isArray(single)) continue;
    const isSpecial = (part: unknown): boolean => isJsonObject(part) && part['SpecialToken'] !== undefined;
    const text = single.findIndex((part) => !isSpecial(part));
    ends.bos ||= text > 0;
    ends.eos ||= text >= 0 && text < single.length - 1;
  }
  return ends;
}

/** The chat template; of several, the one named "default" under the plain key and the others under their names. */
function chatTemplates({ config, chatTemplate }: TokenizerParts): [string, GgufValue][] {
  const own = config['chat_template'];
  if (!Array.isArray(own)) {
    const value = typeof own === 'string' ? own : chatTemplate;
    return value === undefined ? [] : [['chat_template', { type: 'string', value }]];
  }
  const named = own
    .filter(isJsonObject)
    .map(({ name, template }) => [String(name).replace(/\W/g, '_').toLowerCase(), String(template)] as const);
  const others = named.filter(([name]) => name !== 'default');
  return [
    ...named
      .filter(([name]) => name === 'default')
      .map(([, value]): [string, GgufValue] => ['chat_template', { type: 'string', value }]),
    ...(others.length === 0
      ? []
      : [['chat_templates', { type: 'strings', value: others.map(([name]) => name) }] as [string, GgufValue]]),
    ...others.map(([name, value]): [string, GgufValue] => [`chat_template.${name}`, { type: 'string', value }]),
  ];
}
