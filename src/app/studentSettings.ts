// studentSettings.ts: what an experiment asks of its student's memory, as the settings of a plan, and back: settings that a
// person chose, written into an experiment. It computes no bytes.
import type { Experiment, ExperimentInput } from '../config/experiment';
import type { Remedy, StudentSettings } from '../session/protocol';

/** What a person may set beside the student; what is absent stays the experiment's. */
export interface OwnSettings {
  quantize?: 'none' | 'nf4' | 'nf4-double';
  tier?: 'auto' | 'f32' | 'f16';
  rank?: number;
  batch?: number;
  length?: number;
  answers?: number;
  newTokens?: number;
}

/** Settings that an experiment does not say: a run chooses by itself what it recomputes. */
export const UNSETTABLE: readonly (keyof StudentSettings)[] = ['activations', 'optimizer', 'dropout', 'targets'];

/**
 * The experiment's settings with a person's own.
 * @param autoTier what tier `auto` is on this device.
 */
export function planSettings(experiment: Experiment, own: OwnSettings, autoTier: 'f32' | 'f16'): StudentSettings {
  const { student, adapter, prompt, phases, evaluation } = experiment;
  const tier = own.tier ?? student.tier;
  const length = own.length ?? prompt.maxPromptTokens + prompt.maxAnswerTokens;
  const passTokens = Math.max(
    phases.instruct === false ? 0 : phases.instruct.microBatchTokens,
    phases.selfRefine === false ? 0 : phases.selfRefine.microBatchTokens,
  );
  return {
    quantize: own.quantize ?? student.quantize,
    tier: tier === 'auto' ? autoTier : tier,
    rank: own.rank ?? adapter.rank,
    targets: adapter.targets,
    batch: own.batch ?? Math.max(1, Math.floor(passTokens / length)),
    length,
    activations: 'auto',
    optimizer: 'adamw',
    dropout: adapter.dropout > 0,
    answers: own.answers ?? evaluation.batchSize,
    newTokens: own.newTokens ?? Math.min(evaluation.maxNewTokens, length),
  };
}

/** A remedy as a change of a person's own settings; undefined where it is none of them. */
export function withRemedy(own: OwnSettings, { setting, to }: Remedy, settings: StudentSettings): OwnSettings {
  if (setting === 'quantize' || setting === 'tier') return { ...own, [setting]: to };
  if (setting === 'length') {
    // As the remedy was computed: answers are no longer than half of it.
    return {
      ...own,
      length: Number(to),
      newTokens: Math.min(settings.newTokens, Math.max(1, Math.floor(Number(to) / 2))),
    };
  }
  return { ...own, [setting]: Number(to) };
}

type Phases = NonNullable<ExperimentInput['phases']>;

/** Prompts and demonstrations that together are no longer than this; each stays as it is where it is short enough. */
function promptFor({ prompt }: Experiment, length: number): { maxPromptTokens: number; maxAnswerTokens: number } {
  const { maxPromptTokens, maxAnswerTokens } = prompt;
  if (maxPromptTokens + maxAnswerTokens <= length) return { maxPromptTokens, maxAnswerTokens };
  const answer = Math.min(maxAnswerTokens, Math.max(Math.floor(length / 2), length - maxPromptTokens));
  return { maxPromptTokens: Math.max(1, length - answer), maxAnswerTokens: Math.max(1, answer) };
}

/**
 * The experiment with another student and a person's settings. A student's own tokenizer comes with it.
 * @param experiment the same document, checked.
 * @param settings of the plan that was shown.
 */
export function withStudent(
  document: ExperimentInput,
  experiment: Experiment,
  {
    source,
    own,
    settings,
  }: { source?: ExperimentInput['student']['source']; own: OwnSettings; settings: StudentSettings },
): ExperimentInput {
  const { student } = document;
  const pass = own.batch === undefined && own.length === undefined ? undefined : settings.batch * settings.length;
  const answering = {
    ...(own.answers === undefined ? {} : { batchSize: own.answers }),
    ...(own.newTokens === undefined ? {} : { maxNewTokens: own.newTokens }),
  };
  const { instruct, selfRefine } = experiment.phases;
  const phases: Phases = { ...document.phases };
  if (instruct !== false && pass !== undefined)
    phases.instruct = { ...inputOf(phases.instruct), microBatchTokens: pass };
  if (selfRefine !== false) {
    const before = inputOf(phases.selfRefine);
    phases.selfRefine = {
      ...before,
      ...(pass === undefined ? {} : { microBatchTokens: pass }),
      ...(Object.keys(answering).length === 0 ? {} : { sampling: { ...before.sampling, ...answering } }),
    };
  }
  return {
    ...document,
    student: {
      ...student,
      ...(source === undefined ? {} : { source, tokenizer: { kind: 'student' as const } }),
      ...(own.quantize === undefined ? {} : { quantize: own.quantize }),
      ...(own.tier === undefined ? {} : { tier: own.tier }),
    },
    ...(own.rank === undefined ? {} : { adapter: { ...document.adapter, rank: own.rank } }),
    ...(own.length === undefined ? {} : { prompt: { ...document.prompt, ...promptFor(experiment, own.length) } }),
    ...(Object.keys(answering).length === 0 ? {} : { evaluation: { ...document.evaluation, ...answering } }),
    phases,
  };
}

/** A phase's own settings; none where it is the default. */
function inputOf<T extends object>(phase: T | false | undefined): T {
  return phase === undefined || phase === false ? ({} as T) : phase;
}
