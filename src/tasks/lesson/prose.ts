// prose.ts: documents of the pretraining corpus without the paper's prompts: arithmetic, stories with their solutions,
// facts in both directions, copying and looking up. No document holds a question that is held out.
import type { RandomStream } from '../../base/random';
import { LETTERS } from '../extract/choice';
import { OPTION_COUNT, planChoice, wordChoice, type Choice, type ChoicePlan } from './choices';
import { between, chance, pick, several, weighted } from './draw';
import { drawSteps, type StepMix } from './families';
import { partOf } from './parts';
import { contentOfSums, MOST, planStory, sum, type Sum } from './plans';
import { becauseStyle, IN_FAMILY, inWords, namesOptions, OUT_FAMILY, rightChain, SHORT, type Style } from './solutions';
import { tellStory, type Story } from './stories';
import { capital, CONTAINERS, KINDS, PEOPLE, QUALITIES, THINGS, withArticle } from './world';

/** A text and the contents of all questions in it. */
export interface Written {
  text: string;
  contents: string[];
}

/** A story of the pretraining part. */
export function drawStory(random: RandomStream, steps: StepMix): Story {
  for (;;) {
    const plan = planStory(random, drawSteps(random, steps));
    if (partOf(plan.content) === 'pretraining') return tellStory(random, plan);
  }
}

/** A question with options of the pretraining part. */
export function drawChoice(random: RandomStream, family: Choice['family'], asks?: number): Choice {
  for (;;) {
    const plan = planChoice(random, family, asks);
    if (partOf(plan.content) === 'pretraining') return wordChoice(random, plan);
  }
}

// Arithmetic

const WORD_OF = { '+': 'plus', '-': 'minus', '*': 'times' } as const;

/** Any sum of 0 … 99: small second numbers most of the time, since they are what stories have. */
function bareSum(random: RandomStream, left?: number): Sum {
  for (;;) {
    const sign = pick(random, ['+', '+', '-', '-', '*'] as const);
    if (sign === '*') {
      const factors = [left ?? factor(random), factor(random)] as const;
      if (factors[0] <= 10 && factors[0] * factors[1] <= MOST) return sum(factors[0], sign, factors[1]);
    } else {
      const first = left ?? between(random, 0, MOST);
      const room = sign === '+' ? MOST - first : first;
      return sum(first, sign, between(random, 0, chance(random, 0.7) ? Math.min(20, room) : room));
    }
  }
}

const factor = (random: RandomStream): number => (chance(random, 0.1) ? between(random, 0, 10) : between(random, 2, 9));

export function arithmetic(random: RandomStream): Written {
  const texts: string[] = [];
  const contents: string[] = [];
  const count = between(random, 5, 10);
  let before: Sum[] = [];
  while (texts.length < count) {
    const next = bareSum(random, before.length > 0 && chance(random, 0.3) ? before.at(-1)!.result : undefined);
    // A sum that goes on from the one before makes a chain, and a chain may be held out.
    const chain = before.length > 0 && before.at(-1)!.result === next.left ? [...before, next] : [next];
    const ends = chain.map((_, i) => contentOfSums(chain.slice(i))).slice(0, -1);
    if (ends.some((content) => partOf(content) !== 'pretraining')) continue;
    contents.push(...ends);
    before = chain;
    const { left, sign, right, result } = next;
    if (chance(random, 0.25)) texts.push(`${left} ${WORD_OF[sign]} ${right} equals ${result}.`);
    else if (chance(random, 0.1)) texts.push(`What is ${left} ${sign} ${right}? ${result}.`);
    else texts.push(`${left} ${sign} ${right} = ${result}.`);
  }
  return { text: texts.join(' '), contents };
}

// Stories and questions with their solutions

/** How often a document of this kind is about options. */
const OPTIONS_SHARE = 0.25;

const anyStyle = (random: RandomStream): Style =>
  pick(random, pick(random, [IN_FAMILY, IN_FAMILY, IN_FAMILY, OUT_FAMILY, OUT_FAMILY, SHORT]));

