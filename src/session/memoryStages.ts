// memoryStages.ts: what a run puts on the GPU, phase by phase, from its experiment and its data: the same batches that the
// phases will make. Answers that are still to be sampled count with their largest length. The sums are model/memory.ts.
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import { PROBED_BY } from '../config/scorerNames';
import type { ModelConfig } from '../formats/modelConfig';
import { planMemory, type MemoryPlan, type MemoryStage } from '../model/memory';
import { boundsOfSizes, completionsSize } from '../recipes/batches';
import { probeSizes, type Question } from '../recipes/evaluate';
import { sizeInstruct } from '../recipes/instruct';
import type { PhaseName } from '../report/types';
import { PROBE_TOKENS } from './evaluation';
import type { Prepared } from './prepare';

/** A plan, and what each of its phases holds at most. */
export interface RunMemory extends MemoryPlan {
  phases: { phase: PhaseName; totalBytes: number }[];
}

const longest = (prompts: readonly { readonly ids: readonly number[] }[]): number =>
  prompts.reduce((most, { ids }) => Math.max(most, ids.length), 1);

/** One system asked everything: a generator, one for self-consistency, then probing. */
function evaluationStages(experiment: Experiment, prepared: Prepared, wrap: 'bare' | 'wrapped'): MemoryStage[] {
  const { evaluation } = experiment;
  const prompts = wrap === 'bare' ? (['plain', 'cot'] as const) : evaluation.prompts;
  const asked: Question[] = prepared.tasks.flatMap((task) => prompts.flatMap((prompt) => task.questions[wrap][prompt]));
  const adapted = wrap === 'wrapped';
  const stages: MemoryStage[] = [];
  if (asked.length > 0) {
    const { batchSize, maxNewTokens } = evaluation;
    stages.push({ kind: 'generation', batchSize, maxPromptTokens: longest(asked), maxNewTokens, adapted });
  }
  if (evaluation.selfConsistency !== undefined && evaluation.selfConsistency !== false) {
    const { batchSize, maxNewTokens } = evaluation;
    const maxPromptTokens = longest(prepared.tasks.flatMap((task) => task.questions[wrap].cot));
    stages.push({ kind: 'generation', batchSize, maxPromptTokens, maxNewTokens, adapted });
  }
  if (evaluation.probing && prompts.includes('plain')) {
    for (const task of prepared.tasks) {
      for (const units of PROBED_BY.map((by) => probeSizes(task.probes[wrap], by))) {
        if (units.length === 0) continue;
        stages.push({ kind: 'scoring', limits: boundsOfSizes(units, PROBE_TOKENS, units.length), adapted });
      }
    }
  }
  return stages;
}

/** Sampling both answers to every prompt, then training on the pairs. */
function refinementStages(
  experiment: Experiment,
  prepared: Prepared,
): { pairs: MemoryStage[]; training: MemoryStage[] } {
  const settings = experiment.phases.selfRefine;
  const items = prepared.refineItems;
  if (settings === false || items.length === 0) return { pairs: [], training: [] };
  const { batchSize, maxNewTokens, samplesPerPrompt } = settings.sampling;
  const maxPromptTokens = Math.max(longest(items.map(({ plain }) => plain)), longest(items.map(({ cot }) => cot)));
  const sampled = maxNewTokens + 1; // and the end of text
  const units = items.flatMap(({ plain, cot, teacher }) => {
    const prompt = (settings.direction === 'cot' ? cot : plain).ids;
    const chosen = settings.direction === 'cot' ? Math.max(teacher.ids.length, sampled) : sampled;
    const unit = completionsSize(prompt.length, [chosen, sampled]);
    return Array.from({ length: samplesPerPrompt }, () => unit);
  });
  const limits = boundsOfSizes(units, settings.microBatchTokens, Math.max(settings.batchSize, units.length));
  return {
    pairs: [{ kind: 'generation', batchSize, maxPromptTokens, maxNewTokens, adapted: true }],
    training: [{ kind: 'training', limits, optimizer: settings.optimizer, dropout: false }],
  };
}

/** What a run will hold at its peak, and in which phase. */
export function planRunMemory(
  experiment: Experiment,
  prepared: Prepared,
  config: ModelConfig,
  tier: 'f32' | 'f16',
): RunMemory {
  const { baseline, instruct, control = false, selfRefine } = experiment.phases;
  const dropout = experiment.adapter.dropout > 0;
  const { pairs, training } = refinementStages(experiment, prepared);
  const byPhase: [PhaseName, MemoryStage[]][] = [];
  if (baseline) byPhase.push(['baseline', evaluationStages(experiment, prepared, 'bare')]);
  if (instruct !== false) {
    const { bounds: limits } = sizeInstruct(prepared.examples, instruct);
    const stage: MemoryStage = { kind: 'training', limits, optimizer: instruct.optimizer, dropout };
    byPhase.push(['instruct', [stage]]);
    if (control !== false) byPhase.push(['control', [stage]]);
  }
  if (selfRefine !== false) byPhase.push(['generate-pairs', pairs], ['self-refine', training]);
  if (instruct !== false || selfRefine !== false) {
    byPhase.push(['evaluate', evaluationStages(experiment, prepared, 'wrapped')]);
  }
  const { quantize } = experiment.student;
  const stages = byPhase.flatMap(([, own]) => own);
  const plan = planMemory(config, { quantize, tier, adapter: experiment.adapter, stages });
  let at = 0;
  const phases = byPhase.map(([phase, own]) => {
    const parts = plan.stages.slice(at, (at += own.length));
    return { phase, totalBytes: parts.reduce((most, { totalBytes }) => Math.max(most, totalBytes), 0) };
  });
  return { ...plan, phases };
}

/**
 * Refuses a run that would take more than `limits.maxGpuBytes`.
 * @throws PupilError `gpu-out-of-memory`, with the plan
 */
export function expectMemory(
  experiment: Experiment,
  prepared: Prepared,
  config: ModelConfig,
  tier: 'f32' | 'f16',
): void {
  const most = experiment.limits.maxGpuBytes;
  if (most === undefined) return;
  const plan = planRunMemory(experiment, prepared, config, tier);
  if (plan.totalBytes <= most) return;
  const parts = Object.entries(plan).filter(([name, bytes]) => name.endsWith('Bytes') && bytes !== 0);
  throw new PupilError(
    'gpu-out-of-memory',
    `limits.maxGpuBytes: expected at most ${most} bytes, this run needs about ${plan.totalBytes} (${parts.map(([name, bytes]) => `${name} ${String(bytes)}`).join(', ')})`,
    'Lower microBatchTokens, the batch of answers or the rank, use NF4, or raise the limit.',
  );
}
