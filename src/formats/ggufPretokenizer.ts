// ggufPretokenizer.ts: the name (`tokenizer.ggml.pre`) under which llama.cpp knows how a byte-level BPE tokenizer cuts a text
// into words before it merges. A wrong name gives other ids without any error, so an unknown rule has none.
// Source: llama.cpp, conversion/base.py, get_vocab_base_pre (the text, and the sums of its ids); src/llama-vocab.cpp.
import type { JsonObject } from './jsonText';
import { isJsonObject } from './jsonText';
import { sha256Of } from './trainingCheckpoint';

/** The text whose ids tell tokenizers apart. */
const PROBE =
  "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL";

/** SHA-256 of Python's str() of the ids, special tokens included. */
const BY_SUM: Readonly<Record<string, string>> = {
  '0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5': 'llama-bpe',
  c136ed14d01c2745d4f60a9596ae66800e2b61fa45643e72436041855ad4089d: 'smaug-bpe',
  e636dc30a262dcc0d8c323492e32ae2b70728f4df7dfe9737d9f920a282b8aea: 'qwen2',
  d4540891389ea895b53b399da6ac824becc30f2fba0e9ddbb98f92e55ca0e97c: 'qwen2',
  b3f499bb4255f8ca19fccd664443283318f2fd2414d5e0b040fbdd0cc195d6c5: 'deepseek-r1-qwen',
  '855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249': 'smollm',
  '3ce83efda5659b07b1ad37ca97ca5797ea4285d9b9ab0dc679e4a720c9da7454': 'gpt-2',
  '0fe1cf6eda062318a1af7270f3331a85c539a01778ff948e24388e949c5282f4': 'gpt-2',
  '049ecf7629871e3041641907f3de7c733e4dbfdc736f57d882ba0b0845599754': 'deepseek-llm',
  '347715f544604f9118bb75ed199f68779f423cabb20db6de6f31b908d04d7821': 'deepseek-coder',
  '9d032fcbd5501f4a38150912590928bfb36091efb5df11b8e2124b0390e3fb1e': 'falcon3',
  '35d91631860c815f952d711435f48d356ebac988362536bed955d43bfa436e34': 'starcoder',
  '63b97e4253352e6f357cc59ea5b583e3a680eaeaf2632188c2b952de2588485e': 'tekken',
};

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORDS = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/**
 * The same by the rule itself, for a vocabulary that llama.cpp's converter has never seen (a student trained from nothing,
 * say, or one with further tokens): what tokenizer.json says of its pre-tokenizer, as {@link ruleOf} writes it.
 */
const BY_RULE: Readonly<Record<string, string>> = {
  'bytes+words': 'gpt-2',
  'digits; bytes+words': 'smollm',
  [`split ${WORDS('\\p{N}{1,3}')}; bytes`]: 'llama-bpe',
  [`split ${WORDS('\\p{N}')}; bytes`]: 'qwen2',
};

/**
 * @param tokenizer parsed tokenizer.json
 * @param encode ids of a text, special tokens around it included
 * @returns the name, and whether it was found by the rule and not by the ids; undefined where llama.cpp has no such rule
 */
export async function ggufPretokenizer(
  tokenizer: JsonObject,
  encode: (text: string) => readonly number[],
): Promise<{ name: string; by: 'ids' | 'rule' } | undefined> {
  const sum = await sha256Of(new TextEncoder().encode(`[${encode(PROBE).join(', ')}]`));
  if (Object.hasOwn(BY_SUM, sum)) return { name: BY_SUM[sum]!, by: 'ids' };
  const rule = ruleOf(tokenizer['pre_tokenizer']);
  if (rule === undefined || !Object.hasOwn(BY_RULE, rule)) return undefined;
  return { name: BY_RULE[rule]!, by: 'rule' };
}

/** A pre-tokenizer in one line; undefined for parts that no rule here has. */
function ruleOf(value: unknown): string | undefined {
  if (!isJsonObject(value)) return undefined;
  switch (value['type']) {
    case 'Sequence': {
      const parts = Array.isArray(value['pretokenizers']) ? value['pretokenizers'].map(ruleOf) : [undefined];
      return parts.includes(undefined) ? undefined : parts.join('; ');
    }
    case 'ByteLevel':
      if (value['add_prefix_space'] === true) return undefined;
      return value['use_regex'] === false ? 'bytes' : 'bytes+words';
    case 'Digits':
      return value['individual_digits'] === true ? 'digits' : undefined;
    case 'Split': {
      const pattern = isJsonObject(value['pattern']) ? value['pattern']['Regex'] : undefined;
      const plain = value['behavior'] === 'Isolated' && value['invert'] !== true;
      return plain && typeof pattern === 'string' ? `split ${pattern}` : undefined;
    }
    default:
      return undefined;
  }
}
