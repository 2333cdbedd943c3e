// predictionLines.ts: the lines of predictions.jsonl from a run's state: every answer with its question, what probing chose, and
// the samples that voted. It writes nothing.
import { PROBED_BY, PROBINGS, selfConsistencyScorer } from '../config/scorerNames';
import { judgeItem } from '../tasks/score';
import type { Prepared } from './prepare';
import type { PreparedTask } from './preparedQuestions';
import type { PredictionSet, RunState, VoteSet } from './runState';

type Line = Record<string, unknown>;

/** Who was asked what and said what; after the single answers those that voted. */
export function predictionLines(
  { predictions, votes = [] }: Pick<RunState, 'predictions' | 'votes'>,
  prepared: Pick<Prepared, 'tasks'>,
): Line[] {
  const taskOf = (taskId: string): PreparedTask | undefined =>
    prepared.tasks.find(({ config }) => config.name === taskId);
  return [
    ...predictions.flatMap((set) => answerLines(set, taskOf(set.taskId))),
    ...votes.flatMap((set) => voteLines(set, taskOf(set.taskId))),
  ];
}

function answerLines(set: PredictionSet, task: PreparedTask | undefined): Line[] {
  const { system, taskId, prompt } = set;
  const probes = task?.probes[system === 'Baseline' ? 'bare' : 'wrapped'] ?? [];
  const probed = new Map(probes.map(({ itemId }, i) => [itemId, lettersOf(set, i)]));
  const about = itemFields(task);
  return set.predictions.map((prediction) => {
    const letters = prompt === 'plain' ? (probed.get(prediction.itemId) ?? {}) : {};
    const { question, content, read } = about(prediction.itemId);
    return {
      system,
      taskId,
      prompt,
      ...question,
      ...prediction,
      ...read(prediction.text),
      ...(Object.keys(letters).length === 0 ? {} : { probed: letters }),
      ...content,
    };
  });
}

/** What each way of probing chose for the i-th question that was probed, as the rows are called. */
function lettersOf({ probed }: PredictionSet, i: number): Record<string, string> {
  return Object.fromEntries(
    PROBED_BY.flatMap((by) => {
      const letters = probed?.[by]?.[i];
      return letters === undefined
        ? []
        : (['sum', 'mean'] as const).map((measure) => [PROBINGS[by][measure], letters[measure]]);
    }),
  );
}

/** All texts of each question, and what most of them say. */
function voteLines({ system, taskId, predictions }: VoteSet, task: PreparedTask | undefined): Line[] {
  const about = itemFields(task);
  return predictions.map(({ correct, ...prediction }) => {
    const { question, content } = about(prediction.itemId);
    return {
      system,
      taskId,
      prompt: 'cot',
      ...question,
      ...prediction,
      correct: { [selfConsistencyScorer(prediction.samples)]: correct },
      ...content,
    };
  });
}

interface ItemFields {
  /** For readers of the answers, a judge above all: as the plain prompt. */
  question: { question?: string };
  content: { content?: string };
  /** What the strict scorer reads from an answer, whichever scorer the run goes by; null where it reads nothing. */
  read: (text: string) => { answer?: string | null };
}

/** What a line says of its item. */
function itemFields(task: PreparedTask | undefined): (itemId: string) => ItemFields {
  const items = new Map(task?.items.map((item) => [item.id, item]));
  return (itemId) => {
    const item = items.get(itemId);
    if (task === undefined || item === undefined) return { question: {}, content: {}, read: () => ({}) };
    return {
      question: { question: task.task.plainPrompt(item) },
      content: item.content === undefined ? {} : { content: item.content },
      read: (text) => ({ answer: judgeItem(task.task.kind, item, text).answer ?? null }),
    };
  };
}
