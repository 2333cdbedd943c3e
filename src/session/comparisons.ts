// comparisons.ts: who was right where the other was wrong: McNemar's exact test of every two ways in which a run's systems
// answered the same questions. It asks no student.
import { mcnemarExact } from '../base/statistics';
import { isSelfConsistency, selfConsistencyScorer } from '../config/scorerNames';
import { SYSTEM_NAMES, type SystemName } from '../config/systems';
import type { ComparisonRow, PromptKind } from '../report/types';
import type { PredictionSet, VoteSet } from './runState';

/** One way of answering: the verdicts of a system on a task's questions, in their order. */
interface Answering {
  system: SystemName;
  taskId: string;
  prompt: PromptKind;
  scorer: string;
  correct: boolean[];
}

function answeringsOf(sets: readonly PredictionSet[], votes: readonly VoteSet[]): Answering[] {
  return [
    ...sets.flatMap(({ system, taskId, prompt, predictions }) =>
      Object.keys(predictions[0]?.correct ?? {}).map((scorer) => {
        const correct = predictions.map((prediction) => prediction.correct[scorer] === true);
        return { system, taskId, prompt, scorer, correct };
      }),
    ),
    ...votes.flatMap(({ system, taskId, predictions }) => {
      const [first] = predictions;
      if (first === undefined) return [];
      const correct = predictions.map((prediction) => prediction.correct);
      return [{ system, taskId, prompt: 'cot' as const, scorer: selfConsistencyScorer(first.samples), correct }];
    }),
  ];
}

/**
 * McNemar's exact test for every two systems that answered the same questions in the same way, and for each system's single
 * answers against the votes of its samples.
 */
export function compareSystems(sets: readonly PredictionSet[], votes: readonly VoteSet[] = []): ComparisonRow[] {
  const answerings = answeringsOf(sets, votes);
  const rank = ({ system }: Answering): number => SYSTEM_NAMES.indexOf(system);
  return answerings.flatMap((first) =>
    answerings.flatMap((second) => {
      if (first.taskId !== second.taskId || first.prompt !== second.prompt) return [];
      const sameWay = first.scorer === second.scorer && rank(first) < rank(second);
      const votedOn =
        first.system === second.system && !isSelfConsistency(first.scorer) && isSelfConsistency(second.scorer);
      if (!sameWay && !votedOn) return [];
      const onlyFirst = first.correct.filter((correct, i) => correct && second.correct[i] !== true).length;
      const onlySecond = second.correct.filter((correct, i) => correct && first.correct[i] !== true).length;
      return [
        {
          taskId: first.taskId,
          prompt: first.prompt,
          scorer: first.scorer,
          first: first.system,
          second: second.system,
          ...(votedOn ? { secondScorer: second.scorer } : {}),
          onlyFirst,
          onlySecond,
          p: mcnemarExact(onlyFirst, onlySecond),
        },
      ];
    }),
  );
}
