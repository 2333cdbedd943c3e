// tokenizerFiles.ts: the tokenizer of the lesson's student as the files of a Hugging Face checkpoint, made from the
// vocabulary. Word-level: what the vocabulary lacks becomes <unk>, and the text wrapper can name it.
import { LESSON_TOKENS, SPECIAL_TOKENS } from './vocabulary';
import { WORD_PATTERN } from './words';

/** Contents of the files beside the weights, by file name. */
export interface LessonTokenizerFiles {
  'tokenizer.json': object;
  'tokenizer_config.json': object;
  'special_tokens_map.json': object;
  'generation_config.json': object;
}

const idOf = (token: string): number => LESSON_TOKENS.indexOf(token);

const replace = (pattern: { String: string } | { Regex: string }, content: string): object => ({
  type: 'Replace',
  pattern,
  content,
});

/**
 * Reading back: one space between tokens, then none before `. , : ?`, none around a line break, none between two digits.
 */
const decoder = {
  type: 'Sequence',
  decoders: [
    { type: 'WordPiece', prefix: '##', cleanup: false }, // no token has the prefix: a space before all but the first
    { type: 'Fuse' },
    ...['.', ',', ':', '?'].map((sign) => replace({ String: ` ${sign}` }, sign)),
    replace({ String: ' \n' }, '\n'),
    replace({ String: '\n ' }, '\n'),
    replace({ Regex: String.raw`(?<=\d) (?=\d)` }, ''),
  ],
};

/** @param contextTokens the longest text that the student takes. */
export function lessonTokenizerFiles(contextTokens: number): LessonTokenizerFiles {
  const { pad, bos, eos, unk } = SPECIAL_TOKENS;
  const special = { pad_token: pad, bos_token: bos, eos_token: eos, unk_token: unk };
  const id = { bos: idOf(bos), eos: idOf(eos), pad: idOf(pad) };
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: Object.values(SPECIAL_TOKENS).map((content) => ({
        id: idOf(content),
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: WORD_PATTERN }, behavior: 'Removed', invert: true },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [
          { SpecialToken: { id: bos, type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
          { Sequence: { id: 'B', type_id: 1 } },
        ],
        special_tokens: { [bos]: { id: bos, ids: [id.bos], tokens: [bos] } },
      },
      decoder,
      model: {
        type: 'WordLevel',
        vocab: Object.fromEntries(LESSON_TOKENS.map((token, i) => [token, i])),
        unk_token: unk,
      },
    },
    'tokenizer_config.json': {
      ...special,
      add_bos_token: true,
      add_eos_token: false,
      clean_up_tokenization_spaces: false,
      model_max_length: contextTokens,
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
    'special_tokens_map.json': special,
    'generation_config.json': {
      bos_token_id: id.bos,
      eos_token_id: id.eos,
      pad_token_id: id.pad,
      do_sample: false,
      max_length: contextTokens,
    },
  };
}
