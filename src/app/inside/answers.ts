// answers.ts: the lines of predictions.jsonl joined into test items: what each system said to each question, by each prompt, and
// who was right by which scorer. It reads no file and judges no text: verdicts are the run's.
import * as v from 'valibot';
import { mcnemarExact } from '../../base/statistics';
import { isSelfConsistency } from '../../config/scorerNames';
import { SYSTEM_NAMES } from '../../config/systems';

const Line = {
  system: v.picklist(SYSTEM_NAMES),
  taskId: v.string(),
  prompt: v.picklist(['plain', 'cot']),
  itemId: v.string(),
  question: v.exactOptional(v.string()),
  target: v.string(),
  correct: v.record(v.string(), v.boolean()),
};
const Ending = v.picklist(['eos', 'length']);
const AnswerLine = v.object({
  ...Line,
  text: v.string(),
  stopped: Ending,
  /** What the strict scorer read; null: nothing. Runs of earlier versions do not say it. */
  answer: v.exactOptional(v.nullable(v.string())),
  /** Letters by way of probing. */
  probed: v.exactOptional(v.record(v.string(), v.string())),
});
/** Self-consistency: many samples, one vote. */
const VoteLine = v.object({
  ...Line,
  texts: v.array(v.string()),
  stopped: v.array(Ending),
  answer: v.exactOptional(v.string()),
  votes: v.number(),
  answered: v.number(),
  samples: v.number(),
});

export type AnswerLineRow = v.InferOutput<typeof AnswerLine> | v.InferOutput<typeof VoteLine>;

/** @throws Error that says what is wrong with the line */
export function readAnswer(value: unknown): AnswerLineRow {
  const isVote = typeof value === 'object' && value !== null && 'texts' in value;
  return v.parse(isVote ? VoteLine : AnswerLine, value);
}

/** A way of answering: a system with a prompt, once or by vote. */
export interface Way {
  /** In the address: `Baseline.cot`, `Self-refined.cot.vote`. */
  id: string;
  label: string;
}

/** One test question with everything that was said to it. */
export interface Item {
  /** In the address. */
  id: string;
  taskId: string;
  itemId: string;
  question: string;
  target: string;
  /** By way of answering. */
  said: ReadonlyMap<string, AnswerLineRow>;
  searched: string;
}

export interface Answers {
  items: Item[];
  /** In the order of the paper's rows. */
  ways: Way[];
  tasks: string[];
  /** Of single answers: string matching, then ways of probing. */
  scorers: string[];
}

const isVote = (row: AnswerLineRow): row is v.InferOutput<typeof VoteLine> => 'texts' in row;

function wayOf(row: AnswerLineRow): Way & { rank: number } {
  const { system, prompt } = row;
  const voted = isVote(row);
  const name = system === 'Baseline' ? 'Baseline' : system;
  const how = prompt === 'cot' ? ' CoT' : ' plain';
  return {
    id: `${system}.${prompt}${voted ? '.vote' : ''}`,
    label: `${name}${how}${voted ? `, vote of ${row.samples}` : ''}`,
    rank: 4 * SYSTEM_NAMES.indexOf(system) + (prompt === 'cot' ? 1 : 0) + (voted ? 2 : 0),
  };
}

/** Joins the lines, in the order of the file. */
export function answersOf(rows: readonly AnswerLineRow[]): Answers {
  const items = new Map<string, Item & { said: Map<string, AnswerLineRow>; texts: string[] }>();
  const ways = new Map<string, Way & { rank: number }>();
  const matching = new Set<string>();
  const probing = new Set<string>();
  for (const row of rows) {
    const { taskId, itemId, question = '', target } = row;
    const id = `${taskId}/${itemId}`;
    let item = items.get(id);
    if (item === undefined) {
      item = { id, taskId, itemId, question, target, said: new Map(), searched: '', texts: [itemId, question, target] };
      items.set(id, item);
    }
    const way = wayOf(row);
    ways.set(way.id, way);
    item.said.set(way.id, row);
    if (isVote(row)) item.texts.push(...row.texts);
    else {
      item.texts.push(row.text);
      for (const scorer of Object.keys(row.correct)) matching.add(scorer);
      for (const scorer of Object.keys(row.probed ?? {})) probing.add(scorer);
    }
  }
  return {
    items: [...items.values()].map(({ texts, ...item }) => ({ ...item, searched: texts.join('\n').toLowerCase() })),
    ways: [...ways.values()].sort((a, b) => a.rank - b.rank).map(({ id, label }) => ({ id, label })),
    tasks: [...new Set([...items.values()].map(({ taskId }) => taskId))],
    scorers: [...matching, ...probing],
  };
}

/** Whether a way of answering was right by a scorer; a vote goes by its own. Undefined where the run does not say. */
export function verdictOf(item: Item, way: string, scorer: string): boolean | undefined {
  const row = item.said.get(way);
  if (row === undefined) return undefined;
  if (isVote(row)) return Object.entries(row.correct).find(([name]) => isSelfConsistency(name))?.[1];
  if (scorer in row.correct) return row.correct[scorer];
  const letter = row.probed?.[scorer];
  return letter === undefined ? undefined : letter === row.target;
}

/** How the verdicts of two ways on one item differ. */
export const CHANGES = {
  gained: 'from wrong to right',
  lost: 'from right to wrong',
  right: 'right both times',
  wrong: 'wrong both times',
} as const;
export type Change = keyof typeof CHANGES;

export function changeOf(item: Item, first: string, second: string, scorer: string): Change | undefined {
  const [a, b] = [verdictOf(item, first, scorer), verdictOf(item, second, scorer)];
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return a ? 'right' : 'wrong';
  return b ? 'gained' : 'lost';
}

export interface Comparison {
  counts: Record<Change, number>;
  /** Items that both were judged on. */
  n: number;
  /** McNemar's exact test of gained against lost, two-sided. */
  p: number;
}

export function compare(items: readonly Item[], first: string, second: string, scorer: string): Comparison {
  const counts: Record<Change, number> = { gained: 0, lost: 0, right: 0, wrong: 0 };
  for (const item of items) {
    const change = changeOf(item, first, second, scorer);
    if (change !== undefined) counts[change]++;
  }
  const n = counts.gained + counts.lost + counts.right + counts.wrong;
  return { counts, n, p: mcnemarExact(counts.lost, counts.gained) };
}

/** The two that a reader most wants to see compared: the first rows' CoT and the last rows' CoT. */
export function defaultPair(ways: readonly Way[]): [first: string, second: string] {
  const cot = ways.filter(({ id }) => id.endsWith('.cot'));
  const [one] = cot.length > 0 ? cot : ways;
  const last = (cot.length > 0 ? cot : ways).at(-1);
  return [one?.id ?? '', last?.id ?? ''];
}
