// yesNo.ts: whether an answer text commits to yes or to no. Strict: only the words count, never what an argument implies.
// "No" is read as an answer where it stands as one, not where it is part of a sentence ("no evidence", "no one"). It
// reads text only; whether the answer is right is decided in score.ts.
import { lastPhrases, UNDECIDED, withoutNextQuestion } from './answerText';
import type { Extraction } from './answerText';

type YesNo = 'yes' | 'no';

const ANSWER_PHRASE =
  /\b(?:(?:final |correct |right |short |best )?answer(?: to [^.\n]{0,80}?| here| then)?(?:\s+(?:(?:is|was)\b(?:n't)?|(?:would|should|must|will) be\b)|\s*[:=])|(?:i|we)(?:'d| would)? (?:say|answer)\b)/giu;

// Not the list of answerText.ts: there "no," takes an answer back, here it is one.
const REVISION =
  /\b(?:(?:wait|sorry|hmm)\s*[,:;.!…—–-]+|actually\b,?|correction\b:?|scratch that|let me (?:re-?check|correct|re-?do|try again)|i made an? (?:mistake|error)|on second thought)/giu;

/** "Yes or no", as a prompt says it and answers repeat it, is neither. */
const BOTH =
  /[("'[]{0,3}\b(?:yes|true)\b["'*]*\s*(?:\bor\b|\band\b|\/)\s*["'*]*(?:no|false)\b["')\]]*|\b(?:no|false)\s*(?:\bor\b|\/)\s*(?:yes|true)\b/giu;

/** What may follow "no" where it is an answer: an end, or a word that goes on from it. */
const AFTER_NO =
  /^["'”’*_)\]}<]*(?:\s*(?:$|[.,;:!?—–\n(<*-])|\s+(?:because|since|as|for|but|and|he|she|it|they|you|we|i|not|this|that)\b)/iu;

const HEDGED =
  /\b(?:not|n't|n’t|isn't|neither|nor|rather than|instead of|either)\s+(?:a |simply |necessarily |always )*["'“‘*(]*$/iu;

interface Mention {
  answer: YesNo;
  start: number;
}

/** The answers in a text, in order. "True", "false" and single letters are answers only where a text begins with them. */
function mentions(text: string): Mention[] {
  const found: Mention[] = [];
  for (const match of text.matchAll(/(?<![\p{L}\d'’-])(yes|no|nope|yeah|yep)(?![\p{L}\d'’])/giu)) {
    const answer: YesNo = /^n/i.test(match[1]!) ? 'no' : 'yes';
    const after = text.slice(match.index + match[0].length, match.index + match[0].length + 20);
    if (answer === 'no' && !AFTER_NO.test(after)) continue;
    if (HEDGED.test(text.slice(Math.max(0, match.index - 40), match.index))) continue;
    found.push({ answer, start: match.index });
  }
  return found;
}

const distinct = (found: readonly Mention[]): YesNo[] => [...new Set(found.map(({ answer }) => answer))];

/** The answer a text begins with, after marks and quotes: yes, no, true, false, or one letter alone. */
function leading(text: string): YesNo | undefined {
  const [, word, after] =
    /^[\s"'“‘*_([{<>`:#-]*(yes|no|nope|yeah|yep|true|false|correct|incorrect|[yn](?=[\s.)*"']*$))(?![\p{L}\d'’-])([^]*)$/iu.exec(
      text,
    ) ?? [];
  if (word === undefined) return undefined;
  if (/^(?:y|t|correct)/i.test(word)) return 'yes';
  return /^no/i.test(word) && !AFTER_NO.test(after!.slice(0, 20)) ? undefined : 'no';
}

/** Text up to the end of its first sentence. */
function firstSentence(text: string): string {
  const end = /[.!?](?=\s|$)|\n[^\S\n]*\n/u.exec(text);
  return end === null ? text : text.slice(0, end.index + 1);
}

/**
 * Whether a text answers yes or no. In this order, on the text before any invented next question and after the last
 * revision ("wait, …"): the sentence after the last "answer is" (the answer it begins with, else its only one); a last
 * sentence that concludes ("so …, yes") with one answer; the answer the text begins with; the only answer of the text.
 * "Not known", "it depends", and an argument that only implies an answer are none.
 */
export function extractYesNo(text: string): Extraction {
  const own = withoutNextQuestion(text)
    .replace(BOTH, (both) => ' '.repeat(both.length))
    .trim();
  if (own === '') return { rule: 'empty text' };
  const all = mentions(own);
  let revised: string | undefined;
  for (const match of own.matchAll(REVISION)) {
    if (all.some(({ start }) => start < match.index)) revised = own.slice(match.index + match[0].length);
  }
  if (revised !== undefined) {
    const inner = decide(revised);
    if (inner.answer !== undefined || inner.rule.includes('both')) return { ...inner, rule: `revised: ${inner.rule}` };
  }
  return decide(own);
}

function decide(text: string): Extraction {
  for (const phrase of lastPhrases(text, ANSWER_PHRASE)) {
    const after = text.slice(phrase.index + phrase[0].length).replace(/^[\s:]+/, '');
    const first = /n't$/i.test(phrase[0]) ? undefined : leading(after);
    if (first !== undefined) return { answer: first, rule: 'answer phrase' };
    const sentence = firstSentence(after);
    const answers = distinct(mentions(sentence));
    if (answers.length === 1) return { answer: answers[0]!, rule: 'answer phrase' };
    if (answers.length > 1) return { rule: 'answer phrase, both yes and no' };
    if (!UNDECIDED.test(sentence)) continue;
    // "The answer is based on …" may still be followed by a line that answers.
    const lines = after.slice(sentence.length).split('\n').map(leading);
    const later = [...new Set(lines.filter((answer) => answer !== undefined))];
    return later.length === 1 ? { answer: later[0]!, rule: 'a later line' } : { rule: 'answer phrase, undecided' };
  }

  const last = text.split(/(?<=[.!?])\s+(?=\p{Lu})|\n+/u).findLast((sentence) => sentence.trim() !== '') ?? '';
  if (/^\s*(?:therefore|thus|hence|so|in conclusion|finally)\b/i.test(last)) {
    const answers = distinct(mentions(last));
    if (answers.length === 1) return { answer: answers[0]!, rule: 'conclusion' };
  }

  const first = leading(text);
  if (first !== undefined) return { answer: first, rule: 'first word' };

  const answers = distinct(mentions(text));
  if (answers.length === 1) return { answer: answers[0]!, rule: 'only answer' };
  return { rule: answers.length > 1 ? 'both yes and no' : 'nothing found' };
}