export function solved(random: RandomStream, steps: StepMix): Written {
  if (chance(random, OPTIONS_SHARE)) {
    const choice = drawChoice(random, chance(random, 0.65) ? 'kinds' : 'tools');
    const names = choice.options.map(({ name }, i) => `${LETTERS[i]}) ${name}`);
    const list = chance(random, 0.5) ? ` ${names.join(', ')}.` : `\n${names.join('\n')}\n`;
    const solution = inWords(anyStyle(random), rightChain(choice));
    return {
      text: `${choice.question}${list}${list.endsWith('\n') ? '' : ' '}${solution}`,
      contents: [choice.content],
    };
  }
  const story = drawStory(random, steps);
  const asked = chance(random, 0.5) ? `${story.told} ${story.question}` : story.told;
  const chain = rightChain(story);
  const solution =
    chain.family === 'story' && !asked.endsWith('?') && chance(random, 0.2)
      ? becauseStyle(chain)
      : inWords(anyStyle(random), chain);
  return { text: `${asked} ${solution}`, contents: [story.content] };
}

// Facts

/** What a thing is, and what is of a kind: one hop each, in both directions. Never the two hops at once. */
function kindFact(random: RandomStream): string {
  const { name, members, properties } = pick(random, KINDS);
  const a = withArticle(name);
  if (chance(random, 0.6)) {
    const member = pick(random, members);
    return pick(random, [
      `The ${member} is ${a}.`,
      `We know that the ${member} is ${a}.`,
      `One kind of ${name} is the ${member}.`,
    ]);
  }
  const property = pick(random, properties);
  return pick(random, [
    `${capital(a)} ${property}.`,
    `Only ${a} ${property}.`,
    `The thing that ${property} is ${a}.`,
    `What ${property}? ${capital(a)}.`,
    `${capital(a)} ${property}, so we need ${a}.`,
  ]);
}

function toolFact(random: RandomStream): string {
  const { name, tools, jobs } = pick(random, QUALITIES);
  if (chance(random, 0.6)) {
    const tool = pick(random, tools);
    return pick(random, [
      `The ${tool} is ${name}.`,
      `The ${tool} is a ${name} thing.`,
      `One ${name} thing is the ${tool}.`,
    ]);
  }
  const job = pick(random, jobs);
  return pick(random, [
    `A ${name} thing can ${job}.`,
    `Only a ${name} thing can ${job}.`,
    `The thing that can ${job} is a ${name} thing.`,
    `What can ${job}? A ${name} thing.`,
    `To ${job} we need a ${name} thing.`,
  ]);
}

export function facts(random: RandomStream): Written {
  const count = between(random, 5, 8);
  const texts = Array.from({ length: count }, () => (chance(random, 0.6) ? kindFact(random) : toolFact(random)));
  return { text: texts.join(' '), contents: [] };
}

// Copying and looking up

const NAMES = PEOPLE.map(({ name }) => name);
const NOUNS = [
  ...KINDS.flatMap(({ members }) => members),
  ...QUALITIES.flatMap(({ tools }) => tools),
  ...THINGS,
  ...CONTAINERS.map(([one]) => one),
  ...NAMES,
];

/** Words and numbers without sense, said again once or twice. A number ends in a comma, so that two stay apart. */
function repeated(random: RandomStream): Written {
  const count = between(random, 5, 14);
  const list = Array.from({ length: count }, () =>
    chance(random, 0.4) ? `${between(random, 0, MOST)},` : pick(random, NOUNS),
  ).join(' ');
  const line = `${list.replace(/,$/, '')}.`;
  return {
    text: Array(count <= 9 ? 3 : 2)
      .fill(line)
      .join(' '),
    contents: [],
  };
}

/** Categories and qualities, which are what a chain looks up. */
const CATEGORIES = [...KINDS.map(({ name }) => name), ...QUALITIES.map(({ name }) => name)];
const OPTION_LETTERS = [...LETTERS.slice(0, OPTION_COUNT.kinds)].map((letter) => `${letter})`);

