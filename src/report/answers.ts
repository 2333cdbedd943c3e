// answers.ts: the verdicts on single answers that a run's predictions.jsonl holds: those of one row of a table, those of two rows
// question by question, and the interval that comes of resampling whole questions. No table, no test.
import { clusterBootstrap, type Cluster } from '../base/statistics';
import type { EvaluationRow, PromptKind, SystemName } from './types';

/** A line of predictions.jsonl, as far as it is needed here. */
export interface AnswerRow {
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  itemId: string;
  target: string;
  /** By scorer. */
  correct: Record<string, boolean>;
  /** Letters by the ways of probing, as their rows are called; runs of earlier versions have the one of `probing`. */
  probed?: string | Record<string, string>;
  /** What is asked apart from its wording; absent where every question has its own. */
  content?: string;
  /** As the plain prompt has it; runs of earlier versions have none. */
  question?: string;
}

/** An interval of 95 %, and how it came about. */
export interface SeriesInterval {
  method: 'Wilson' | 'cluster bootstrap';
  low: number;
  high: number;
  /** Questions that count as different. */
  clusters: number;
}

/** What tells the rows of one run apart. */
export type Row = Pick<EvaluationRow, 'system' | 'taskId' | 'prompt' | 'scorer'>;

export const rowKey = ({ system, taskId, prompt, scorer }: Row): string =>
  JSON.stringify([system, taskId, prompt, scorer]);

/** Whether one answer was right, and what the question is a question of. */
export interface Verdict {
  itemId: string;
  /** Questions of one cluster are not independent. */
  cluster: string;
  correct: boolean;
  target: string;
  question?: string;
}

/** Answers by system, task and prompt: tables ask for many rows of one run, and its lines are many. */
const indexes = new WeakMap<readonly AnswerRow[], Map<string, AnswerRow[]>>();

function indexOf(answers: readonly AnswerRow[]): Map<string, AnswerRow[]> {
  let index = indexes.get(answers);
  if (index === undefined) {
    index = new Map();
    for (const answer of answers) {
      const key = answeredKey(answer);
      const group = index.get(key);
      if (group === undefined) index.set(key, [answer]);
      else group.push(answer);
    }
    indexes.set(answers, index);
  }
  return index;
}

const answeredKey = ({ system, taskId, prompt }: Pick<AnswerRow, 'system' | 'taskId' | 'prompt'>): string =>
  JSON.stringify([system, taskId, prompt]);

/** Verdicts of one row of one run, in the order of its questions. */
export function verdicts(answers: readonly AnswerRow[] | undefined, row: Row): Verdict[] {
  const own = answers === undefined ? undefined : indexOf(answers).get(answeredKey(row));
  return (own ?? []).flatMap((answer) => {
    const probed = typeof answer.probed === 'string' ? { probing: answer.probed } : answer.probed;
    const letter = (probed as Record<string, string> | undefined)?.[row.scorer];
    const correct = answer.correct[row.scorer] ?? (letter === undefined ? undefined : letter === answer.target);
    if (correct === undefined) return [];
    const { itemId, target, content, question } = answer;
    const cluster = content ?? `item ${itemId}`;
    return [{ itemId, cluster, correct, target, ...(question === undefined ? {} : { question }) }];
  });
}

/** Verdicts of two rows on the questions that both have, by the questions' ids, in the order of the first. */
export function matched(first: readonly Verdict[], second: readonly Verdict[]): { first: Verdict; second: Verdict }[] {
  const other = new Map(second.map((verdict) => [verdict.itemId, verdict]));
  return first.flatMap((verdict) => {
    const match = other.get(verdict.itemId);
    return match === undefined ? [] : [{ first: verdict, second: match }];
  });
}

/** Values of all runs by cluster: the same question of two seeds is one cluster, and so are two of one content. */
export function clustered(values: readonly { cluster: string; value: number }[]): Cluster[] {
  const clusters = new Map<string, Cluster>();
  for (const { cluster, value } of values) {
    const known = clusters.get(cluster) ?? { sum: 0, count: 0 };
    clusters.set(cluster, { sum: known.sum + value, count: known.count + 1 });
  }
  return [...clusters.values()];
}

/** Of the mean of these values, whole clusters resampled. */
export function bootstrap(values: readonly { cluster: string; value: number }[]): SeriesInterval {
  const clusters = clustered(values);
  return { method: 'cluster bootstrap', ...clusterBootstrap(clusters), clusters: clusters.length };
}
