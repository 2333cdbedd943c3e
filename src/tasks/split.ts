// split.ts: which items train and which test. Seeded, without a question on both sides, and in an order whose prefixes
// are the nested shares of Figure 4. It reports everything it leaves out.
import { PupilError } from '../base/errors';
import { RandomStream } from '../base/random';
import type { SplitConfig } from '../config/experiment';
import { questionKey } from './task';
import type { TaskItem } from './task';

/** Items left out of both sides, and why. */
export interface DroppedItem {
  itemId: string;
  reason:
    'question is in the test set too' | 'beyond the training count' | 'beyond the test limit' | 'targets balanced';
}

export interface Split {
  /** In nested order: the first share of these is the training set of that share. */
  train: TaskItem[];
  test: TaskItem[];
  /** Items given, distinct questions among them, and items whose question had occurred before. */
  total: number;
  uniqueQuestions: number;
  duplicates: number;
  /** Questions that occur with different targets: a fault of the data. */
  conflicting: string[];
  dropped: DroppedItem[];
}

type Group = TaskItem[];
type KeyOf = (item: TaskItem) => string;

/** Keys of questions, each worked out once. */
function questionKeys(items: readonly TaskItem[]): KeyOf {
  const keys = new Map(items.map((item) => [item, questionKey(item.question, item.choices)]));
  return (item) => keys.get(item)!;
}

function groupByQuestion(items: readonly TaskItem[], keyOf: KeyOf): Group[] {
  const groups = new Map<string, Group>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/**
 * Groups in an order in which every prefix has targets as equal as can be: the target with the fewest items so far comes
 * next. Targets that have run out are passed over; `equalCount` is how many groups come before that.
 */
function balanced(groups: readonly Group[]): { order: Group[]; equalCount: number } {
  const queues = new Map<string, Group[]>();
  for (const group of groups) {
    const target = group[0]!.target;
    const queue = queues.get(target);
    if (queue === undefined) queues.set(target, [group]);
    else queue.push(group);
  }
  const sizeOf = (queue: readonly Group[]): number => queue.reduce((sum, group) => sum + group.length, 0);
  const classes = [...queues.keys()].sort().map((target) => ({ queue: queues.get(target)!, next: 0, items: 0 }));
  const fewest = Math.min(...classes.map(({ queue }) => sizeOf(queue)));
  const order: Group[] = [];
  let equalCount: number | undefined;
  while (order.length < groups.length) {
    const open = classes.filter(({ queue, next }) => next < queue.length);
    const chosen = open.reduce((least, one) => (one.items < least.items ? one : least));
    const group = chosen.queue[chosen.next++]!;
    chosen.items += group.length;
    if (chosen.items > fewest) equalCount ??= order.length;
    order.push(group);
  }
  return { order, equalCount: equalCount ?? order.length };
}

/**
 * Fills the training side with whole groups until it has `count` items. A group that would exceed the count is passed
 * over, so that items of the same question always stay on one side.
 */
function take(groups: readonly Group[], count: number): { taken: Group[]; rest: Group[] } {
  const taken: Group[] = [];
  const rest: Group[] = [];
  let size = 0;
  for (const group of groups) {
    if (size + group.length <= count) {
      taken.push(group);
      size += group.length;
    } else rest.push(group);
  }
  return { taken, rest };
}

/**
 * Splits items into training and test. With `pool`, one set is divided and what does not train is tested; with `train`
 * and `test`, a training question that is also tested is left out of training.
 * Items of one question stay together, so MultiArith's 600 items with 20 repeated questions become exactly 420 and 180.
 *
 * @throws PupilError `config` where more training items are asked for than there are.
 */
export function splitItems(
  items: { pool: readonly TaskItem[] } | { train: readonly TaskItem[]; test: readonly TaskItem[] },
  config: SplitConfig,
): Split {
  const dropped: DroppedItem[] = [];
  const drop = (groups: readonly Group[], reason: DroppedItem['reason']): void => {
    for (const item of groups.flat()) dropped.push({ itemId: item.id, reason });
  };
  const given = 'pool' in items ? items.pool : [...items.train, ...items.test];
  const keyOf = questionKeys(given);
  const everything = groupByQuestion(given, keyOf);
  const conflicting = everything
    .filter((group) => group.some((item) => item.target !== group[0]!.target))
    .map((group) => group[0]!.question);

  let candidates: Group[];
  if ('pool' in items) candidates = everything;
  else {
    const tested = new Set(items.test.map(keyOf));
    const all = groupByQuestion(items.train, keyOf);
    const isTested = (group: Group): boolean => tested.has(keyOf(group[0]!));
    drop(all.filter(isTested), 'question is in the test set too');
    candidates = all.filter((group) => !isTested(group));
  }
  if (config.order === 'shuffled') candidates = new RandomStream(config.seed, 'split').shuffled(candidates);

  const available = candidates.reduce((sum, group) => sum + group.length, 0);
  const wanted =
    config.trainCount ??
    (config.trainFraction === undefined ? available : Math.round(available * config.trainFraction));
  if (wanted > available) {
    throw new PupilError(
      'config',
      `splitItems: trainCount must be at most ${available}, the items there are, got ${wanted}`,
      'Lower split.trainCount, or give more files.',
    );
  }

  let training = candidates;
  let unequal: Group[] = [];
  if (config.balanceTargets) {
    const { order, equalCount } = balanced(candidates);
    training = order.slice(0, equalCount);
    unequal = order.slice(equalCount);
  }
  const { taken, rest } = take(training, wanted);
  const train = taken.flat();

  let test: TaskItem[];
  if ('pool' in items) {
    // Test items keep the split's order too, so that a limit takes a random part of them.
    const inTraining = new Set(taken);
    test = candidates.filter((group) => !inTraining.has(group)).flat();
  } else {
    test =
      config.order === 'shuffled'
        ? new RandomStream(config.seed, 'split-test').shuffled(items.test)
        : items.test.slice();
    drop(rest, 'beyond the training count');
    drop(unequal, config.trainCount === undefined ? 'targets balanced' : 'beyond the training count');
  }
  if (config.testLimit !== undefined && test.length > config.testLimit) {
    drop([test.slice(config.testLimit)], 'beyond the test limit');
    test = test.slice(0, config.testLimit);
  }

  return {
    train,
    test,
    total: given.length,
    uniqueQuestions: everything.length,
    duplicates: given.length - everything.length,
    conflicting,
    dropped,
  };
}

/** The first share of a list: nested, since a smaller share is a prefix of a larger one. At least one of a non-empty list. */
export function nestedShare<T>(list: readonly T[], fraction: number): T[] {
  return list.slice(0, list.length === 0 ? 0 : Math.max(1, Math.round(list.length * fraction)));
}
