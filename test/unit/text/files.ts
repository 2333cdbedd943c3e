// files.ts: tokenizers of the folder that PUPIL_DATA names, read as a student's folder is, under the names that a checkpoint
// gives its files; and a small synthetic one with Llama-3's features. For tests.
import { existsSync, readFileSync } from 'node:fs';
import { memorySource, type OpenFile } from '../../../src/formats/byteSource';
import { readTokenizer, type LoadedTokenizer } from '../../../src/session/tokenizers';

export const data = process.env['PUPIL_DATA'];
export const folder = `${data}/tokenizers`;
export const textOf = (path: string): string => readFileSync(`${folder}/${path}`, 'utf8');
export const jsonOf = (path: string): unknown => JSON.parse(textOf(path));

/** A folder of files in memory. */
export function folderOf(files: Readonly<Record<string, string | Uint8Array | object>>): OpenFile {
  return (path) => {
    const content = files[path];
    if (content === undefined) return Promise.resolve(undefined);
    const text = typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content);
    return Promise.resolve(memorySource(path, typeof text === 'string' ? new TextEncoder().encode(text) : text));
  };
}

const loaded = new Map<string, Promise<LoadedTokenizer>>();

/**
 * Read once a test file: a tokenizer keeps nothing of what it has encoded.
 * @param files names in the student's folder → paths in PUPIL_DATA/tokenizers, or contents. */
export function load(files: Readonly<Record<string, string | object>>): Promise<LoadedTokenizer> {
  const key = JSON.stringify(files);
  const known = loaded.get(key) ?? readFiles(files);
  loaded.set(key, known);
  return known;
}

function readFiles(files: Readonly<Record<string, string | object>>): Promise<LoadedTokenizer> {
  const contents = Object.entries(files).flatMap(([name, file]) => {
    if (typeof file !== 'string') return [[name, file] as const];
    return existsSync(`${folder}/${file}`) ? [[name, readFileSync(`${folder}/${file}`)] as const] : [];
  });
  return readTokenizer(folderOf(Object.fromEntries(contents)), 'the folder of the test');
}

const inFolder = (name: string, ...files: string[]): Record<string, string> =>
  Object.fromEntries(files.map((file) => [file, `${name}/${file}`]));

/** Every tokenizer of the folder. */
export const REAL = {
  gpt2: () =>
    load({ 'tokenizer.json': 'gpt2/gpt2_tokenizer.json', 'tokenizer_config.json': 'gpt2/gpt2_tokenizer_config.json' }),
  /** As openai-community/gpt2 has it: nothing is said of clean-up. */
  'gpt2, vocab.json and merges.txt': () =>
    load({
      'vocab.json': 'gpt2/gpt2-vocab.json',
      'merges.txt': 'gpt2/gpt2-merges.txt',
      'tokenizer_config.json': {
        tokenizer_class: 'GPT2Tokenizer',
        bos_token: '<|endoftext|>',
        eos_token: '<|endoftext|>',
      },
    }),
  'llama-2': () =>
    load({
      'tokenizer.json': 'llama-2/llama_tokenizer.json',
      'tokenizer_config.json': 'llama-2/llama_tokenizer_config.json',
    }),
  'llama-2, tokenizer.model': () => load({ 'tokenizer.model': 'llama-2/tokenizer.model' }),
  tinyllama: () =>
    load(inFolder('tinyllama', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json', 'config.json')),
  'mistral v1, tokenizer.model': () =>
    load({
      'tokenizer.model': 'mistral/tokenizer.model.v1',
      'chat_template.jinja': 'mistral/chat_templates/v1_spm.jinja',
    }),
  'mistral v2, tokenizer.model': () =>
    load({
      'tokenizer.model': 'mistral/mistral_instruct_tokenizer_240323.model.v3',
      'chat_template.jinja': 'mistral/chat_templates/v2_spm.jinja',
    }),
  'mistral v3, tokenizer.model': () =>
    load({
      'tokenizer.model': 'mistral/mistral_instruct_tokenizer_240323.model.v3',
      'chat_template.jinja': 'mistral/chat_templates/v3_spm.jinja',
    }),
  smollm: () =>
    load(
      inFolder('smollm2', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'),
    ),
  'qwen2.5': () => load(inFolder('qwen2.5', 'vocab.json', 'merges.txt', 'tokenizer_config.json', 'added_tokens.json')),
} as const;

/** Llama-3's kind: byte-level BPE cut by a regular expression, whole words taken as they are, bos by the post-processor. */
export function llama3Like(config: object = {}): Record<string, object> {
  // bytes_to_unicode of GPT-2: printable Latin-1 stands for itself, the other bytes follow from 256 on
  const printable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
  const merges: [string, string][] = [
    ['H', 'e'],
    ['l', 'l'],
    ['He', 'll'],
    ['Hell', 'o'],
    ['Ġ', 'w'],
  ];
  const words = [...bytes, ...merges.map((pair) => pair.join('')), 'Ġworld', '123'];
  const special = [
    '<|begin_of_text|>',
    '<|end_of_text|>',
    '<|start_header_id|>',
    '<|end_header_id|>',
    '<|eot_id|>',
    '<|eom_id|>',
  ];
  const pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const bos = { id: '<|begin_of_text|>', ids: [words.length], tokens: ['<|begin_of_text|>'] };
  return {
    'tokenizer.json': {
      added_tokens: special.map((content, i) => ({
        id: words.length + i,
        content,
        special: true,
        normalized: false,
        lstrip: false,
        rstrip: false,
        single_word: false,
      })),
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      post_processor: {
        type: 'Sequence',
        processors: [
          { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
          {
            type: 'TemplateProcessing',
            single: [{ SpecialToken: { id: '<|begin_of_text|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
            pair: [],
            special_tokens: { '<|begin_of_text|>': bos },
          },
        ],
      },
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        unk_token: null,
        byte_fallback: false,
        ignore_merges: true,
        vocab: Object.fromEntries(words.map((word, id) => [word, id])),
        merges,
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: '<|begin_of_text|>',
      eos_token: '<|end_of_text|>',
      clean_up_tokenization_spaces: true,
      ...config,
    },
  };
}
