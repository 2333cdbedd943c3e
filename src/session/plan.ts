// plan.ts: what a run would need, before anything is put on a GPU: bytes, steps, tokens, arithmetic. It reads the config,
// the tokenizer and the data, so its counts of prompts and steps are the run's own; lengths of texts that are still to be
// generated are upper bounds. Hours depend on the machine: they are the arithmetic divided by a speed that the reader names.
import type { Experiment } from '../config/experiment';
import { openCheckpoint } from '../formats/checkpointIndex';
import { parseModelConfig } from '../formats/modelConfig';
import type { MemoryParts } from '../model/memory';
import { parameterCount } from '../model/parameterShapes';
import type { PhaseName } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { studentFiles } from './load';
import { planRunMemory } from './memoryStages';
import { phaseWork } from './phaseWork';
import { prepare } from './prepare';
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

  const work = phaseWork(experiment, prepared);
  const names = [...new Set(work.map(({ phase }) => phase))];
  const phases = names.map((phase): Omit<PhasePlan, 'gpuBytes'> => {
    const own = work.filter((one) => one.phase === phase);
    const trainedTokens = sum(own.map((one) => one.trainedTokens));
    const forwardTokens = Math.round(sum(own.map((one) => one.forwardTokens)));
    const steps = own.find(({ unit }) => unit === 'steps')?.count;
    const flops = parameters * (TRAINED_FLOPS * trainedTokens + FORWARD_FLOPS * forwardTokens);
    return { phase, ...(steps === undefined ? {} : { steps }), trainedTokens, forwardTokens, flops };
  });

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
