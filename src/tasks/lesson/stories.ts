// stories.ts: an arithmetic story told in words: who has what, what happens, and the question. The numbers come from
// plans.ts; how the story is solved in words is in solutions.ts.
import type { RandomStream } from '../../base/random';
import { chance, pick, several } from './draw';
import type { StoryPlan, Sum } from './plans';
import { capital, CONTAINERS, FOOD, PEOPLE, PRIZES, THINGS, type Person } from './world';

/** A calculation and whose number it is: "Tom has 21 - 6 = 15 pears". */
export interface StoryStep extends Sum {
  owner: string;
  things: string;
}

export interface Story {
  family: 'story';
  /** What happens, without the question. */
  told: string;
  question: string;
  steps: StoryStep[];
  answer: number;
  /** What is held out: numbers and signs. */
  content: string;
  /** What is counted: two stories of one content about different things are different questions. */
  things: string;
}

interface Cast {
  who: Person;
  other: Person;
  things: string;
}

/** How often a story that could say "he" does so. */
const PRONOUN = 0.4;

function cast(random: RandomStream): Cast {
  const [who, other] = several(random, PEOPLE, 2) as [Person, Person];
  return { who, other, things: pick(random, THINGS) };
}

/** "buys 4 more pears", "gives 4 pears to Zoe": a change as its owner does it. Short: "buys 4 more". */
function deed(random: RandomStream, { other, things }: Cast, { sign, right }: Sum, short: boolean): string {
  const what = short ? '' : ` ${things}`;
  if (sign === '+') return `${pick(random, ['buys', 'finds', 'gets', 'wins'])} ${right} more${what}`;
  const verbs = FOOD.includes(things) ? ['loses', 'sells', 'eats', 'gives'] : ['loses', 'sells', 'uses', 'gives'];
  const verb = pick(random, verbs);
  return verb === 'gives' ? `gives ${right}${what} to ${other.name}` : `${verb} ${right}${what}`;
}

/** A teller keeps what has been said: once another person is named, "he" would be unclear. */
class Teller {
  private otherNamed = false;
  constructor(
    private readonly random: RandomStream,
    readonly cast: Cast,
  ) {}

  names(): this {
    this.otherNamed = true;
    return this;
  }

  /** The name, or the pronoun where it is clear. */
  subject(): string {
    const { who } = this.cast;
    return !this.otherNamed && chance(this.random, PRONOUN) ? who.pronoun : who.name;
  }

  /** A change told of its owner; remembers whether another person came into it. */
  deed(change: Sum, short = false): string {
    const text = deed(this.random, this.cast, change, short);
    if (text.endsWith(this.cast.other.name)) this.otherNamed = true;
    return text;
  }

  /** A change as a clause of its own: of its owner, or of the one who gives. */
  clause(change: Sum): string {
    const { who, other, things } = this.cast;
    if (change.sign === '+' && chance(this.random, 0.25)) {
      this.otherNamed = true;
      return chance(this.random, 0.5)
        ? `${other.name} gives ${change.right} ${things} to ${who.name}`
        : `${other.name} gives ${who.name} ${change.right} ${things}`;
    }
    return `${this.subject()} ${this.deed(change, chance(this.random, 0.3))}`;
  }

  /** The changes after the first, each its own sentence. */
  rest(changes: readonly Sum[]): string[] {
    return changes.map(
      (change, i) => `${i === 0 ? pick(this.random, ['Then', 'Later']) : 'After that,'} ${this.clause(change)}.`,
    );
  }

  howMany(last: Sum): string {
    const { who, things } = this.cast;
    if (last.sign === '-' && chance(this.random, 0.25)) return `How many ${things} are left?`;
    const subject = !this.otherNamed && chance(this.random, PRONOUN) ? who.pronoun : who.name;
    return `How many ${things} does ${subject} have ${pick(this.random, ['now', 'in the end'])}?`;
  }
}

