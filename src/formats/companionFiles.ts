// companionFiles.ts: the files of a checkpoint folder that go along with its weights wherever these are written anew: the
// tokenizer's and what says how to generate. Names only.

export const COMPANION_FILES = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
] as const;

/** Far above any real one. */
export const MAX_COMPANION_BYTES = 2 ** 28;
