// words.ts: how a text is cut into words. The same rule, as a regular expression, is part of tokenizer.json.
// Line breaks, option letters with their bracket ("A)"), single digits, words, single signs; other white space is dropped.

export const WORD_PATTERN = String.raw`\n|[A-D]\)|\d|[A-Za-z']+|[^\sA-Za-z\d]`;

const PIECES = new RegExp(WORD_PATTERN, 'g');

export const wordPieces = (text: string): string[] => text.match(PIECES) ?? [];
