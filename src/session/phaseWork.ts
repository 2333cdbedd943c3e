// phaseWork.ts: how much work each phase of a run has, from its experiment and its data: optimiser steps, answers to generate,
// pairs and questions to score, and the tokens of each. The counts of prompts and steps are the run's own; the lengths of
// texts that are still to be generated are upper bounds. It knows no time: base/eta.ts measures that.
import type { Experiment } from '../config/experiment';
import { PROBED_BY } from '../config/scorerNames';
import { totalSteps } from '../recipes/batches';
import { probeSizes } from '../recipes/evaluate';
import { sizeInstruct } from '../recipes/instruct';
import type { PhaseName, PromptKind } from '../report/types';
import type { PlannedWork } from './liveProtocol';
import type { Prepared } from './prepare';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Of one system: every answer, and every option that is probed. */
function evaluationWork(
  phase: PhaseName,
  { evaluation }: Experiment,
  prepared: Prepared,
  wrap: 'bare' | 'wrapped',
): PlannedWork[] {
  const { maxNewTokens, prompts, probing, selfConsistency = false } = evaluation;
  const asked: readonly PromptKind[] = wrap === 'bare' ? ['plain', 'cot'] : prompts;
  const samples = selfConsistency === false ? 0 : selfConsistency.samples;
  const answers = prepared.tasks.flatMap((task) => [
    ...asked.flatMap((prompt) => task.questions[wrap][prompt].map(({ ids }) => ({ ids, times: 1 }))),
    ...(samples === 0 ? [] : task.questions[wrap].cot.map(({ ids }) => ({ ids, times: samples }))),
  ]);
  const probes =
    probing && asked.includes('plain')
      ? prepared.tasks.flatMap((task) => PROBED_BY.map((by) => ({ questions: task.probes[wrap], by })))
      : [];
  return [
    {
      phase,
      unit: 'answers',
      count: sum(answers.map(({ times }) => times)),
      trainedTokens: 0,
      forwardTokens: sum(answers.map(({ ids, times }) => times * (ids.length + maxNewTokens))),
    },
    {
      phase,
      unit: 'questions',
      count: sum(probes.map(({ questions }) => questions.length)),
      trainedTokens: 0,
      forwardTokens: sum(probes.flatMap(({ questions, by }) => probeSizes(questions, by).map(({ tokens }) => tokens))),
    },
  ];
}

/** In the order of the phases; what a run does not do is not there. */
export function phaseWork(experiment: Experiment, prepared: Prepared): PlannedWork[] {
  const { instruct, control = false, selfRefine, baseline } = experiment.phases;
  const work: PlannedWork[] = baseline ? evaluationWork('baseline', experiment, prepared, 'bare') : [];
  if (instruct !== false) {
    const { examples } = prepared;
    const plan = sizeInstruct(examples, instruct);
    const perExample = sum(examples.map(({ prompt, answer }) => prompt.length + answer.length)) / examples.length;
    const steps = (phase: PhaseName, count: number): PlannedWork => ({
      phase,
      unit: 'steps',
      count,
      trainedTokens: Math.round(perExample * count * instruct.batchSize),
      forwardTokens: 0,
    });
    work.push(steps('instruct', plan.totalSteps));
    if (control !== false) work.push(steps('control', control.steps));
  }
  if (selfRefine !== false) {
    const { maxNewTokens, samplesPerPrompt } = selfRefine.sampling;
    const items = prepared.refineItems;
    const pairs = items.length * samplesPerPrompt;
    work.push({
      phase: 'generate-pairs',
      unit: 'answers',
      count: 2 * pairs,
      trainedTokens: 0,
      forwardTokens:
        samplesPerPrompt * sum(items.map(({ plain, cot }) => plain.ids.length + cot.ids.length + 2 * maxNewTokens)),
    });
    const perPair = sum(items.map(({ cot }) => 2 * (cot.ids.length + maxNewTokens))) / Math.max(1, items.length);
    const heldOut = Math.max(selfRefine.minValidationPairs, selfRefine.validationFraction * pairs);
    const training = Math.max(0, pairs - heldOut);
    const steps = training === 0 ? 0 : totalSteps(Math.floor(training), selfRefine);
    const validations = Math.ceil(steps / selfRefine.evaluateEverySteps) * (pairs - training);
    work.push(
      { phase: 'self-refine', unit: 'pairs', count: pairs, trainedTokens: 0, forwardTokens: perPair * pairs },
      {
        phase: 'self-refine',
        unit: 'steps',
        count: steps,
        trainedTokens: Math.round(perPair * steps * selfRefine.batchSize),
        forwardTokens: perPair * validations,
      },
    );
  }
  const tuned = [instruct, control, selfRefine].filter((phase) => phase !== false).length;
  if (tuned > 0) {
    for (const one of evaluationWork('evaluate', experiment, prepared, 'wrapped')) {
      const { count, forwardTokens } = one;
      work.push({ ...one, count: tuned * count, forwardTokens: tuned * forwardTokens });
    }
  }
  return work;
}
