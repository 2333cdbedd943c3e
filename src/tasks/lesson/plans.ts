// plans.ts: the numbers of an arithmetic story before it is told: its shape, its steps and its content. What the story
// says is in stories.ts. All results lie in 0 … 99 and none is 1, so that no singular is needed.
import type { RandomStream } from '../../base/random';
import { between, chance, weighted } from './draw';

export type Sign = '+' | '-' | '*';

/** One calculation. */
export interface Sum {
  left: number;
  sign: Sign;
  right: number;
  result: number;
}

/**
 * change: someone has so many, then gets or loses some. compare: someone has so many more or fewer than another, then as
 * change. groups: containers with equal numbers, then as change. together: two people. difference: how many more.
 * points: prizes found (and lost) first, then points for each.
 */
export type Shape = 'change' | 'compare' | 'groups' | 'together' | 'difference' | 'points';

export interface StoryPlan {
  shape: Shape;
  sums: Sum[];
  content: string;
}

export type StepCount = 1 | 2 | 3;

const SHAPES: Readonly<Record<StepCount, Partial<Record<Shape, number>>>> = {
  1: { change: 0.44, groups: 0.2, together: 0.14, compare: 0.12, difference: 0.1 },
  2: { change: 0.58, groups: 0.22, points: 0.1, compare: 0.1 },
  3: { change: 0.75, groups: 0.25 },
};

export const MOST = 99;
const LEAST_CHANGE = 2;
const MOST_CHANGE = 20;

const RESULT: Readonly<Record<Sign, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
};

export function sum(left: number, sign: Sign, right: number): Sum {
  return { left, sign, right, result: RESULT[sign](left, right) };
}

/** A gain or a loss that keeps the number countable. Nothing may be left only at the end of a story. */
function change(random: RandomStream, left: number, last: boolean): Sum {
  for (;;) {
    const made = sum(left, chance(random, 0.5) ? '+' : '-', between(random, LEAST_CHANGE, MOST_CHANGE));
    if (made.result <= MOST && made.result >= (last ? 0 : 2) && made.result !== 1) return made;
  }
}

/** Prizes found, with more found or some lost, and what each is worth. */
function points(random: RandomStream): Sum[] {
  for (;;) {
    const first = sum(between(random, 2, 9), chance(random, 0.5) ? '+' : '-', between(random, 2, 7));
    if (first.result >= 2 && first.result <= 9) return [first, sum(first.result, '*', between(random, 2, 9))];
  }
}

function firstSum(random: RandomStream, shape: Shape, last: boolean): Sum {
  switch (shape) {
    case 'groups':
      return sum(between(random, 2, 9), '*', between(random, 2, 9));
    case 'together':
      return sum(between(random, 4, 60), '+', between(random, LEAST_CHANGE, MOST_CHANGE));
    case 'difference':
      for (;;) {
        const made = sum(between(random, 8, 79), '-', between(random, LEAST_CHANGE, MOST_CHANGE));
        if (made.result >= 2) return made;
      }
    default:
      return change(random, between(random, 4, last ? 79 : 60), last && shape === 'change');
  }
}

/** Numbers of a story with so many steps. */
export function planStory(random: RandomStream, steps: StepCount): StoryPlan {
  const shape = weighted(random, SHAPES[steps] as Record<Shape, number>);
  if (shape === 'points') return withContent(shape, points(random));
  const sums = [firstSum(random, shape, steps === 1)];
  while (sums.length < steps) sums.push(change(random, sums.at(-1)!.result, sums.length === steps - 1));
  return withContent(shape, sums);
}

const withContent = (shape: Shape, sums: Sum[]): StoryPlan => ({ shape, sums, content: contentOfSums(sums) });

/**
 * The content of a chain of sums: its numbers and signs, whatever the story is about. 4 + 9 and 9 + 4, 3 * 5 and 5 * 3
 * are the same content.
 */
export function contentOfSums(sums: readonly Pick<Sum, 'left' | 'sign' | 'right'>[]): string {
  const { left, sign, right } = sums[0]!;
  const swap = sign !== '-' && left > right;
  const head = swap ? `${right} ${sign} ${left}` : `${left} ${sign} ${right}`;
  return [head, ...sums.slice(1).map((next) => `${next.sign} ${next.right}`)].join(' ');
}
