// askable.ts: whether a student can be asked a question that a person typed: which words its vocabulary lacks, after small
// slips of case are mended. It asks nobody; what the student would answer is not its business.
import type { TextTokenizer } from './tokenizer';

export interface AskableQuestion {
  /** The question with words in the case in which the vocabulary has them: "tom has 3 Apples" → "Tom has 3 apples". */
  text: string;
  /** Words that it lacks in any case, in order of appearance. */
  unknown: string[];
}

/** Escaped for a regular expression. */
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A typed question as this student would read it. */
export function askable(tokenizer: TextTokenizer, question: string): AskableQuestion {
  let text = question.trim();
  const unknown: string[] = [];
  for (const word of tokenizer.unknownPieces(text)) {
    const lower = word.toLowerCase();
    const other = [lower, lower.charAt(0).toUpperCase() + lower.slice(1)].find(
      (form) => form !== word && tokenizer.unknownPieces(form).length === 0,
    );
    if (other === undefined) unknown.push(word);
    else text = text.replace(new RegExp(`(?<![\\p{L}'])${escaped(word)}(?![\\p{L}'])`, 'gu'), other);
  }
  return { text, unknown };
}

/** What to say in place of an answer: 'I do not know the words "quokka" and "hops".' */
export function unknownWordsReply(unknown: readonly string[]): string {
  const quoted = unknown.map((word) => `"${word}"`);
  const list = quoted.length > 1 ? `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}` : (quoted[0] ?? '');
  return `I do not know the word${unknown.length > 1 ? 's' : ''} ${list}.`;
}