/** Someone has so many, then changes in one of four forms. */
function tellChange(random: RandomStream, teller: Teller, sums: readonly Sum[]): string[] {
  const { who, things } = teller.cast;
  const [first, ...later] = sums as [Sum, ...Sum[]];
  const has = `${first.left} ${things}`;
  switch (random.nextBelow(later.length === 0 ? 3 : 4)) {
    case 0:
      return [`${who.name} has ${has}.`, `${capital(teller.clause(first))}.`, ...teller.rest(later)];
    case 1:
      return [`${who.name} had ${has} and ${teller.deed(first)}.`, ...teller.rest(later)];
    case 2:
      return [`${who.name} ${teller.deed(first)} after having ${has}.`, ...teller.rest(later)];
    default: {
      const deeds = `${teller.deed(first)} and then ${teller.deed(later[0]!, chance(random, 0.3))}`;
      return [`${who.name} has ${has}.`, `${capital(teller.subject())} ${deeds}.`, ...teller.rest(later.slice(1))];
    }
  }
}

function tellCompare(teller: Teller, sums: readonly Sum[]): string[] {
  const { who, other, things } = teller.names().cast;
  const [first, ...later] = sums as [Sum, ...Sum[]];
  const than = `${first.right} ${first.sign === '+' ? 'more' : 'fewer'} ${things} than ${other.name}`;
  return [`${other.name} has ${first.left} ${things}.`, `${who.name} has ${than}.`, ...teller.rest(later)];
}

function tellGroups(random: RandomStream, teller: Teller, sums: readonly Sum[]): string[] {
  const { who, things } = teller.cast;
  const [first, ...later] = sums as [Sum, ...Sum[]];
  const [one, many] = pick(random, CONTAINERS);
  const boxes = `${first.left} ${many}`;
  const forms = [
    `${who.name} has ${boxes} with ${first.right} ${things} in each ${one}.`,
    `There are ${first.right} ${things} in each ${one} and ${who.name} has ${boxes}.`,
    `${who.name} fills ${boxes} with ${first.right} ${things} each.`,
  ];
  return [pick(random, forms), ...teller.rest(later)];
}

/** Prizes first, points for each of them second. */
function tellPoints(
  random: RandomStream,
  who: string,
  [count, worth]: readonly Sum[],
): Pick<Story, 'told' | 'steps'> & { many: string } {
  const [one, many] = pick(random, PRIZES);
  const { left, right } = count!;
  const each = `Each ${one} gives ${worth!.right} points.`;
  let told: string;
  if (count!.sign === '-') told = `${who} has ${left} ${many} and loses ${right} ${many}.`;
  else if (chance(random, 0.5)) told = `${who} finds ${left} ${many} first and ${right} ${many} later.`;
  else told = `${who} finds ${left} ${many} and then ${right} more.`;
  return {
    told: chance(random, 0.5) ? `${each} ${told}` : `${told} ${each}`,
    steps: [
      { ...count!, owner: who, things: many },
      { ...worth!, owner: who, things: 'points' },
    ],
    many,
  };
}

/** A story with these numbers. */
export function tellStory(random: RandomStream, plan: StoryPlan): Story {
  const { shape, sums, content } = plan;
  const teller = new Teller(random, cast(random));
  const { who, other, things } = teller.cast;
  const answer = sums.at(-1)!.result;
  const made = (told: string[], question: string, owner = who.name, counted = things): Story => ({
    family: 'story',
    told: told.join(' '),
    question,
    steps: sums.map((each) => ({ ...each, owner, things: counted })),
    answer,
    content,
    things,
  });
  const first = sums[0]!;
  switch (shape) {
    case 'change': {
      const told = tellChange(random, teller, sums);
      return made(told, teller.howMany(sums.at(-1)!));
    }
    case 'compare': {
      const told = tellCompare(teller, sums);
      return made(told, sums.length === 1 ? `How many ${things} does ${who.name} have?` : teller.howMany(sums.at(-1)!));
    }
    case 'groups': {
      const told = tellGroups(random, teller, sums);
      const question =
        sums.length === 1 ? `How many ${things} does ${who.name} have in all?` : teller.howMany(sums.at(-1)!);
      return made(told, question);
    }
    case 'together':
      return made(
        [`${who.name} has ${first.left} ${things} and ${other.name} has ${first.right} ${things}.`],
        `How many ${things} do they have together?`,
        'They',
      );
    case 'difference':
      return made(
        [`${who.name} has ${first.left} ${things}.`, `${other.name} has ${first.right} ${things}.`],
        `How many more ${things} does ${who.name} have than ${other.name}?`,
        who.name,
        `more ${things}`,
      );
    case 'points': {
      const { told, steps, many } = tellPoints(random, who.name, sums);
      const question = `How many points does ${who.name} have?`;
      return { family: 'story', told, question, steps, answer, content, things: many };
    }
  }
}
