// demonstration.ts: what a teacher delivers: one answer with chain of thought to one task item. Types, and the choice of
// those that a training split may use. It reads no files and asks no teacher.
import type { DemonstrationsConfig } from '../config/experiment';

/** A task item as teachers need it. */
export interface TeacherItem {
  id: string;
  question: string;
  choices?: readonly string[];
  target: string;
}

/** A task as teachers need it: handed in by the recipe, so that this folder does not know the benchmarks. */
export interface TeacherTask {
  /** The task's `name` in the experiment. */
  id: string;
  /** Every item a demonstration may belong to: training and test. */
  items: readonly TeacherItem[];
  plainPrompt(item: TeacherItem): string;
  cotPrompt(item: TeacherItem): string;
  /** Whether a text gives the item's target, by the task's strict extractor. */
  isCorrect(item: TeacherItem, text: string): boolean;
}

/** (i, q, a) of the paper, with the target t. */
export interface Demonstration {
  id: string;
  /** The task's `name` in the experiment. */
  taskId: string;
  itemId: string;
  /** First line of the CoT prompt. */
  instruction: string;
  /** The input: the rest of the CoT prompt, with its choices and the trigger. */
  question: string;
  answer: string;
  target: string;
  choices?: readonly string[];
  teacher: string;
  family: 'in-family' | 'out-family';
  /** Whether the answer gives the target, by the task's strict extractor. */
  correct: boolean;
  /** Where the answer was edited by hand: what the teacher said, and whether that gave the target. */
  original?: { answer: string; correct: boolean };
}

/** Whether what the teacher itself said gives the target, whatever was made of it since. */
export const teacherWasRight = ({ correct, original }: Pick<Demonstration, 'correct' | 'original'>): boolean =>
  original?.correct ?? correct;

/** The demonstration of an item: instruction and input are those of its CoT prompt (METHOD: first line, the rest). */
export function makeDemonstration(
  task: TeacherTask,
  item: TeacherItem,
  answer: string,
  teacher: Pick<Demonstration, 'teacher' | 'family'>,
  id: string,
): Demonstration {
  const prompt = task.cotPrompt(item);
  const at = prompt.indexOf('\n');
  return {
    id,
    taskId: task.id,
    itemId: item.id,
    instruction: at < 0 ? prompt : prompt.slice(0, at),
    question: at < 0 ? '' : prompt.slice(at + 1),
    answer,
    target: item.target,
    ...(item.choices === undefined ? {} : { choices: item.choices }),
    teacher: teacher.teacher,
    family: teacher.family,
    correct: task.isCorrect(item, answer),
  };
}

/** What became of a teacher's demonstrations. The counts add up to `given`. */
export interface Selection {
  selected: Demonstration[];
  given: number;
  /** Their item is not in the training split (it is tested, or beyond the count). */
  notInTraining: number;
  /** Their item is beyond the share of the training split that was asked for. */
  beyondFraction: number;
  /** Left out by hand. */
  excluded: number;
  /** Wrong answers left out because `keepWrong` is false. */
  wrongDropped: number;
  /** Wrong answers kept. */
  wrongKept: number;
  /** Left out by `limit`. */
  beyondLimit: number;
}

/**
 * The demonstrations that training may use, in the order of the training split, so that a smaller share is part of a
 * larger one.
 *
 * @param trainItemIds the training split in its order.
 * @param fraction further share of the split (a phase's own `fraction`), taken together with the teacher's.
 */
export function selectDemonstrations(
  demonstrations: readonly Demonstration[],
  trainItemIds: readonly string[],
  config: Pick<DemonstrationsConfig, 'fraction' | 'limit' | 'keepWrong' | 'exclude'>,
  fraction = 1,
): Selection {
  const share = config.fraction * fraction;
  const allowed = trainItemIds.length === 0 ? 0 : Math.max(1, Math.round(trainItemIds.length * share));
  const excluded = new Set(config.exclude);
  const placeOf = new Map(trainItemIds.map((id, place) => [id, place]));
  const selection: Selection = {
    selected: [],
    given: demonstrations.length,
    notInTraining: 0,
    beyondFraction: 0,
    excluded: 0,
    wrongDropped: 0,
    wrongKept: 0,
    beyondLimit: 0,
  };
  const usable: { place: number; demonstration: Demonstration }[] = [];
  for (const demonstration of demonstrations) {
    const place = placeOf.get(demonstration.itemId);
    if (place === undefined) selection.notInTraining++;
    else if (place >= allowed) selection.beyondFraction++;
    else if (excluded.has(demonstration.id)) selection.excluded++;
    else if (!demonstration.correct && !config.keepWrong) selection.wrongDropped++;
    else usable.push({ place, demonstration });
  }
  usable.sort((a, b) => a.place - b.place); // stable: several demonstrations of one item keep their order
  const limit = config.limit ?? usable.length;
  selection.beyondLimit = Math.max(0, usable.length - limit);
  selection.selected = usable.slice(0, limit).map((entry) => entry.demonstration);
  selection.wrongKept = selection.selected.filter((demonstration) => !demonstration.correct).length;
  return selection;
}
