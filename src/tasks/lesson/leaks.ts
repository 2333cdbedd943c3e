// leaks.ts: looks for held-out questions in texts that a student is trained on: by content, by the words of the question,
// and for options by what is asked together with the options, however they are listed. It trusts no generator's word.
import { LETTERS } from '../extract/choice';
import { contentOfChoice } from './choices';
import type { LessonItem } from './families';
import { partOf, type Part } from './parts';
import { KINDS, QUALITIES } from './world';

/** A held-out question found in a text. */
export interface Leak {
  how: 'content' | 'question' | 'options';
  what: string;
}

const plain = (text: string): string => text.toLowerCase().split(/\s+/).join(' ');

const ASKS = [...KINDS.flatMap(({ properties }) => properties), ...QUALITIES.flatMap(({ jobs }) => jobs)];

/** "A) melon" or "A) melon is …": options as they are listed in prompts, in prose and in chains. */
const LISTED = new RegExp(String.raw`\b([${LETTERS.slice(0, 4)}])\) ([a-z]+)`, 'g');

/**
 * What is held out: the questions of items, and every content of their parts, whether an item was made of it or not.
 */
export class HeldOut {
  private readonly questions = new Map<string, string>();

  /** @param parts whose contents may not occur. */
  constructor(
    items: readonly LessonItem[],
    readonly parts: readonly Part[],
  ) {
    for (const { question, choices } of items) {
      // The bare words of a question with options are in every fact: only with its options is it a question.
      if (choices === undefined) this.questions.set(plain(question), question);
    }
  }

  private isHeldOut(content: string): boolean {
    return this.parts.includes(partOf(content));
  }

  /** @param contents of the questions in the text, as its maker says. */
  find(text: string, contents: readonly string[] = []): Leak[] {
    const leaks: Leak[] = [];
    for (const content of contents) if (this.isHeldOut(content)) leaks.push({ how: 'content', what: content });
    for (const question of askedStories(text)) {
      const known = this.questions.get(plain(question));
      if (known !== undefined) leaks.push({ how: 'question', what: known });
    }
    for (const content of askedOptions(text))
      if (this.isHeldOut(content)) leaks.push({ how: 'options', what: content });
    return leaks;
  }
}

/** Everything that may be a story with its question: from the text's start, a line's start or "Question:" to a "?". */
function askedStories(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const told = line.replace(/^Question: /, '');
    for (let end = told.indexOf('?'); end >= 0; end = told.indexOf('?', end + 1)) found.push(told.slice(0, end + 1));
  }
  return found;
}

/** Contents of every property or job that a text names, with every set of options that it lists. */
function askedOptions(text: string): string[] {
  const names = new Map<string, string>();
  for (const [, letter, name] of text.matchAll(LISTED)) if (!names.has(letter!)) names.set(letter!, name!);
  if (names.size < 2) return [];
  return ASKS.filter((asked) => text.includes(asked)).map((asked) => contentOfChoice(asked, [...names.values()]));
}
