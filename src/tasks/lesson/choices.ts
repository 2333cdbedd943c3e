// choices.ts: the two families with options: which of four things has a property (kinds), which of two tools does a job
// (tools). Both take two hops: from what is asked to the category or quality that is needed, and from each option to its
// own. How they are solved in words is in solutions.ts.
import type { RandomStream } from '../../base/random';
import { pick, several } from './draw';
import { KINDS, QUALITIES, withArticle } from './world';

export interface Option {
  name: string;
  /** Its category ("fish") or quality ("sharp"). */
  is: string;
}

/** A question before it is worded. */
export interface ChoicePlan {
  family: 'kinds' | 'tools';
  /** "has fins", or the job: "cut paper". */
  asked: string;
  /** The category or quality that it takes. */
  need: string;
  right: Option;
  wrong: Option[];
  /** What is held out: what is asked together with the set of options. Never a pair of what is asked and one option. */
  content: string;
}

export interface Choice extends ChoicePlan {
  question: string;
  /** In letter order. */
  options: Option[];
  /** Index of the right one. */
  answer: number;
}

interface Group {
  is: string;
  names: readonly string[];
  asks: readonly string[];
}

/** Both families alike: what the options are, what they are called, and what can be asked for. */
const GROUPS: Readonly<Record<Choice['family'], readonly Group[]>> = {
  kinds: KINDS.map(({ name, members, properties }) => ({ is: name, names: members, asks: properties })),
  tools: QUALITIES.map(({ name, tools, jobs }) => ({ is: name, names: tools, asks: jobs })),
};

export const OPTION_COUNT: Readonly<Record<Choice['family'], number>> = { kinds: 4, tools: 2 };

/** The content of a question with options: their order does not matter. */
export const contentOfChoice = (asked: string, names: readonly string[]): string =>
  `${asked}: ${names.slice().sort().join(' ')}`;

/**
 * What is asked and which options there are; every option of another category or quality.
 * @param asks how many of a group's properties or jobs may be asked for, from the first; all where not given.
 */
export function planChoice(random: RandomStream, family: Choice['family'], asks = Infinity): ChoicePlan {
  const groups = several(random, GROUPS[family], OPTION_COUNT[family]);
  const [right, ...wrong] = groups.map(({ is, names }) => ({ is, name: pick(random, names) })) as [Option, ...Option[]];
  const asked = pick(random, groups[0]!.asks.slice(0, asks));
  const content = contentOfChoice(asked, [right.name, ...wrong.map((option) => option.name)]);
  return { family, asked, need: right.is, right, wrong, content };
}

const QUESTIONS: Readonly<Record<Choice['family'], readonly ((asked: string) => string)[]>> = {
  kinds: [
    (asked) => `What ${asked}?`,
    (asked) => `Which of these ${asked}?`,
    (asked) => `Which one ${asked}?`,
    (asked) => `Which thing ${asked}?`,
  ],
  tools: [
    (asked) => `How do you ${asked}?`,
    (asked) => `What helps you ${asked}?`,
    (asked) => `To ${asked}, what should you use?`,
    (asked) => `You want to ${asked}. What do you take?`,
  ],
};

/** A question in words, the right option at a given place (a random one where none is given). */
export function wordChoice(random: RandomStream, plan: ChoicePlan, place?: number): Choice {
  const answer = place ?? random.nextBelow(plan.wrong.length + 1);
  const options = random.shuffled(plan.wrong);
  options.splice(answer, 0, plan.right);
  return { ...plan, question: pick(random, QUESTIONS[plan.family])(plan.asked), options, answer };
}

/** "a fish", "a sharp thing". */
export const needed = (family: Choice['family'], is: string): string =>
  family === 'kinds' ? withArticle(is) : `${withArticle(is)} thing`;
