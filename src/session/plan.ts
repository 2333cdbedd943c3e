// plan.ts: what a run would need, before anything is put on a GPU: bytes, steps, tokens, arithmetic. It reads the student's
// config.json, the tokenizer and the data, so its counts of prompts and steps are the run's own; lengths of texts that are still
// to be generated are upper bounds. What is not there yet is estimated, and the plan says so (planStandIns.ts). Hours depend on
// the machine: they are the plan divided by speeds that somebody measured or states.
import { PupilError } from '../base/errors';
import { Once } from '../base/once';
import type { Experiment } from '../config/experiment';
import { studentFolder } from '../config/studentFolder';
import type { OpenFile } from '../formats/byteSource';
import { readWhole } from '../formats/byteSource';
import { parseJsonObject, type JsonObject } from '../formats/jsonText';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import { adapterElements, type MemoryParts } from '../model/memory';
import { parameterCount } from '../model/parameterShapes';
import type { PhaseName } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { studentFiles } from './load';
import { planRunMemory } from './memoryStages';
import { phaseWork } from './phaseWork';
import { countingTokenizer, standIns } from './planStandIns';
import { prepare, type Prepared } from './prepare';
import { expectRows, loadTokenizer, type LoadedTokenizer } from './tokenizers';

export interface PhasePlan {
  phase: PhaseName;
  /** Optimiser steps of a training phase. */
  steps?: number;
  /** Tokens that go through forward and backward. */
  trainedTokens: number;
  /** Tokens that go through forward only: prompts, scoring, and at most so many generated ones. */
  forwardTokens: number;
  /** Of these, tokens that are generated one after the other, at most. */
  generatedTokens: number;
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
  /** config.json, as planned by. */
  config: JsonObject;
  /** On the disk: one adapter's file, and what the checkpoints take at most, the last good one beside the newest. */
  disk: { adapterBytes: number; adapters: number; checkpointBytes: number };
  /** Warnings of the data, as a run would log them. */
  warnings: string[];
  /** What was not there and has been assumed, a sentence each; empty where every count is the run's own. */
  estimates: string[];
}

export interface PlanOptions {
  /** config.json of a published student by the last part of its folder; for planning before it is downloaded. */
  shapeOf?: (name: string) => JsonObject | undefined;
}

/**
 * A trained token costs 2P forward, 2P once more for the recomputation, and 2P backward (dX only: the base is frozen);
 * a token that is only read or generated costs 2P.
 */
const TRAINED_FLOPS = 6;
const FORWARD_FLOPS = 2;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Arrays of a checkpoint that are as large as the adapter: itself, two of the optimiser, the instructed and the best one. */
const CHECKPOINT_ARRAYS = { adamw: 5, rmsprop: 4 };
/** The newest commit beside the last one: what changes with every step is there twice. */
const CHANGING_ARRAYS = { adamw: 3, rmsprop: 2 };

/** Far above any real config. */
const MAX_CONFIG_BYTES = 2 ** 22;

