// solutions.ts: solutions in words. A chain is what a solver works out, right or plausibly wrong; a style puts it in
// words. The teachers speak two of the styles' families, the corpus all of them. Each step is one hop, in an order in
// which it can be derived, and an option's letter comes right after its category, where the student will look for it.
import type { RandomStream } from '../../base/random';
import { LETTERS } from '../extract/choice';
import type { Choice, Option } from './choices';
import { needed } from './choices';
import { chance, pick } from './draw';
import { MOST, sum, type Sign } from './plans';
import type { Story, StoryStep } from './stories';
import { capital } from './world';

export type Problem = Story | Choice;

export interface SumsChain {
  family: 'story';
  steps: readonly StoryStep[];
  answer: number;
}

export interface OptionsChain {
  family: Choice['family'];
  asked: string;
  need: string;
  options: readonly Option[];
  /** Index of the option it ends with. */
  answer: number;
}

export type Chain = SumsChain | OptionsChain;

/** How a chain is put in words. */
export interface Style {
  sums(chain: SumsChain): string;
  options(chain: OptionsChain): string;
}

export const inWords = (style: Style, chain: Chain): string =>
  chain.family === 'story' ? style.sums(chain) : style.options(chain);

/** "D) melon" */
export const optionText = ({ options, answer }: Pick<OptionsChain, 'options' | 'answer'>): string =>
  `${LETTERS[answer]}) ${options[answer]!.name}`;

const equation = ({ left, sign, right, result }: StoryStep): string => `${left} ${sign} ${right} = ${result}`;
const SIGN_WORDS: Readonly<Record<Sign, string>> = { '+': 'plus', '-': 'minus', '*': 'times' };
const has = (owner: string): string => (owner === 'They' ? 'They have' : `${owner} has`);
/** Within a sentence: "They" is a word, a name stays. */
const within = (text: string): string => text.replace(/^They/, 'they');

/** One hop for each option: "A) linen is a fabric A)." */
export const namesOptions = ({ family, options }: Pick<OptionsChain, 'family' | 'options'>): string =>
  options
    .map(
      ({ name, is }, i) => `${LETTERS[i]}) ${name} is ${family === 'kinds' ? needed(family, is) : is} ${LETTERS[i]}).`,
    )
    .join(' ');

const canDo = ({ family, asked }: OptionsChain): string => (family === 'kinds' ? asked : `can ${asked}`);
const takes = (chain: OptionsChain): string => `We need the ${chain.need} ${optionText(chain)}`;

/** The in-family teacher: three wordings. */
export const IN_FAMILY: readonly Style[] = [
  {
    sums: ({ steps, answer }) =>
      `${steps.map((step, i) => `${i === 0 ? 'First' : 'Then'}, ${equation(step)}.`).join(' ')} The answer is ${answer}.`,
    options: (chain) =>
      `The thing that ${canDo(chain)} is ${needed(chain.family, chain.need)}. ${namesOptions(chain)} ` +
      `${takes(chain)}. Therefore the answer is ${optionText(chain)}.`,
  },
  {
    sums: ({ steps, answer }) => {
      const told = steps.map((step, i) =>
        i === 0 ? `We start with ${step.left} and compute ${equation(step)}.` : `Next we compute ${equation(step)}.`,
      );
      return `${told.join(' ')} Therefore the answer is ${answer}.`;
    },
    options: (chain) =>
      `What ${canDo(chain)}? ${capital(needed(chain.family, chain.need))}. ${namesOptions(chain)} ` +
      `${takes(chain)}, so the answer is ${optionText(chain)}.`,
  },
  {
    sums: ({ steps, answer }) => {
      const told = steps.map((step, i) => {
        const says = `${has(step.owner)} ${equation(step)} ${step.things}.`;
        return i === 0 ? says : `After that, ${within(says)}`;
      });
      return `${told.join(' ')} So the answer is ${answer}.`;
    },
    options: (chain) => {
      const need = needed(chain.family, chain.need);
      const opening =
        chain.family === 'kinds'
          ? `${capital(need)} ${chain.asked}, so we need ${need}.`
          : `To ${chain.asked} we need ${need}.`;
      return `${opening} ${namesOptions(chain)} ${takes(chain)}. The answer is ${optionText(chain)}.`;
    },
  },
];

