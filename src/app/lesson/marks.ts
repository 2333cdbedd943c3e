// marks.ts: where an answer names its target, for highlighting: a number as a whole number, a letter as an option's letter. It
// judges nothing; whether an answer is right is the extractor's to say.

export interface Piece {
  text: string;
  marked: boolean;
}

/** The text in pieces, in order; those that are the target are marked. */
export function markTarget(text: string, target: string): Piece[] {
  const wanted = target.trim();
  if (wanted === '' || wanted.length > 60) return [{ text, marked: false }];
  const literal = wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const isLetter = /^[A-Z]$/.test(wanted);
  // "12" is not in "3125", nor in "1.12"; and the A of an option is not the word "A".
  const pattern = isLetter
    ? new RegExp(`(?<![\\p{L}\\d])${literal}(?=\\)|[.,;]?\\s*$)`, 'gu')
    : new RegExp(`(?<![\\p{L}\\d]|\\d[.,])${literal}(?![\\p{L}\\d]|[.,]\\d)`, 'gu');
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) pieces.push({ text: text.slice(at, match.index), marked: false });
    pieces.push({ text: match[0], marked: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), marked: false });
  return pieces;
}

/** A beginning of a text in whole characters, emoji with their modifiers included. */
export function beginning(text: string, count: number): string {
  if (count <= 0) return '';
  const segments = new Intl.Segmenter().segment(text);
  let taken = 0;
  for (const { index } of segments) if (taken++ === count) return text.slice(0, index);
  return text;
}
