// batches.ts: which examples a training step sees, and how they are cut into micro-batches that fit the GPU. Everything
// follows from (seed, epoch, step), so the data cursor of a checkpoint is the step alone. No GPU, no loss here.
import { RandomStream } from '../base/random';
import { countTargets, type Sequence } from '../model/batch';

/** What belongs together in a micro-batch: one example, or the two sequences of a preference pair. */
export type Unit = readonly Sequence[];

/** Upper bounds of one micro-batch, as model/trainer.ts wants them. */
export interface BatchBounds {
  tokens: number;
  targets: number;
  sequences: number;
}

/** Steps of one pass over n examples; the last batch of a pass may be smaller, as in the Hugging Face trainer. */
export function stepsPerEpoch(n: number, batchSize: number): number {
  return Math.ceil(n / batchSize);
}

/**
 * Optimiser steps of a phase: ⌈epochs · steps per epoch⌉, or `maxSteps`, whichever is less. With `maxSteps` alone the data
 * repeats as often as it takes.
 */
export function totalSteps(
  n: number,
  o: { batchSize: number; epochs?: number | undefined; maxSteps?: number | undefined },
): number {
  const byEpochs = o.epochs === undefined ? Infinity : Math.ceil(o.epochs * stepsPerEpoch(n, o.batchSize));
  return Math.min(byEpochs, o.maxSteps ?? Infinity);
}

/**
 * Indices of the examples in optimiser step `step` (from 1). Each epoch is a fresh seeded shuffle of all n, derived from
 * (seed, purpose, epoch) and nothing else.
 */
export function batchOfStep(
  o: { seed: number; purpose: string; n: number; batchSize: number },
  step: number,
): { epoch: number; indices: number[] } {
  const perEpoch = stepsPerEpoch(o.n, o.batchSize);
  const epoch = Math.floor((step - 1) / perEpoch);
  const first = ((step - 1) % perEpoch) * o.batchSize;
  const order = new RandomStream(o.seed, `shuffle ${o.purpose} ${epoch}`).shuffled(
    Array.from({ length: o.n }, (_, i) => i),
  );
  return { epoch, indices: order.slice(first, first + o.batchSize) };
}

export function unitTokens(unit: Unit): number {
  return unit.reduce((sum, sequence) => sum + sequence.ids.length, 0);
}

export function unitTargets(unit: Unit): number {
  return unit.reduce((sum, sequence) => sum + countTargets(sequence), 0);
}

/**
 * Cuts a batch into micro-batches of at most `maxTokens` tokens, in order; a unit longer than that gets one of its own.
 * Which cut is made changes memory and speed only: losses and gradients are sums over the whole batch.
 */
export function microBatches<T extends Unit>(units: readonly T[], maxTokens: number): T[][] {
  const out: T[][] = [];
  let tokens = 0;
  for (const unit of units) {
    const size = unitTokens(unit);
    const last = out.at(-1);
    if (last === undefined || tokens + size > maxTokens) {
      out.push([unit]);
      tokens = size;
    } else {
      last.push(unit);
      tokens += size;
    }
  }
  return out;
}

/** A unit in numbers: all that memory and time depend on. */
export interface UnitSize {
  tokens: number;
  targets: number;
  sequences: number;
}

const sizeOf = (unit: Unit): UnitSize => ({
  tokens: unitTokens(unit),
  targets: unitTargets(unit),
  sequences: unit.length,
});

/** Bounds that every micro-batch of these units keeps, whatever the shuffle. */
export function boundsOf(units: readonly Unit[], maxTokens: number, batchSize: number): BatchBounds {
  return boundsOfSizes(units.map(sizeOf), maxTokens, batchSize);
}

/** As {@link boundsOf}, of units that are not made yet. */
export function boundsOfSizes(units: readonly UnitSize[], maxTokens: number, batchSize: number): BatchBounds {
  if (units.length === 0) return { tokens: 1, targets: 1, sequences: 1 };
  const longest = units.reduce((most, { tokens }) => Math.max(most, tokens), 1);
  const shortest = units.reduce((least, { tokens }) => Math.min(least, tokens), Infinity);
  const mostTargets = units.reduce((most, { targets }) => Math.max(most, targets), 1);
  const mostSequences = units.reduce((most, { sequences }) => Math.max(most, sequences), 1);
  const tokens = Math.max(longest, Math.min(maxTokens, batchSize * longest));
  const count = Math.max(1, Math.min(batchSize, Math.floor(tokens / shortest)));
  return { tokens, targets: Math.min(tokens, count * mostTargets), sequences: count * mostSequences };
}

/** The larger of two bounds in every respect. */
export function unionBounds(a: BatchBounds, b: BatchBounds): BatchBounds {
  return {
    tokens: Math.max(a.tokens, b.tokens),
    targets: Math.max(a.targets, b.targets),
    sequences: Math.max(a.sequences, b.sequences),
  };
}

/** A prompt and its completion as one sequence: the prompt is masked, every token of the completion is a target. */
export function completionSequence(prompt: readonly number[], completion: readonly number[]): Sequence {
  return {
    ids: [...prompt, ...completion],
    labels: [...prompt.map(() => -100), ...completion],
  };
}

/** The size of {@link completionSequence}s under one prompt, as one unit. The first token of a sequence is never a target. */
export function completionsSize(promptTokens: number, completions: readonly number[]): UnitSize {
  const size = { tokens: 0, targets: 0, sequences: completions.length };
  for (const tokens of completions) {
    size.tokens += promptTokens + tokens;
    size.targets += promptTokens > 0 ? tokens : Math.max(0, tokens - 1);
  }
  return size;
}