/** The out-family teacher: the same hops in other words. */
export const OUT_FAMILY: readonly Style[] = [
  {
    sums: ({ steps, answer }) => {
      const told = steps.map(
        ({ left, sign, right, result }, i) => `Step ${i + 1}: ${left} ${SIGN_WORDS[sign]} ${right} equals ${result}.`,
      );
      return `${told.join(' ')} Final answer: ${answer}.`;
    },
    options: (chain) => {
      const named = chain.options.map(({ is }, i) => `Option ${is} ${LETTERS[i]}).`).join(' ');
      const need = needed(chain.family, chain.need);
      return (
        `${named} What ${canDo(chain)}? Only ${need}. ` +
        `Choose ${chain.need} ${LETTERS[chain.answer]}). Final answer: ${optionText(chain)}.`
      );
    },
  },
];

/** Terse: what the untuned student may say after the CoT prompt. */
export const SHORT: readonly Style[] = [
  {
    sums: ({ steps, answer }) => `${steps.map((step) => `${equation(step)}.`).join(' ')} The answer is ${answer}.`,
    options: (chain) =>
      `${capital(needed(chain.family, chain.need))} ${chain.family === 'kinds' ? chain.asked : `can ${chain.asked}`}. ` +
      `${namesOptions(chain)} ${takes(chain)}. The answer is ${optionText(chain)}.`,
  },
  {
    sums: ({ steps, answer }) => {
      const told = steps.map(
        (step, i) =>
          `${i === 0 ? '' : 'Now '}${i === 0 ? has(step.owner) : within(has(step.owner))} ${equation(step)}.`,
      );
      return `${told.join(' ')} The answer is ${answer}.`;
    },
    options: (chain) => `${namesOptions(chain)} ${takes(chain)}. The answer is ${optionText(chain)}.`,
  },
];

/** Told as the end of a story: only stories have it. */
export function becauseStyle({ steps, answer }: SumsChain): string {
  const last = steps.at(-1)!;
  const before = steps.slice(0, -1).map((step) => `${has(step.owner)} ${equation(step)} ${step.things}.`);
  const now = `Now ${within(has(last.owner))} ${answer} ${last.things} because ${last.left} ${last.sign} ${last.right} = ${answer}.`;
  return [...before, now].join(' ');
}

/** What a solver works out who makes no mistake. */
export const rightChain = (problem: Problem): Chain =>
  problem.family === 'story'
    ? { family: 'story', steps: problem.steps, answer: problem.answer }
    : { ...problem, family: problem.family };

/**
 * A chain with one plausible mistake, consistent with itself from there on and with another answer at its end. Sums: one
 * step reckoned wrongly (by one or by ten), or with another sign. Options: one that does not fit is taken for what is
 * asked, either because it is said to be of the category that is needed, or because another category is said to be needed.
 */
export function wrongChain(problem: Problem, random: RandomStream): Chain {
  return problem.family === 'story' ? wrongSums(problem, random) : wrongOptions(problem, random);
}

function wrongSums({ steps }: Story, random: RandomStream): SumsChain {
  for (;;) {
    const at = random.nextBelow(steps.length);
    const wrong = steps.map((step) => ({ ...step }));
    const here = wrong[at]!;
    if (chance(random, 0.3) && here.sign !== '*') here.sign = here.sign === '+' ? '-' : '+';
    else here.result += pick(random, [-10, -1, 1, 10]);
    if (here.sign !== steps[at]!.sign) here.result = sum(here.left, here.sign, here.right).result;
    for (let i = at + 1; i < wrong.length; i++) {
      const step = wrong[i]!;
      step.left = wrong[i - 1]!.result;
      step.result = sum(step.left, step.sign, step.right).result;
    }
    // What differs once differs to the end: later steps add, take away or multiply by two or more.
    if (wrong.every(({ result }) => result >= 0 && result <= MOST)) {
      return { family: 'story', steps: wrong, answer: wrong.at(-1)!.result };
    }
  }
}

function wrongOptions(problem: Choice, random: RandomStream): OptionsChain {
  const others = problem.options.map((_, i) => i).filter((i) => i !== problem.answer);
  const taken = pick(random, others);
  const { family, asked, options, need } = problem;
  if (chance(random, 0.5)) return { family, asked, options, need: options[taken]!.is, answer: taken };
  // Said of one option too many, the right one must be said to be something else.
  const swapped = options.map((option, i) => {
    if (i === taken) return { ...option, is: need };
    return i === problem.answer ? { ...option, is: options[taken]!.is } : option;
  });
  return { family, asked, options: swapped, need, answer: taken };
}
