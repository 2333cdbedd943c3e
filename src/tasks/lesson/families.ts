// families.ts: the four families of the lesson as lists of task items: which problems, how many, from which part. Items
// carry their problem, so that a scripted teacher can solve them; as files they are in files.ts.
import { PupilError } from '../../base/errors';
import { RandomStream } from '../../base/random';
import { LETTERS } from '../extract/choice';
import { numberText } from '../extract/number';
import type { TaskItem } from '../task';
import { planChoice, wordChoice, OPTION_COUNT } from './choices';
import { weighted } from './draw';
import { partOf, type Part } from './parts';
import { planStory, type StepCount } from './plans';
import { tellStory } from './stories';
import type { Problem } from './solutions';

/**
 * stories: A, arithmetic stories in several steps. sums: B, in one step. kinds: C, which of four things has a property.
 * tools: D, which of two tools does a job.
 */
export const FAMILIES = ['stories', 'sums', 'kinds', 'tools'] as const;
export type FamilyName = (typeof FAMILIES)[number];

/** A task item that remembers what it is about. */
export interface LessonItem extends TaskItem {
  problem: Problem;
}

/** How often a problem has one, two or three steps. Shares need not add up to one. */
export interface StepMix {
  one: number;
  two: number;
  three: number;
}

export interface ItemsWanted {
  count: number;
  /** Which of the possible items, and their wording. */
  seed: number;
  /** For the family stories: two steps only, where not given. */
  steps?: StepMix;
}

export const TWO_STEPS: StepMix = { one: 0, two: 1, three: 0 };

const STEP_COUNTS: Readonly<Record<keyof StepMix, StepCount>> = { one: 1, two: 2, three: 3 };

export const drawSteps = (random: RandomStream, mix: StepMix): StepCount => STEP_COUNTS[weighted(random, { ...mix })];

/** A problem of this family whose content belongs to one part, and the key under which it counts as one question. */
function drawProblem(
  random: RandomStream,
  family: FamilyName,
  part: Part,
  steps: StepMix,
  place: number,
): [string, Problem] {
  for (;;) {
    if (family === 'kinds' || family === 'tools') {
      const plan = planChoice(random, family);
      if (partOf(plan.content) === part) return [plan.content, wordChoice(random, plan, place)];
    } else {
      const plan = planStory(random, family === 'sums' ? 1 : drawSteps(random, steps));
      if (partOf(plan.content) !== part) continue;
      const story = tellStory(random, plan);
      return [`${plan.content} ${story.things}`, story];
    }
  }
}

/** So many problems in a row without a new one, and there are no more. */
const PATIENCE = 20_000;

/**
 * Items of one part, no two of one content (stories: of one content about the same things), the letters of right options
 * equally frequent. The same arguments give the same items; a smaller count gives the first of them.
 *
 * @throws PupilError `data` where the part has fewer.
 */
export function lessonItems(
  family: FamilyName,
  part: Part,
  { count, seed, steps = TWO_STEPS }: ItemsWanted,
): LessonItem[] {
  const random = new RandomStream(seed, `lesson/${family}/${part}`);
  // Every letter once, in random order, then again: letters are equally frequent, also in the first few items.
  const letters = new RandomStream(seed, `lesson/${family}/${part}/letters`);
  const optionCount = family === 'kinds' || family === 'tools' ? OPTION_COUNT[family] : 1;
  const places: number[] = [];
  const seen = new Set<string>();
  const items: LessonItem[] = [];
  for (let idle = 0; items.length < count; idle++) {
    const place = items.length;
    if (place === places.length) places.push(...letters.shuffled(Array.from({ length: optionCount }, (_, i) => i)));
    const [key, problem] = drawProblem(random, family, part, steps, places[place]!);
    if (!seen.has(key)) {
      seen.add(key);
      items.push(asItem(problem, `lesson-${family}-${part}-${seed}-${place}`));
      idle = -1;
    } else if (idle > PATIENCE) {
      throw new PupilError(
        'data',
        `lessonItems: expected at most about ${place} items, which is what ${part} of ${family} has, got a count of ${count}`,
        'Ask for fewer.',
      );
    }
  }
  return items;
}

/** A problem as an item of an ordinary task. */
export function asItem(problem: Problem, id: string): LessonItem {
  const { content } = problem;
  if (problem.family === 'story') {
    const question = `${problem.told} ${problem.question}`;
    return { id, question, target: numberText(problem.answer), content, problem };
  }
  const choices = problem.options.map((option) => option.name);
  return { id, question: problem.question, choices, target: LETTERS[problem.answer]!, content, problem };
}
