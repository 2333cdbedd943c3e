// tokenizerSettings.ts: what the files beside a tokenizer say of it: special tokens, end-of-text ids, whether a text begins
// with bos, the chat template. Files disagree in practice; the order in which they are believed is here. No text is encoded.
import { PupilError } from '../base/errors';
import { isJsonObject, type JsonObject } from '../formats/jsonText';

/** The files of a tokenizer, parsed. Those that are absent say nothing. */
export interface TokenizerFiles {
  tokenizer: unknown;
  tokenizerConfig: unknown;
  /** special_tokens_map.json: what tokenizer_config.json leaves out. */
  specialTokensMap?: unknown;
  /** May name further end-of-text ids. */
  generationConfig?: unknown;
  /** The student's config.json: ids of special tokens that no tokenizer file names. */
  modelConfig?: unknown;
}

export const SPECIAL_NAMES = ['bos_token', 'eos_token', 'pad_token', 'unk_token'] as const;
export type SpecialName = (typeof SPECIAL_NAMES)[number];

/** @throws PupilError `text` naming the file. */
export function expectObject(value: unknown, what: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw new PupilError(
    'text',
    `HuggingFaceTokenizer: ${what} must be a JSON object, got ${Array.isArray(value) ? 'an array' : typeof value}`,
    'Check that the file is not a Git-LFS pointer or an error page.',
  );
}

/** A special token is written as text or as an object with `content`. */
function specialText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isJsonObject(value) && typeof value['content'] === 'string' ? value['content'] : undefined;
}

const asObject = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
const isId = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0;
const idsOf = (value: unknown): number[] => (Array.isArray(value) ? (value as unknown[]) : [value]).filter(isId);

/**
 * The texts of bos, eos, pad and unk: tokenizer_config.json before special_tokens_map.json; what neither names, by the ids
 * of generation_config.json, then of config.json. null in tokenizer_config.json means "none" and ends the search.
 */
export function specialTextsOf(
  files: TokenizerFiles,
  textOf: (id: number) => string | undefined,
): Partial<Record<SpecialName, string>> {
  const texts: Partial<Record<SpecialName, string>> = {};
  const [config, map] = [asObject(files.tokenizerConfig), asObject(files.specialTokensMap)];
  for (const name of SPECIAL_NAMES) {
    let text = specialText(config[name] ?? map[name]);
    if (text === undefined && config[name] !== null && name !== 'unk_token') {
      const id = [files.generationConfig, files.modelConfig].flatMap((file) => idsOf(asObject(file)[`${name}_id`]))[0];
      text = id === undefined ? undefined : textOf(id);
    }
    if (text !== undefined) texts[name] = text;
  }
  return texts;
}

/** eos of the tokenizer first, then those of generation_config.json, or where that names none, of config.json. */
export function endIdsOf(eosId: number | undefined, files: TokenizerFiles): number[] {
  const generation = idsOf(asObject(files.generationConfig)['eos_token_id']);
  const others = generation.length > 0 ? generation : idsOf(asObject(files.modelConfig)['eos_token_id']);
  return [...new Set([...(eosId === undefined ? [] : [eosId]), ...others])];
}

/** Whose texts begin with bos unless the file says otherwise (defaults of transformers). */
const BEGINS_WITH_BOS = /^(Llama|CodeLlama|Gemma)Tokenizer(Fast)?$/;

/**
 * Whether a text begins with bos: `add_bos_token`, then the post-processor of tokenizer.json, then the class. `add_eos_token`
 * is not followed: an answer always gets its end, a prompt never, or the student would be asked to go on behind it.
 */
export function addsBos(config: JsonObject, postProcessorDoes: boolean): boolean {
  const said = config['add_bos_token'];
  if (typeof said === 'boolean') return said;
  return postProcessorDoes || BEGINS_WITH_BOS.test(String(config['tokenizer_class']));
}

/**
 * tokenizer.json with the flags of `added_tokens_decoder` of tokenizer_config.json, which transformers believes more. An id
 * that the latter has alone is added; a special token without an id stays out: no ids are made up here, because the student
 * has no embedding for them.
 */
export function withAddedTokens(tokenizer: JsonObject, config: JsonObject): JsonObject {
  const listed = Array.isArray(tokenizer['added_tokens']) ? (tokenizer['added_tokens'] as unknown[]) : [];
  const byId = new Map<number, JsonObject>();
  for (const token of listed) if (isJsonObject(token) && isId(token['id'])) byId.set(token['id'], token);
  for (const [key, token] of Object.entries(asObject(config['added_tokens_decoder']))) {
    const id = Number(key);
    if (!isId(id) || !isJsonObject(token) || typeof token['content'] !== 'string') continue;
    byId.set(id, { ...byId.get(id), ...token, id });
  }
  return { ...tokenizer, added_tokens: [...byId.values()].sort((a, b) => Number(a['id']) - Number(b['id'])) };
}

/**
 * The chat template of tokenizer_config.json or chat_template.json: a text, or a list of named ones, of which "default" is
 * taken, else the only one that is not for tools or retrieval.
 */
export function templateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const named = Array.isArray(value)
    ? (value as unknown[]).filter(isJsonObject).map((entry) => [entry['name'], entry['template']] as const)
    : Object.entries(asObject(value));
  const chosen =
    named.find(([name]) => name === 'default') ?? named.find(([name]) => name !== 'tool_use' && name !== 'rag');
  return typeof chosen?.[1] === 'string' ? chosen[1] : undefined;
}
