// tokenizers.ts: the tokenizer that an experiment names, from its files.
import { PupilError } from '../base/errors';
import type { StudentConfig } from '../config/experiment';
import type { OpenFile } from '../formats/byteSource';
import { readWhole } from '../formats/byteSource';
import { decodeUtf8, parseStrictJson } from '../formats/jsonText';
import { filesIn } from '../recipes/files';
import type { OpenRoot } from '../sources/openRoot';
import { HuggingFaceTokenizer, type TextTokenizer } from '../text/tokenizer';
import { WordTokenizer } from '../text/wordTokenizer';

const MAX_BYTES = 2 ** 28;

export interface LoadedTokenizer {
  tokenizer: TextTokenizer;
  chatTemplate?: string;
}

/**
 * @param student finds the files beside the weights.
 * @throws PupilError `source` where a file is missing, `text` where it is no tokenizer.
 */
export async function loadTokenizer(
  config: StudentConfig['tokenizer'],
  files: OpenRoot,
  student: OpenFile,
): Promise<LoadedTokenizer> {
  if (config.kind === 'words') {
    const value = parseStrictJson(await files.readText(config.path), config.path);
    return { tokenizer: new WordTokenizer(value as string[]) };
  }
  const open = config.kind === 'student' ? student : filesIn(files, config.path);
  const where = config.kind === 'student' ? 'the student’s folder' : config.path;
  const json = async (name: string): Promise<unknown> => {
    const file = await open(name);
    return file === undefined
      ? undefined
      : parseStrictJson(decodeUtf8(await readWhole(file, MAX_BYTES), file.name), file.name);
  };
  const tokenizer = await json('tokenizer.json');
  if (tokenizer === undefined) {
    throw new PupilError(
      'source',
      `tokenizer: expected tokenizer.json in ${where}, there is none`,
      'Save the "fast" tokenizer beside the weights, or name its folder in student.tokenizer.',
    );
  }
  const generationConfig = await json('generation_config.json');
  const loaded = new HuggingFaceTokenizer({
    tokenizer,
    tokenizerConfig: (await json('tokenizer_config.json')) ?? {},
    ...(generationConfig === undefined ? {} : { generationConfig }),
  });
  const jinja = await open('chat_template.jinja');
  const chatTemplate =
    loaded.chatTemplate ??
    (jinja === undefined ? undefined : decodeUtf8(await readWhole(jinja, MAX_BYTES), jinja.name));
  return { tokenizer: loaded, ...(chatTemplate === undefined ? {} : { chatTemplate }) };
}
