// plan.ts: what a run would need, before anything is put on a GPU: bytes, steps, tokens, arithmetic. It reads the config,
// the tokenizer and the data, so its counts of prompts and steps are the run's own; lengths of texts that are still to be
// generated are upper bounds. Hours depend on the machine: they are the arithmetic divided by a speed that the reader names.
import type { Experiment } from '../config/experiment';
import { PROBED_BY } from '../config/scorerNames';
import { openCheckpoint } from '../formats/checkpointIndex';
import { parseModelConfig } from '../formats/modelConfig';
import type { MemoryParts } from '../model/memory';
import { parameterCount } from '../model/parameterShapes';
import { totalSteps, unitTokens } from '../recipes/batches';
import { probeUnits } from '../recipes/evaluate';
import { planInstruct } from '../recipes/instruct';
import type { PhaseName, PromptKind } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { studentFiles } from './load';
import { planRunMemory } from './memoryStages';
import { prepare, type Prepared } from './prepare';
import { expectRows, loadTokenizer } from './tokenizers';

export interface PhasePlan {
  phase: PhaseName;
  /** Optimiser steps of a training phase. */
  steps?: number;
  /** Tokens that go through forward and backward. */
  trainedTokens: number;
  /** Tokens that go through forward only: prompts, scoring, and at most so many generated ones. */
  forwardTokens: number;
  /** Floating-point operations, attention left out. */
  flops: number;
  /** Bytes on the GPU at most while it lasts. */
  gpuBytes: number;
}

export interface RunPlan {
  name: string;
  parameters: number;
  /** At the moment when most is held. */
  bytes: MemoryParts;
  phases: PhasePlan[];
  totalTokens: number;
  totalFlops: number;
  /** Warnings of the data, as a run would log them. */
  warnings: string[];
}

/**
 * A trained token costs 2P forward, 2P once more for the recomputation, and 2P backward (dX only: the base is frozen);
 * a token that is only read or generated costs 2P.
 */
const TRAINED_FLOPS = 6;
const FORWARD_FLOPS = 2;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Prompts of one system's evaluation, at most as many new tokens as the experiment allows, and every option that is probed. */
function evaluationTokens(experiment: Experiment, prepared: Prepared, wrap: 'bare' | 'wrapped'): number {
  const { maxNewTokens, prompts, probing, selfConsistency = false } = experiment.evaluation;
  const asked: readonly PromptKind[] = wrap === 'bare' ? ['plain', 'cot'] : prompts;
  return sum(
    prepared.tasks.flatMap((task) => [
      ...asked.flatMap((prompt) => task.questions[wrap][prompt].map(({ ids }) => ids.length + maxNewTokens)),
      ...(selfConsistency === false
        ? []
        : task.questions[wrap].cot.map(({ ids }) => selfConsistency.samples * (ids.length + maxNewTokens))),
      ...(probing && asked.includes('plain')
        ? PROBED_BY.flatMap((by) => probeUnits(task.probes[wrap], by).map(unitTokens))
        : []),
    ]),
  );
}

/**
 * The plan of a run. Needs no GPU.
 * @throws PupilError whatever reading the student's header, the tokenizer and the data may throw.
 */
export async function planRun(experiment: Experiment, files: OpenRoot): Promise<RunPlan> {
  const { source, open } = studentFiles(experiment, files);
  const checkpoint = await openCheckpoint(open, source);
  const config = parseModelConfig(checkpoint.config, `${checkpoint.name}/config.json`);
  const tokenizer = await loadTokenizer(experiment.student.tokenizer, files, open);
  expectRows(tokenizer, config.vocabSize);
  const prepared = await prepare(experiment, files, tokenizer, config);
  const parameters = parameterCount(config);
  const { instruct, control = false, selfRefine, baseline } = experiment.phases;

  const phases: Omit<PhasePlan, 'gpuBytes'>[] = [];
  const add = (phase: PhaseName, trainedTokens: number, forwardTokens: number, steps?: number): void => {
    const flops = parameters * (TRAINED_FLOPS * trainedTokens + FORWARD_FLOPS * forwardTokens);
    phases.push({ phase, ...(steps === undefined ? {} : { steps }), trainedTokens, forwardTokens, flops });
  };
  if (baseline) add('baseline', 0, evaluationTokens(experiment, prepared, 'bare'));
  if (instruct !== false) {
    const plan = planInstruct(prepared.examples, instruct);
    const perExample =
      sum(prepared.examples.map(({ prompt, answer }) => prompt.length + answer.length)) / plan.units.length;
    const tokens = (steps: number): number => Math.round(perExample * steps * instruct.batchSize);
    add('instruct', tokens(plan.totalSteps), 0, plan.totalSteps);
    if (control !== false) add('control', tokens(control.steps), 0, control.steps);
  }
  if (selfRefine !== false) {
    const { maxNewTokens, samplesPerPrompt } = selfRefine.sampling;
    const items = prepared.refineItems;
    const sampled = sum(items.map(({ plain, cot }) => plain.ids.length + cot.ids.length + 2 * maxNewTokens));
    add('generate-pairs', 0, sampled * samplesPerPrompt);
    const pairs = items.length * samplesPerPrompt;
    const perPair = sum(items.map(({ cot }) => 2 * (cot.ids.length + maxNewTokens))) / Math.max(1, items.length);
    const training = Math.max(
      0,
      pairs - Math.max(selfRefine.minValidationPairs, selfRefine.validationFraction * pairs),
    );
    const steps = training === 0 ? 0 : totalSteps(Math.floor(training), selfRefine);
    const validations = Math.ceil(steps / selfRefine.evaluateEverySteps) * (pairs - training);
    add(
      'self-refine',
      Math.round(perPair * steps * selfRefine.batchSize),
      Math.round(perPair * (pairs + validations)),
      steps,
    );
  }
  const tuned = [instruct, control, selfRefine].filter((phase) => phase !== false).length;
  if (tuned > 0) add('evaluate', 0, tuned * evaluationTokens(experiment, prepared, 'wrapped'));

  const {
    phases: held,
    stages: _stages,
    loading: _loading,
    parameters: _parameters,
    ...bytes
  } = planRunMemory(experiment, prepared, config, experiment.student.tier === 'f16' ? 'f16' : 'f32');
  return {
    name: experiment.name,
    parameters,
    bytes,
    phases: phases.map((plan) => ({
      ...plan,
      gpuBytes: held.find(({ phase }) => phase === plan.phase)?.totalBytes ?? bytes.weightsBytes,
    })),
    totalTokens: sum(phases.map((phase) => phase.trainedTokens + phase.forwardTokens)),
    totalFlops: sum(phases.map((phase) => phase.flops)),
    warnings: prepared.warnings,
  };
}
