// marks.ts: where a target, and what was read from an answer, are written in a text: for highlighting. It finds spellings and
// judges nothing: whether an answer is right is the scorer's business.

export interface Segment {
  text: string;
  /** The target is written here. */
  target: boolean;
  /** What the extractor read is written here: its last occurrence. */
  answer: boolean;
}

interface Span {
  from: number;
  to: number;
}

const NUMBER = /^[-−]?[\d,]*\.?\d+$/;
const NUMBERS = /[-−]?\d+(?:,\d+)*(?:\.\d+)?/g;
const valueOf = (text: string): number => Number(text.replaceAll(',', '').replace('−', '-'));

/** "D": as an option is named, so that no article and no pronoun is taken for one. */
const optionPattern = (letter: string): RegExp =>
  new RegExp(`\\(?(?<![\\p{L}\\d])${letter}(?:\\)|(?=\\s*$)|(?=[.:,;](?:\\s|$)))`, 'gu');

/** Every place where something is written: a number by its value, an option by its letter, other things word by word. */
export function placesOf(text: string, wanted: string): Span[] {
  const sought = wanted.trim();
  if (sought === '') return [];
  const spans = (pattern: RegExp, holds: (found: string) => boolean = () => true): Span[] =>
    [...text.matchAll(pattern)]
      .filter(([found]) => holds(found))
      .map(({ 0: found, index }) => ({ from: index, to: index + found.length }));
  if (NUMBER.test(sought)) {
    const value = valueOf(sought);
    // "5-7" holds 5 and 7: a sign right behind a digit is none.
    return spans(NUMBERS, (found) => Math.abs(valueOf(found)) === Math.abs(value)).flatMap(({ from, to }) => {
      const isSign = /[-−]/.test(text[from]!);
      const joined = isSign && /[\d)]/.test(text[from - 1] ?? '');
      if (isSign && !joined) return value < 0 ? [{ from, to }] : [];
      return value < 0 ? [] : [{ from: joined ? from + 1 : from, to }];
    });
  }
  if (/^[A-J]$/.test(sought)) return spans(optionPattern(sought));
  const escaped = sought.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return spans(new RegExp(`(?<![\\p{L}\\d])${escaped}(?![\\p{L}\\d])`, 'giu'));
}

/** The text in pieces, so that the pieces joined are the text. */
export function segmentsOf(text: string, target: string, answer?: string | null): Segment[] {
  const targets = placesOf(text, target);
  const read = typeof answer === 'string' ? placesOf(text, answer).slice(-1) : [];
  const cuts = [...new Set([0, text.length, ...[...targets, ...read].flatMap(({ from, to }) => [from, to])])];
  cuts.sort((a, b) => a - b);
  const within = (spans: readonly Span[], from: number, to: number): boolean =>
    spans.some((span) => span.from <= from && to <= span.to);
  return cuts.slice(1).map((to, i) => {
    const from = cuts[i]!;
    return { text: text.slice(from, to), target: within(targets, from, to), answer: within(read, from, to) };
  });
}

/** Which of some texts, joined, touch a place where the target is written. */
export function touchesTarget(texts: readonly string[], target: string): boolean[] {
  const places = placesOf(texts.join(''), target);
  let at = 0;
  return texts.map((text) => {
    const [from, to] = [at, (at += text.length)];
    return places.some((place) => place.from < to && from < place.to);
  });
}

/**
 * A text in blocks of at most so many characters, cut at line breaks where there are any: laying out a word of a million
 * letters as one line takes a browser many seconds. Joined they are the text without the line breaks that were cut at.
 */
export function blocksOf(text: string, most = 8000): string[] {
  const out: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + most);
    const broken = end < text.length ? text.lastIndexOf('\n', end) : -1;
    if (broken > start) {
      out.push(text.slice(start, broken));
      start = broken + 1;
      continue;
    }
    if (end < text.length && /[\uD800-\uDBFF]/.test(text[end - 1]!)) end--; // both halves of a sign beyond the BMP
    out.push(text.slice(start, end));
    start = end;
  }
  return out;
}
