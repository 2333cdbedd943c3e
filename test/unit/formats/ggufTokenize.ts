// ggufTokenize.ts: ids of a text from a GGUF file's metadata alone, as llama.cpp finds them (src/llama-vocab.cpp:
// llm_tokenizer_spm, llm_tokenizer_bpe), written anew and slowly. Special tokens inside the text are not looked for.
// Tests only.
import type { ReadGguf } from './ggufReader';

/** Merges the best neighbours until none can be merged; `score` is undefined where a pair does not merge. */
function merge(symbols: string[], score: (left: string, right: string) => number | undefined): string[] {
  for (;;) {
    let best = -1;
    let most = -Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const value = score(symbols[i]!, symbols[i + 1]!);
      if (value !== undefined && value > most) [best, most] = [i, value]; // the first of equals
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
}

const known = new WeakMap<object, ReadonlyMap<string, number>>();

/** Where each text is in a list; made once for each list. */
function placesOf(texts: readonly string[]): ReadonlyMap<string, number> {
  const found = known.get(texts) ?? new Map(texts.map((text, i) => [text, i]));
  known.set(texts, found);
  return found;
}

/** `tokenizer.ggml.model` llama. */
function pieces(text: string, metadata: ReadGguf['metadata']): number[] {
  const tokens = metadata.get('tokenizer.ggml.tokens')!.value as string[];
  const scores = metadata.get('tokenizer.ggml.scores')!.value as number[];
  const types = metadata.get('tokenizer.ggml.token_type')!.value as number[];
  const ids = placesOf(tokens);
  const prefixed = metadata.get('tokenizer.ggml.add_space_prefix')!.value === true && text !== '' ? ` ${text}` : text;
  const merged = merge(Array.from(prefixed.replaceAll(' ', '▁')), (left, right) => {
    const id = ids.get(left + right);
    return id === undefined ? undefined : scores[id];
  });
  return merged.flatMap((piece) => {
    const id = ids.get(piece);
    if (id !== undefined) return [id];
    return Array.from(new TextEncoder().encode(piece), (byte) => {
      const token = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)!;
      if (types[token] !== 6) throw new Error(`${tokens[token]} is no byte token`);
      return token;
    });
  });
}

/** The expressions of llama.cpp's pre-tokenizers, applied one after the other to what the last one left. */
const WORDS =
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|DIGITS| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const EXPRESSIONS: Record<string, string[]> = {
  'gpt-2': [GPT2],
  smollm: ['\\p{N}', GPT2],
  qwen2: [WORDS.replace('DIGITS', '\\p{N}')],
  'llama-bpe': [WORDS.replace('DIGITS', '\\p{N}{1,3}')],
};

/** The letters that stand for bytes in byte-level vocabularies (GPT-2, encoder.py). */
const LETTERS = (() => {
  const letters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    letters.push(String.fromCharCode(visible ? byte : next++));
  }
  return letters;
})();

/** `tokenizer.ggml.model` gpt2. */
function bytes(text: string, metadata: ReadGguf['metadata']): number[] {
  const tokens = metadata.get('tokenizer.ggml.tokens')!.value as string[];
  const ids = placesOf(tokens);
  const ranks = placesOf(metadata.get('tokenizer.ggml.merges')!.value as string[]);
  const expressions = EXPRESSIONS[metadata.get('tokenizer.ggml.pre')!.value as string]!;
  let words = [text];
  for (const expression of expressions) {
    const pattern = new RegExp(expression, 'gu');
    words = words.flatMap((word) => {
      const parts: string[] = [];
      let end = 0;
      for (const match of word.matchAll(pattern)) {
        if (match.index > end) parts.push(word.slice(end, match.index));
        parts.push(match[0]);
        end = match.index + match[0].length;
      }
      if (end < word.length) parts.push(word.slice(end));
      return parts;
    });
  }
  return words.flatMap((word) => {
    const letters = Array.from(new TextEncoder().encode(word), (byte) => LETTERS[byte]!);
    const merged = merge(letters, (left, right) => {
      const rank = ranks.get(`${left} ${right}`);
      return rank === undefined ? undefined : -rank;
    });
    return merged.map((piece) => ids.get(piece)!);
  });
}

/** Ids without special tokens around them. */
export function ggufTokenize(metadata: ReadGguf['metadata'], text: string): number[] {
  const kind = metadata.get('tokenizer.ggml.model')!.value;
  return kind === 'llama' ? pieces(text, metadata) : bytes(text, metadata);
}
