// answerText.ts: what the extractors of numbers and of options share: their result, where an answer text really ends, and
// the words by which a person takes an answer back.

/** What an extractor found. `rule` names how, for a log; `answer` is absent where the text commits to nothing. */
export interface Extraction {
  answer?: string;
  rule: string;
}

/** Where a person takes an answer back. What follows counts, what came before does not. */
export const REVISION =
  /\b(?:(?:wait|actually|sorry|no|hmm)\s*[,:;.!…—–-]|actually,? (?:it|the|that|i)\b|correction\b|scratch that|let me (?:re-?check|correct|re-?do|try again)|i made an? (?:mistake|error)|on second thought)/giu;

/**
 * A sentence after "the answer is" that declines to answer: "not known", "It depends on …", "impossible to say". What
 * stood before it was on the way, and does not count.
 */
export const UNDECIDED =
  /^[\s"'“:]*(?:(?:it|this|that)(?:'s| is)?\s+)?(?:(?:we|i|you|one)\s+(?:can't|can’t|cannot|can not|don't|don’t|do not)\b|(?:(?:currently|still|really|very|generally|highly|heavily)\s+)*(?:unknown|unclear|uncertain|unsure|undetermined|undefined|inconclusive|indeterminate|ambiguous|debatable|subjective|moot|impossible|difficult|hard to|depend\w*|up to (?:you|the)|based on\b|not (?:known|clear|possible|certain|sure|sufficient|definitive|enough|given|available|provided|as simple|so simple|that simple|always|applicable)|there (?:is|are) (?:not|no)\b|insufficient|both\b|neither\b|maybe|perhaps|n\/a\b))/iu;

/** A text that says "the answer is" more often than this is looked at from its end so far back and no further. */
const MOST_PHRASES = 50;

/** The last phrases of a kind, the last first: a text that repeats one for ever must not cost its length squared. */
export const lastPhrases = (text: string, phrase: RegExp): RegExpExecArray[] =>
  [...text.matchAll(phrase)].slice(-MOST_PHRASES).reverse();

/** A text that runs on into an invented next question ends before it. */
const NEXT_QUESTION = /\n[^\S\n]*(?:Q\d*\s*:|Question\s*\d*\s*:|Problem\s*\d*\s*:|###\s|Below is an instruction)/;

export function withoutNextQuestion(text: string): string {
  const at = text.search(NEXT_QUESTION);
  return at < 0 ? text : text.slice(0, at);
}
