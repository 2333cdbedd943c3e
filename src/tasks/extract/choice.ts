// choice.ts: the option that an answer text commits to. Strict: a text that names several options without deciding has
// no answer. It reads text only; whether the option is right is decided in score.ts.
import { lastPhrases, REVISION, withoutNextQuestion } from './answerText';
import type { Extraction } from './answerText';

export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

const ANSWER_PHRASE =
  /\b(?:(?:final |correct |right |best )?(?:answer|option|choice)(?: to [^.\n]{0,80}?| from [^.\n]{0,40}?| here| choice| option)?\s*(?:(?:is|was|be|should be|would be|will be|must be)\b|[:=])|(?:i|we)(?: would| will|'d|'ll)? (?:choose|pick|select|go with)\b|choose\b)/giu;

/** Begins a reason, in which other options may be named. */
const REASON = /\b(?:because|since|while|whereas|given that)\b/i;

/** A mention that is ruled out: "not B", "rather than (B)". */
const NEGATION =
  /(?:\bnot|\brather than|\binstead of|n't be|n't|\bneither|\bnor|\bexcept)[*_]*\s+(?:option |choice |the |answer )*[*_]*\(?$/i;

/** Whether the words right before a mention exclude it. */
const isRuledOut = (text: string, at: number): boolean => NEGATION.test(text.slice(Math.max(0, at - 60), at));

/** What says of the letter before it that it is not the answer: "B is wrong", "B) is not correct". */
const REJECTED =
  /^[)*_]*\s+(?:is|was)(?:\s+(?:wrong|incorrect|false|eliminated|ruled out)\b|(?:n't|n’t|\s+not)\s+(?:the )?(?:right|correct|best|true|answer)\b)/i;

interface Mention {
  letter: string;
  start: number;
}

const LETTER_PATTERNS = new Map<string, RegExp>();

function letterPattern(letters: string): RegExp {
  return new RegExp(
    `(?<![\\p{L}\\d'’])(?:\\(([${letters}${letters.toLowerCase()}])\\)|([${letters}${letters.toLowerCase()}])\\)|(?<!\\p{L}\\.)([${letters}])(?![\\p{L}\\d'’]|\\.\\p{L}))`,
    'gu',
  );
}

/**
 * Option letters named in option form: "(B)", "B)", "b)", "B.", "B:", "option B", or a bare capital. Small letters count
 * with a bracket only; a bare capital "A" before a word is an article unless that word begins option A's text; and a bare
 * capital inside an abbreviation ("D.C.") or inside an option's text ("vitamin C") is part of that.
 */
function findLetters(text: string, choices: readonly string[] | undefined, optionCount: number): Mention[] {
  const letters = LETTERS.slice(0, optionCount);
  let pattern = LETTER_PATTERNS.get(letters);
  if (pattern === undefined) LETTER_PATTERNS.set(letters, (pattern = letterPattern(letters)));
  const found: Mention[] = [];
  let spans: Span[] | undefined; // found when first needed: most texts write brackets
  for (const match of text.matchAll(pattern)) {
    const bare = match[3];
    if (bare !== undefined) {
      spans ??= optionSpans(
        text,
        (choices ?? []).map((choice) => (choice.trim().length > 1 ? choice : '')),
      );
      if (spans.some((span) => span.start <= match.index && match.index < span.end)) continue;
    }
    const letter = (match[1] ?? match[2] ?? bare)!.toUpperCase();
    if (isRuledOut(text, match.index)) continue;
    const rest = text.slice(match.index + match[0].length, match.index + match[0].length + 60);
    if (REJECTED.test(rest)) continue;
    if (bare === 'A') {
      const after = text.slice(match.index + 1, match.index + 200);
      const isArticle = /^\s+(?!(?:or|and|is|was|because|since|but|as|which|for|to|would|fits|seems)\b)\p{L}/u.test(
        after,
      );
      const own = choices?.[0]?.trim().toLowerCase();
      const namesOwnOption =
        own !== undefined && own !== '' && startsWithWords(after.trimStart().toLowerCase(), own.slice(0, 100));
      const saysOption = /\b(?:option|choice|letter)\s+$/i.test(text.slice(Math.max(0, match.index - 20), match.index));
      if (isArticle && !namesOwnOption && !saysOption) continue;
    }
    found.push({ letter, start: match.index });
  }
  return found;
}

/** Whether a text begins with another and goes on with a new word: "wooden" does not begin with "wood". */
const startsWithWords = (text: string, start: string): boolean =>
  text.startsWith(start) && !/^[\p{L}\d]/u.test(text.slice(start.length));

interface Span {
  letter: string;
  text: string;
  start: number;
  end: number;
}

/** Where option texts occur as whole words. Blank texts occur nowhere. */
function optionSpans(text: string, choices: readonly string[]): Span[] {
  const spans: Span[] = [];
  const lower = text.toLowerCase();
  choices.forEach((choice, i) => {
    const wanted = choice.trim();
    // Cheap first: a regular expression is built only where it may match.
    if (wanted === '' || !lower.includes(wanted.toLowerCase().split(/\s/, 1)[0]!)) return;
    const escaped = wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+');
    for (const match of text.matchAll(new RegExp(`(?<![\\p{L}\\d])${escaped}(?![\\p{L}\\d])`, 'giu'))) {
      spans.push({ letter: LETTERS[i]!, text: wanted, start: match.index, end: match.index + match[0].length });
    }
  });
  return spans;
}

/** Letters of the options whose text is named; a mention inside a longer option's mention is not counted. */
function findOptionTexts(text: string, choices: readonly string[]): string[] {
  const spans = optionSpans(text, choices).filter((span) => !isRuledOut(text, span.start));
  const outer = spans.filter(
    (span) =>
      !spans.some(
        (other) =>
          other.start <= span.start && other.end >= span.end && other.end - other.start > span.end - span.start,
      ),
  );
  // Two options of the same text (they occur in CommonsenseQA) count as one, under the first letter.
  const firstOfText = new Map<string, string>();
  for (const span of outer) {
    const key = span.text.toLowerCase();
    const known = firstOfText.get(key);
    if (known === undefined || span.letter < known) firstOfText.set(key, span.letter);
  }
  return [...firstOfText.values()];
}

const distinct = (mentions: readonly Mention[]): string[] => [...new Set(mentions.map((mention) => mention.letter))];

/**
 * The option that a text gives as its answer, as a letter. In this order, on the text after the last revision and before
 * any invented next question: the sentence after the last "answer is" (its one letter, else its one option text); a
 * first line that is nothing but an option, unless it begins the list of all of them; a last sentence that concludes ("therefore …") with one letter; the only
 * letter of the text; the only option text of the text. Where letter and option text disagree the letter counts: it is
 * what the prompt asks for.
 *
 * @param optionCount how many options there are; letters beyond them do not count.
 */
export function extractChoice(text: string, choices: readonly string[] | undefined, optionCount: number): Extraction {
  const own = withoutNextQuestion(text).trim();
  if (own === '') return { rule: 'empty text' };
  const all = findLetters(own, choices, optionCount);

  let revised: string | undefined;
  for (const match of own.matchAll(REVISION)) {
    if (all.some((mention) => mention.start < match.index)) revised = own.slice(match.index + match[0].length);
  }
  if (revised !== undefined) {
    const inner = decide(revised, choices, optionCount);
    if (inner.answer !== undefined || inner.rule.includes('several'))
      return { ...inner, rule: `revised: ${inner.rule}` };
  }
  return decide(own, choices, optionCount);
}

function decide(text: string, choices: readonly string[] | undefined, optionCount: number): Extraction {
  for (const phrase of lastPhrases(text, ANSWER_PHRASE)) {
    const after = text.slice(phrase.index + phrase[0].length);
    if (/^\s*(?:not|n't)\b/i.test(after)) continue;
    const sentence = optionSentence(after);
    let letters = distinct(findLetters(sentence, choices, optionCount));
    // A small letter that is the whole sentence; a text may be cut off after the article "a".
    const alone = /^[\s"'“*_:]*([b-z]|a(?=[.!"'”*_]))[\s"'”*_]*[.!]?[\s"'”*_]*$/.exec(sentence)?.[1]?.toUpperCase();
    if (alone !== undefined && LETTERS.slice(0, optionCount).includes(alone)) letters = [alone];
    if (letters.length > 1) letters = distinct(findLetters(sentence.split(REASON, 1)[0]!, choices, optionCount));
    if (letters.length === 1) return { answer: letters[0]!, rule: 'answer phrase' };
    if (letters.length > 1) return { rule: 'answer phrase, several options' };
    const texts = choices === undefined ? [] : findOptionTexts(sentence, choices);
    if (texts.length === 1) return { answer: texts[0]!, rule: 'answer phrase, option text' };
    if (texts.length > 1) return { rule: 'answer phrase, several options' };
  }

  const firstLine = text.slice(0, text.indexOf('\n') < 0 ? text.length : text.indexOf('\n')).trim();
  const opening = /^\(?([A-Za-z])(?:[).:]|\)\.|$)\s*(.*)$/.exec(firstLine);
  if (opening !== null) {
    const index = LETTERS.indexOf(opening[1]!.toUpperCase());
    const rest = opening[2]!.trim().replace(/[.!]$/, '').toLowerCase();
    const isOwnText = choices?.[index]?.trim().toLowerCase() === rest;
    const isList = index === 0 && /^[^\n]*\n\s*\(?[Bb](?:[).:]|\s*(?:\n|$))/.test(text);
    if (index >= 0 && index < optionCount && (rest === '' || isOwnText) && !isList) {
      return { answer: LETTERS[index]!, rule: 'first line is an option' };
    }
  }

  const sentences = text.split(/(?<=[.!?])\s+(?=\p{Lu})|\n+/u).filter((sentence) => sentence.trim() !== '');
  const last = sentences.at(-1) ?? '';
  if (/^\s*(?:therefore|thus|hence|so|in conclusion|finally)\b/i.test(last)) {
    const letters = distinct(findLetters(last, choices, optionCount));
    if (letters.length === 1) return { answer: letters[0]!, rule: 'conclusion' };
  }

  const letters = distinct(findLetters(text, choices, optionCount));
  if (letters.length === 1) return { answer: letters[0]!, rule: 'only letter' };
  if (letters.length > 1) return { rule: 'several options' };
  const texts = choices === undefined ? [] : findOptionTexts(text, choices);
  if (texts.length === 1) return { answer: texts[0]!, rule: 'only option text' };
  return { rule: texts.length > 1 ? 'several option texts' : 'nothing found' };
}

/** Text up to the end of its first sentence, where "B." and "(b)." are no ends. */
function optionSentence(text: string): string {
  const end = /(?<=\p{L}{2}|\d|\))[.!?](?=\s|$)|(?<=\s\p{L})[.!?](?=\s+\p{Lu})|\n[^\S\n]*\n/u.exec(text);
  return end === null ? text : text.slice(0, end.index + 1);
}
