// memoryAdvice.ts: which setting of an experiment would fit where a GPU ran out of memory: the run's own plan under smaller
// settings, against the bytes that the GPU did hold. It changes nothing.
import type { Experiment } from '../../config/experiment';
import { sizeText } from './room';

/** One setting made smaller. */
interface Smaller {
  setting: string;
  experiment: Experiment;
}

const halved = (value: number): number => Math.max(1, Math.floor(value / 2));

/** The experiment with one setting smaller, in the order in which they cost least. */
export function smallerSettings(experiment: Experiment, phase: string | undefined): Smaller[] {
  const { phases, evaluation, student, adapter } = experiment;
  const { instruct, selfRefine } = phases;
  const out: Smaller[] = [];
  const add = (setting: string, from: number | string, to: number | string, change: Partial<Experiment>): void => {
    if (from !== to) out.push({ setting: `${setting} ${from} → ${to}`, experiment: { ...experiment, ...change } });
  };
  if ((phase === 'instruct' || phase === 'control') && instruct !== false) {
    for (let to = halved(instruct.microBatchTokens); to >= 64; to = halved(to)) {
      const changed = { ...instruct, microBatchTokens: to };
      add('phases.instruct.microBatchTokens', instruct.microBatchTokens, to, {
        phases: { ...phases, instruct: changed },
      });
    }
  }
  if (phase === 'self-refine' && selfRefine !== false) {
    for (let to = halved(selfRefine.microBatchTokens); to >= 64; to = halved(to)) {
      const changed = { ...selfRefine, microBatchTokens: to };
      const change = { phases: { ...phases, selfRefine: changed } };
      add('phases.selfRefine.microBatchTokens', selfRefine.microBatchTokens, to, change);
    }
  }
  if (phase === 'generate-pairs' && selfRefine !== false) {
    const { sampling } = selfRefine;
    for (let to = sampling.batchSize; to > 1;) {
      to = halved(to);
      const changed = { ...selfRefine, sampling: { ...sampling, batchSize: to } };
      const change = { phases: { ...phases, selfRefine: changed } };
      add('phases.selfRefine.sampling.batchSize', sampling.batchSize, to, change);
    }
  }
  if (phase === 'baseline' || phase === 'evaluate') {
    for (let to = evaluation.batchSize; to > 1;) {
      to = halved(to);
      add('evaluation.batchSize', evaluation.batchSize, to, { evaluation: { ...evaluation, batchSize: to } });
    }
  }
  // The batches change no number that a run computes; what follows does.
  if (student.tier !== 'f16') add('student.tier', student.tier, 'f16', { student: { ...student, tier: 'f16' } });
  if (phase === 'generate-pairs' && selfRefine !== false) {
    const { sampling } = selfRefine;
    for (let to = halved(sampling.maxNewTokens); to >= 32; to = halved(to)) {
      const changed = { ...selfRefine, sampling: { ...sampling, maxNewTokens: to } };
      const change = { phases: { ...phases, selfRefine: changed } };
      add('phases.selfRefine.sampling.maxNewTokens', sampling.maxNewTokens, to, change);
    }
  }
  if (phase === 'baseline' || phase === 'evaluate') {
    for (let to = halved(evaluation.maxNewTokens); to >= 32; to = halved(to)) {
      const change = { evaluation: { ...evaluation, maxNewTokens: to } };
      add('evaluation.maxNewTokens', evaluation.maxNewTokens, to, change);
    }
  }
  for (let to = halved(adapter.rank); to >= 4; to = halved(to)) {
    add('adapter.rank', adapter.rank, to, { adapter: { ...adapter, rank: to } });
  }
  if (student.quantize === 'none') {
    add('student.quantize', 'none', 'nf4', { student: { ...student, quantize: 'nf4' } });
  }
  if (student.quantize !== 'nf4-double') {
    add('student.quantize', student.quantize, 'nf4-double', { student: { ...student, quantize: 'nf4-double' } });
  }
  return out;
}

/**
 * In words: the smallest change that fits what the GPU held, with its bytes; undefined where nothing can be said. Never
 * throws: an advice must not hide the error that it is for.
 * @param heldBytes what the GPU held at most
 */
export async function memoryAdvice(
  experiment: Experiment,
  phase: string | undefined,
  heldBytes: number,
): Promise<string | undefined> {
  if (heldBytes === 0) return undefined;
  try {
    const planOf = await (await import('../nodeHost')).runPlanner();
    const needs = async (changed: Experiment): Promise<number | undefined> => {
      const plan = await planOf(changed).catch(() => undefined); // a setting may be refused: the next
      return plan?.phases.find((one) => one.phase === phase)?.gpuBytes;
    };
    const wanted = await needs(experiment);
    for (const { setting, experiment: changed } of smallerSettings(experiment, phase)) {
      const bytes = await needs(changed);
      if (bytes === undefined || bytes > heldBytes) continue;
      const planned = wanted === undefined ? '' : `; as it is, ${phase} needs about ${sizeText(wanted)}`;
      return `The GPU held ${sizeText(heldBytes)}: ${setting} would fit (about ${sizeText(bytes)}${planned}).`;
    }
    return `The GPU held ${sizeText(heldBytes)}${wanted === undefined ? '' : ` of about ${sizeText(wanted)}`}: no single setting makes it fit; lower batches, lengths and rank together.`;
  } catch {
    return undefined;
  }
}
