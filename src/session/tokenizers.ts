// tokenizers.ts: the tokenizer that an experiment names, from its files, whatever form they have; which ids end an answer; and
// whether tokenizer and student belong together.
import { PupilError } from '../base/errors';
import type { StudentConfig } from '../config/experiment';
import type { OpenFile } from '../formats/byteSource';
import { readWhole } from '../formats/byteSource';
import { decodeUtf8, isJsonObject, parseStrictJson } from '../formats/jsonText';
import { readSentencePiece } from '../formats/sentencePiece';
import { filesIn } from '../recipes/files';
import type { OpenRoot } from '../sources/openRoot';
import { endOfTurnId } from '../text/conversation';
import { HuggingFaceTokenizer, type TextTokenizer } from '../text/tokenizer';
import { fromSentencePiece, fromVocabAndMerges, type ConvertedTokenizer } from '../text/tokenizerJson';
import { templateOf } from '../text/tokenizerSettings';
import { WordTokenizer } from '../text/wordTokenizer';

const MAX_BYTES = 2 ** 28;

export interface LoadedTokenizer {
  tokenizer: TextTokenizer;
  chatTemplate?: string;
  /** What ends the assistant's turn in the chat template, where that is a control token. */
  endOfTurnId?: number;
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
  return readTokenizer(open, config.kind === 'student' ? 'the student’s folder' : config.path, student);
}

/**
 * A tokenizer of a folder: tokenizer.json, else tokenizer.model (SentencePiece), else vocab.json with merges.txt. Its chat
 * template is chat_template.jinja, else that of tokenizer_config.json, else chat_template.json (as transformers).
 *
 * @param where the folder, for messages.
 * @param student finds config.json and generation_config.json, which name what ends an answer.
 * @throws PupilError `source` where there is none of these, `text` where it is no tokenizer.
 */
export async function readTokenizer(open: OpenFile, where: string, student = open): Promise<LoadedTokenizer> {
  const bytes = async (name: string, from = open): Promise<Uint8Array | undefined> => {
    const file = await from(name);
    return file === undefined ? undefined : readWhole(file, MAX_BYTES);
  };
  const text = async (name: string, from = open): Promise<string | undefined> => {
    const read = await bytes(name, from);
    return read === undefined ? undefined : decodeUtf8(read, name);
  };
  const json = async (name: string, from = open): Promise<unknown> => {
    const read = await text(name, from);
    return read === undefined ? undefined : parseStrictJson(read, name);
  };

  const said = await json('tokenizer_config.json');
  let tokenizer = await json('tokenizer.json');
  let tokenizerConfig = said ?? {};
  if (tokenizer === undefined) {
    const converted = await convertTokenizer(bytes, text, json, tokenizerConfig);
    if (converted === undefined) {
      throw new PupilError(
        'source',
        `tokenizer: expected tokenizer.json, tokenizer.model, or vocab.json and merges.txt in ${where}, there is none`,
        'Save the tokenizer beside the weights, or name its folder in student.tokenizer.',
      );
    }
    tokenizer = converted.tokenizer;
    if (isJsonObject(tokenizerConfig)) tokenizerConfig = { ...converted.defaults, ...tokenizerConfig };
  }
  const loaded = new HuggingFaceTokenizer({
    tokenizer,
    tokenizerConfig,
    specialTokensMap: await json('special_tokens_map.json'),
    generationConfig: await json('generation_config.json', student),
    modelConfig: await json('config.json', student),
  });
  const chatTemplate =
    (await text('chat_template.jinja')) ??
    loaded.chatTemplate ??
    templateOf(((await json('chat_template.json')) as Record<string, unknown> | undefined)?.['chat_template']);
  if (chatTemplate === undefined) return { tokenizer: loaded };
  const endId = endOfTurnId(chatTemplate, loaded);
  return { tokenizer: loaded, chatTemplate, ...(endId === undefined ? {} : { endOfTurnId: endId }) };
}

/** The older forms. */
async function convertTokenizer(
  bytes: (name: string) => Promise<Uint8Array | undefined>,
  text: (name: string) => Promise<string | undefined>,
  json: (name: string) => Promise<unknown>,
  config: unknown,
): Promise<ConvertedTokenizer | undefined> {
  const model = await bytes('tokenizer.model');
  if (model !== undefined) return fromSentencePiece(readSentencePiece(model, 'tokenizer.model'), 'tokenizer.model');
  const [vocab, merges] = [await json('vocab.json'), await text('merges.txt')];
  if (vocab === undefined || merges === undefined || !isJsonObject(config)) return undefined;
  return fromVocabAndMerges(vocab, merges, config, await json('added_tokens.json'));
}

/**
 * What ends an answer: in a chat template its own end of turn, else the end of text.
 * @throws PupilError `text` where there is neither: the student would never learn to stop.
 */
export function answerEndId(loaded: LoadedTokenizer, wrapper: 'none' | 'alpaca' | 'chat'): number {
  const end = (wrapper === 'chat' ? loaded.endOfTurnId : undefined) ?? loaded.tokenizer.eosIds[0];
  if (end !== undefined) return end;
  throw new PupilError(
    'text',
    'tokenizer: expected an end-of-text token, it has none',
    'Add eos_token to tokenizer_config.json or eos_token_id to generation_config.json: without it the student never learns to stop.',
  );
}

/** Every id at which generation stops: what the tokenizer's files name, and the end of turn of the chat template. */
export function stopIds({ tokenizer, endOfTurnId: end }: LoadedTokenizer): number[] {
  return [...new Set([...tokenizer.eosIds, ...(end === undefined ? [] : [end])])];
}

/**
 * Whether every token has a row in the embedding. Rows without a token are common (Qwen pads to a multiple of 128) and fine;
 * so is a pad token without a row, since nothing is padded here.
 * @throws PupilError `text` naming both numbers.
 */
export function expectRows({ tokenizer }: LoadedTokenizer, vocabSize: number): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new PupilError(
    'text',
    `tokenizer: expected at most ${vocabSize} ids, as many as the student’s embedding has rows, got ${tokenizer.vocabSize}`,
    'Tokenizer and student do not belong together: check student.tokenizer, or resize the embedding to the tokens that were added.',
  );
}