/** The student's config: its own, or that of a published student of this name. */
async function configOf(
  experiment: Experiment,
  source: string,
  open: OpenFile,
  { shapeOf }: PlanOptions,
): Promise<{ config: ModelConfig; estimates: string[] }> {
  const file = await open('config.json');
  if (file !== undefined) {
    const json = parseJsonObject(await readWhole(file, MAX_CONFIG_BYTES), `${source}/config.json`);
    return { config: parseModelConfig(json, `${source}/config.json`), estimates: [] };
  }
  const name = studentFolder(experiment.student.source).replace(/\/+$/, '').replace(/^.*\//, '');
  const shape = shapeOf?.(name);
  if (shape === undefined) {
    throw new PupilError(
      'checkpoint',
      `${source}: expected a file config.json, there is none`,
      'Name the folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json). For a plan its config.json alone will do.',
    );
  }
  return { config: parseModelConfig(shape, name), estimates: [`${name} is not here: planned by the published shape`] };
}

/** The tokenizer, or one that counts where there is none. */
async function tokenizerOf(
  { student, prompt }: Experiment,
  files: OpenRoot,
  open: OpenFile,
): Promise<{ loaded: LoadedTokenizer; estimates: string[] }> {
  try {
    return { loaded: await loadTokenizer(student.tokenizer, files, open), estimates: [] };
  } catch (error) {
    if (!(error instanceof PupilError) || error.code !== 'source') throw error;
    const { tokenizer } = countingTokenizer();
    const template = prompt.wrapper === 'chat' ? { chatTemplate: COUNTED_TEMPLATE, endOfTurnId: 2 } : {};
    return {
      loaded: { tokenizer, ...template },
      estimates: ['the tokenizer is not here: tokens are counted by the characters of texts'],
    };
  }
}

/** Stands for a chat template: a few control words around each turn. */
const COUNTED_TEMPLATE =
  "{% for message in messages %}[turn] {{ message['content'] }} [end]{% endfor %}{% if add_generation_prompt %}[turn]{% endif %}";

/** The plan of a run. @throws PupilError as {@link RunPlanner.plan} */
export function planRun(asked: Experiment, root: OpenRoot, options: PlanOptions = {}): Promise<RunPlan> {
  return new RunPlanner(root, options).plan(asked);
}

/** A student as plans need it, and what experiments of it have in common. */
interface PlannedStudent {
  config: ModelConfig;
  loaded: LoadedTokenizer;
  estimates: string[];
  once: Once;
}

/**
 * Plans runs of one grid: every file is read, every question and demonstration encoded once, however many cells have it in
 * common. It is of one moment: whoever plans again, after files have changed, takes another one.
 */
export class RunPlanner {
  private readonly students = new Once();

  constructor(
    private readonly root: OpenRoot,
    private readonly options: PlanOptions = {},
  ) {}

  /**
   * The plan of one of them. Needs no GPU, and of the student no more than its config.json.
   * @throws PupilError whatever reading the student's config, the tokenizer and the data may throw; files that are not
   *   there are no error but an estimate.
   */
  async plan(asked: Experiment): Promise<RunPlan> {
    const { config, loaded, estimates: ofStudent, once } = await this.studentOf(asked);
    const { experiment, files, estimates: ofData } = await standIns(asked, this.root, once);
    const prepared = await prepare(experiment, files, loaded, config, { once, lengthsOnly: true });
    return planOf(experiment, prepared, config, [...ofStudent, ...ofData]);
  }

  private studentOf(asked: Experiment): Promise<PlannedStudent> {
    const { student, prompt } = asked;
    const follows = { source: student.source, tokenizer: student.tokenizer, wrapper: prompt.wrapper };
    return this.students.of('student', follows, async () => {
      const { source, open } = studentFiles(asked, this.root);
      const { config, estimates } = await configOf(asked, source, open, this.options);
      const { loaded, estimates: ofTokenizer } = await tokenizerOf(asked, this.root, open);
      expectRows(loaded, config.vocabSize);
      return { config, loaded, estimates: [...estimates, ...ofTokenizer], once: new Once() };
    });
  }
}

function planOf(experiment: Experiment, prepared: Prepared, config: ModelConfig, estimates: string[]): RunPlan {
  const parameters = parameterCount(config);
  const { evaluation, adapter } = experiment;
  const { instruct, control = false, selfRefine } = experiment.phases;

  const work = phaseWork(experiment, prepared);
  const names = [...new Set(work.map(({ phase }) => phase))];
  const phases = names.map((phase): Omit<PhasePlan, 'gpuBytes'> => {
    const own = work.filter((one) => one.phase === phase);
    const trainedTokens = sum(own.map((one) => one.trainedTokens));
    const forwardTokens = Math.round(sum(own.map((one) => one.forwardTokens)));
    const newTokens =
      phase === 'generate-pairs' && selfRefine !== false ? selfRefine.sampling.maxNewTokens : evaluation.maxNewTokens;
    const generatedTokens = newTokens * sum(own.map(({ unit, count }) => (unit === 'answers' ? count : 0)));
    const steps = own.find(({ unit }) => unit === 'steps')?.count;
    const flops = parameters * (TRAINED_FLOPS * trainedTokens + FORWARD_FLOPS * forwardTokens);
    return { phase, ...(steps === undefined ? {} : { steps }), trainedTokens, forwardTokens, generatedTokens, flops };
  });

  const {
    phases: held,
    stages: _stages,
    loading: _loading,
    parameters: _parameters,
    ...bytes
  } = planRunMemory(experiment, prepared, config, experiment.student.tier === 'f16' ? 'f16' : 'f32');
  const adapterBytes = 4 * adapterElements(config, adapter);
  const optimizers = [instruct, selfRefine].flatMap((phase) => (phase === false ? [] : [phase.optimizer]));
  const checkpointArrays = optimizers.map((optimizer) => CHECKPOINT_ARRAYS[optimizer] + CHANGING_ARRAYS[optimizer]);
  return {
    name: experiment.name,
    parameters,
    config: config.raw,
    bytes,
    phases: phases.map((plan) => ({
      ...plan,
      gpuBytes: held.find(({ phase }) => phase === plan.phase)?.totalBytes ?? bytes.weightsBytes,
    })),
    totalTokens: sum(phases.map((phase) => phase.trainedTokens + phase.forwardTokens)),
    totalFlops: sum(phases.map((phase) => phase.flops)),
    disk: {
      adapterBytes,
      adapters: [instruct, control, selfRefine].filter((phase) => phase !== false).length,
      checkpointBytes: adapterBytes * Math.max(0, ...checkpointArrays),
    },
    warnings: prepared.warnings,
    estimates,
  };
}
