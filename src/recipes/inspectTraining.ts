// inspectTraining.ts: `inspect gradients` and `inspect dpo`: losses, log-probabilities and LoRA gradients at a given adapter,
// and optionally a few optimiser steps on the same batch (AdamW 0.9, 0.999, 1e-8, decoupled decay, constant rate).
import { PupilError } from '../base/errors';
import { writePeftAdapter, type AdapterFile } from '../formats/peft';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../formats/safetensorsWrite';
import { Adapter } from '../model/adapter';
import { countTargets, IGNORED, packSequences } from '../model/batch';
import type { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { optimizer } from '../optim/optimizer';
import { boundsOf, completionSequence, microBatches, type Unit } from './batches';
import { loadAdapterFile, oneOf } from './files';
import { expectFinite } from './training';
import { parsePairs, readBatch, type InspectJob, type InspectOptions } from './inspectInput';
import { scorePairs } from './selfRefine';

const MAX_TOKENS = 4096;

/** `--steps` and what belongs to it; undefined where no steps are asked for. */
interface StepOptions {
  steps: number;
  learningRate: number;
  weightDecay: number;
  maxNorm: number;
  adapterOut: string | undefined;
}

function stepOptions(options: InspectOptions): StepOptions | undefined {
  const steps = options.number('steps', 0);
  if (!Number.isInteger(steps)) throw new PupilError('usage', `--steps: expected a whole number, got ${steps}`);
  if (steps === 0) return undefined;
  return {
    steps,
    learningRate: options.number('lr'),
    weightDecay: options.number('weightDecay', 0),
    maxNorm: options.number('clip', 0),
    adapterOut: options.optionalPath('adapterOut'),
  };
}

/** The adapter without its dropout: inspections have none. */
function makeAdapter(student: Student, file: AdapterFile): Adapter {
  return Adapter.fromPeft(student, { ...file, dropout: 0 });
}

function f32(name: string, shape: readonly number[], data: ArrayLike<number>): TensorData {
  return { name, dtype: 'f32', shape, data: Float32Array.from(data) };
}

async function gradientTensors(trainer: Trainer): Promise<TensorData[]> {
  return [...(await trainer.gradients())].map(([name, { shape, data }]) => f32(`grad.${name}`, shape, data));
}

async function exportAdapter(job: InspectJob, folder: string, adapter: Adapter, file: AdapterFile): Promise<void> {
  const trained = await adapter.toPeft(file.baseModel);
  // The file's own words, unless it also said that only some layers have these modules: then by path.
  const everywhere = [trained.targetModules].flat().every((name) => !name.includes('.'));
  const targetModules = everywhere ? file.targetModules : trained.targetModules;
  const written = writePeftAdapter({ ...trained, dropout: file.dropout, targetModules });
  for (const [name, bytes] of Object.entries(written)) await job.out.write(`${folder}/${name}`, bytes);
}

/**
 * `--batch` (input_ids, attention_mask, labels I64 [B,T]) → `loss` [1], the mean over all target tokens; `token_logps`
 * [B,T−1], entry t scores input_ids[t+1], 0 where ignored; `grad.<PEFT name>`, of the adapter's factors: none without
 * one. With `--steps`: `losses` [N+1] (before each step, and after the last), `grad_norms` [N] before clipping, and the
 * adapter to `--adapter-out`.
 * @throws PupilError `usage` for `--steps` without `--adapter`: there is nothing to train.
 */
export async function inspectGradients(student: Student, job: InspectJob, options: InspectOptions): Promise<void> {
  const folder = options.optionalPath('adapter');
  const stepping = stepOptions(options);
  if (folder === undefined && stepping !== undefined) {
    throw new PupilError(
      'usage',
      'inspect gradients: --adapter: expected the PEFT adapter to train, got nothing',
      'Steps change LoRA factors: give an adapter (one with B = 0 leaves the student as it is).',
    );
  }
  const file = folder === undefined ? undefined : await loadAdapterFile(job.files, folder);
  const batch = await readBatch(job.files, options.path('batch'), student.config, true);
  const units: Unit[] = batch.sequences.map((sequence) => [sequence]);
  const totalTargets = batch.sequences.reduce((sum, sequence) => sum + countTargets(sequence), 0);
  if (totalTargets === 0) {
    throw new PupilError(
      'training',
      'inspect gradients: expected target tokens, every label is −100',
      'A loss over nothing would be a silent 0.',
    );
  }
  // A row without targets adds nothing to loss and gradients, and a micro-batch of such rows would be refused.
  const groups = microBatches(
    units.filter((unit) => unit.some((sequence) => countTargets(sequence) > 0)),
    MAX_TOKENS,
  ).map((group) => packSequences(group.flat()));

  const adapter = file === undefined ? undefined : makeAdapter(student, file);
  const trainer = new Trainer(student, adapter, {
    limits: boundsOf(units, MAX_TOKENS, batch.B),
    ...(adapter === undefined ? {} : { optimizer: optimizer('adamw') }),
  });
  try {
    await trainer.ready();
    const score = async (): Promise<number[]> => {
      const logps: number[] = [];
      for (const group of groups) logps.push(...(await trainer.tokenLogps(group)));
      return logps;
    };
    const lossOf = (logps: readonly number[]): number => -logps.reduce((sum, logp) => sum + logp, 0) / totalTargets;
    const accumulate = async (completed: number): Promise<void> => {
      trainer.beginStep(completed);
      for (const group of groups) await trainer.accumulateSupervised(group, totalTargets);
    };

    const logps = await score();
    const tokenLogps = new Float32Array(batch.B * (batch.T - 1)); // (B, T−1)
    let next = 0;
    batch.sequences.forEach((sequence, b) => {
      for (let t = 1; t < sequence.ids.length; t++) {
        if (sequence.labels![t] !== IGNORED) tokenLogps[b * (batch.T - 1) + t - 1] = logps[next++]!;
      }
    });
    const tensors = [f32('loss', [1], [lossOf(logps)]), f32('token_logps', [batch.B, batch.T - 1], tokenLogps)];
    if (adapter !== undefined) {
      await accumulate(0);
      tensors.push(...(await gradientTensors(trainer)));
    }
    if (stepping !== undefined) {
      const losses: number[] = [];
      const norms: number[] = [];
      for (let step = 1; step <= stepping.steps; step++) {
        await accumulate(step - 1);
        await trainer.update({ ...stepping, step });
        const metrics = await trainer.metrics();
        expectFinite('inspect gradients', step, metrics);
        losses.push(metrics.loss);
        norms.push(metrics.gradNorm);
      }
      losses.push(expectFiniteLoss('inspect gradients', stepping.steps, lossOf(await score())));
      tensors.push(f32('losses', [losses.length], losses), f32('grad_norms', [norms.length], norms));
      if (stepping.adapterOut !== undefined) await exportAdapter(job, stepping.adapterOut, adapter!, file!);
    }
    await job.out.write(options.path('out'), writeSafetensors(inLibraryOrder(tensors)));
  } finally {
    trainer.destroy();
    adapter?.destroy();
  }
}

/**
 * `--pairs` [{prompt, chosen, rejected}] → log-probabilities of policy and reference, `losses`, `rewards_chosen`,
 * `rewards_rejected` F32 [P] (sums; per-token means for ipo), `loss` [1] their mean, `grad.<PEFT name>` of that mean for
 * the policy's adapter. With `--steps` as above: `losses` [N+1] and `grad_norms` [N] are those of the steps, the pairs'
 * losses at the given adapter are `pair_losses`.
 */
export async function inspectDpo(student: Student, job: InspectJob, options: InspectOptions): Promise<void> {
  const loss = oneOf('--loss', options.text('loss', 'sigmoid'), ['sigmoid', 'ipo', 'hinge', 'robust']);
  const beta = options.number('beta', 0.1);
  const labelSmoothing = options.number('labelSmoothing', 0);
  const policyFile = await loadAdapterFile(job.files, options.path('adapter'));
  const referenceFile = await loadAdapterFile(job.files, options.path('referenceAdapter'));
  const stepping = stepOptions(options);
  const path = options.path('pairs');
  const pairs = parsePairs(await job.files.readText(path), path, student.config);
  const P = pairs.length;
  const units: Unit[] = pairs.map(({ prompt, chosen, rejected }) => [
    completionSequence(prompt, chosen),
    completionSequence(prompt, rejected),
  ]);
  const limits = boundsOf(units, MAX_TOKENS, P);
  const scoring = { loss, microBatchTokens: MAX_TOKENS };

  const reference = await withTrainer(student, referenceFile, limits, ({ trainer }) =>
    scorePairs(trainer, units, scoring),
  );
  await withTrainer(student, policyFile, limits, async ({ trainer, adapter }) => {
    const policy = await scorePairs(trainer, units, scoring);
    const accumulate = async (completed: number): Promise<void> => {
      trainer.beginStep(completed);
      let at = 0;
      for (const group of microBatches(units, MAX_TOKENS)) {
        const own = reference.subarray(at, at + 2 * group.length);
        at += 2 * group.length;
        const settings = { loss, beta, labelSmoothing, totalPairs: P };
        await trainer.accumulatePreference(packSequences(group.flat()), own, settings);
      }
    };
    await accumulate(0);
    const gradients = await gradientTensors(trainer);
    const metrics = await trainer.metrics();
    const even = (values: Float32Array): Float32Array => values.filter((_, i) => i % 2 === 0);
    const odd = (values: Float32Array): Float32Array => values.filter((_, i) => i % 2 === 1);
    const tensors = [
      f32('policy_chosen_logps', [P], even(policy)),
      f32('policy_rejected_logps', [P], odd(policy)),
      f32('reference_chosen_logps', [P], even(reference)),
      f32('reference_rejected_logps', [P], odd(reference)),
      f32('losses', [P], metrics.pairs!.losses),
      f32('rewards_chosen', [P], metrics.pairs!.rewardsChosen),
      f32('rewards_rejected', [P], metrics.pairs!.rewardsRejected),
      f32('loss', [1], [metrics.loss]),
      ...gradients,
    ];
    if (stepping !== undefined) {
      const stepLosses: number[] = [];
      const norms: number[] = [];
      for (let step = 1; step <= stepping.steps; step++) {
        await accumulate(step - 1);
        await trainer.update({ ...stepping, step });
        const now = await trainer.metrics();
        expectFinite('inspect dpo', step, now);
        stepLosses.push(now.loss);
        norms.push(now.gradNorm);
      }
      await accumulate(stepping.steps);
      stepLosses.push(expectFiniteLoss('inspect dpo', stepping.steps, (await trainer.metrics()).loss));
      // As in `gradients`, `losses` is then the steps'; the pairs' own move to another name.
      const own = tensors.findIndex((tensor) => tensor.name === 'losses');
      tensors[own] = { ...tensors[own]!, name: 'pair_losses' };
      tensors.push(f32('losses', [stepLosses.length], stepLosses), f32('grad_norms', [norms.length], norms));
      if (stepping.adapterOut !== undefined) await exportAdapter(job, stepping.adapterOut, adapter, policyFile);
    }
    await job.out.write(options.path('out'), writeSafetensors(inLibraryOrder(tensors)));
  });
}

function expectFiniteLoss(what: string, steps: number, loss: number): number {
  if (Number.isFinite(loss)) return loss;
  throw new PupilError(
    'training',
    `${what}: expected a finite loss after ${steps} steps, got ${loss}`,
    'The last step has thrown the adapter out of range: lower --lr, or turn --clip on.',
  );
}

async function withTrainer<T>(
  student: Student,
  file: AdapterFile,
  limits: ReturnType<typeof boundsOf>,
  use: (made: { trainer: Trainer; adapter: Adapter }) => Promise<T>,
): Promise<T> {
  const adapter = makeAdapter(student, file);
  const trainer = new Trainer(student, adapter, { limits, optimizer: optimizer('adamw') });
  try {
    await trainer.ready();
    return await use({ trainer, adapter });
  } finally {
    trainer.destroy();
    adapter.destroy();
  }
}