/**
 * Pairs without sense, each asked for again in another order: "fruit D). bird A). ... We need the bird A)." Every second
 * word of its later half is a look-up. Without these documents the look-up at the end of a chain was at chance after 8.9
 * million tokens; with them it was learned within one million (docs/lesson.md).
 */
function associations(random: RandomStream): Written {
  const count = between(random, 3, 8);
  const keys = several(random, chance(random, 0.6) ? CATEGORIES : NOUNS, count);
  const valueOf = {
    letter: () => pick(random, OPTION_LETTERS),
    number: () => String(between(random, 0, MOST)),
    noun: () => pick(random, NOUNS),
  }[weighted(random, { letter: 0.6, number: 0.2, noun: 0.2 })];
  const pairs = keys.map((key) => `${key} ${valueOf()}.`);
  const told = pick(random, ['', 'Option ']);
  const asked = pick(random, ['We need the ', 'Choose ', '', '']);
  const rounds = Array.from({ length: count <= 5 ? 2 : 1 }, () => random.shuffled(pairs));
  return {
    text: [...pairs.map((pair) => told + pair), ...rounds.flat().map((pair) => asked + pair)].join(' '),
    contents: [],
  };
}

/** Who has how many of what, and each of it asked for or said again. */
function possessions(random: RandomStream): Written {
  const people = several(random, NAMES, between(random, 3, 4));
  const things = several(random, THINGS, people.length);
  const counts = people.map(() => between(random, 2, MOST));
  const says = (i: number): string => `${people[i]} has ${counts[i]} ${things[i]}.`;
  const order = people.map((_, i) => i);
  const again = random.shuffled(order).slice(0, between(random, 2, order.length));
  const asks = (i: number): string => `How many ${things[i]} does ${people[i]} have? ${says(i)}`;
  const form = pick(random, [says, asks]);
  return { text: [...order.map(says), ...again.map(form)].join(' '), contents: [] };
}

/** Options with their categories, and some or all of them needed: the end of a chain, without a question that leads to it. */
function lookups(random: RandomStream, all: boolean): Written {
  const family = chance(random, 0.6) ? 'kinds' : 'tools';
  const choice: ChoicePlan = planChoice(random, family);
  const options = random.shuffled([choice.right, ...choice.wrong]);
  const list = chance(random, 0.5)
    ? `Choices:\n${options.map(({ name }, i) => `${LETTERS[i]}) ${name}`).join('\n')}\n`
    : '';
  const places = options.map((_, i) => i);
  const order = random.shuffled(places);
  const wanted = all ? order : order.slice(0, between(random, 1, family === 'kinds' ? 3 : 2));
  if (chance(random, 0.25)) {
    const named = options.map(({ is }, i) => `Option ${is} ${LETTERS[i]}).`).join(' ');
    const chosen = wanted.map(
      (i) => `Choose ${options[i]!.is} ${LETTERS[i]}). Final answer: ${LETTERS[i]}) ${options[i]!.name}.`,
    );
    return {
      text: `${list === '' ? `${namesOptions({ family, options })} ` : list}${named} ${chosen.join(' ')}`,
      contents: [],
    };
  }
  const needs = wanted.map((i) => {
    const it = `${LETTERS[i]}) ${options[i]!.name}`;
    const end = pick(random, [
      '. Therefore the answer is',
      ', so the answer is',
      '. The answer is',
      '. So the answer is',
    ]);
    return `We need the ${options[i]!.is} ${it}${end} ${it}.`;
  });
  return { text: `${list}${namesOptions({ family, options })} ${needs.join(' ')}`, contents: [] };
}

/** Shares of the kinds of copying, and whether the kind "lookups" asks for all of its options. */
export interface CopyingMix {
  shares: Readonly<Record<'repeated' | 'possessions' | 'lookups' | 'associations', number>>;
  allLookups: boolean;
}

export function copying(random: RandomStream, { shares, allLookups }: CopyingMix): Written {
  switch (weighted(random, shares)) {
    case 'repeated':
      return repeated(random);
    case 'possessions':
      return possessions(random);
    case 'lookups':
      return lookups(random, allLookups);
    case 'associations':
      return associations(random);
  }
}
