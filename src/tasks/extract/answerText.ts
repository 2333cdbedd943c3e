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

/** A text that runs on into an invented next question ends before it. */
const NEXT_QUESTION = /\n[^\S\n]*(?:Q\d*\s*:|Question\s*\d*\s*:|Problem\s*\d*\s*:|###\s|Below is an instruction)/;

export function withoutNextQuestion(text: string): string {
  const at = text.search(NEXT_QUESTION);
  return at < 0 ? text : text.slice(0, at);
}
