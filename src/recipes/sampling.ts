// sampling.ts: many prompts answered side by side, in work that can be interrupted whenever a batch of them is complete. An
// answer depends on the seed, the stream and the prompt's number, never on its company, so stopping and resuming changes no
// token.
import type { Generation } from '../model/generator';

/** What the recipes need of model/generator.ts; a fake in tests. */
export interface AnswerGenerator {
  generate(
    prompts: readonly (readonly number[])[],
    options: {
      seed: number;
      stream: string;
      firstSequence?: number;
      /** Awaited when further answers are complete, with all before the first incomplete one; may throw to stop. */
      onAnswers?: (answers: readonly Generation[]) => Promise<void>;
      signal?: AbortSignal;
    },
  ): Promise<Generation[]>;
}

export interface SamplingRun {
  seed: number;
  /** Names the purpose ('y', 'y-hat', 'evaluate …'): each has random numbers of its own under one seed. */
  stream: string;
  /** So many further answers at the least between two calls of onBatch, but for the last. */
  batchSize: number;
  signal?: AbortSignal | undefined;
  /** After every batch, with all answers so far: the place to checkpoint, to pause, and to stop by throwing. */
  onBatch?: (answers: readonly Generation[]) => Promise<void>;
}

/**
 * Answers to all prompts, in order. `done` holds those of an earlier sitting; prompt p is sequence number p either way.
 */
export async function answerPrompts(
  generator: AnswerGenerator,
  prompts: readonly (readonly number[])[],
  run: SamplingRun,
  done: readonly Generation[] = [],
): Promise<Generation[]> {
  const first = done.length;
  if (first === prompts.length) return [...done];
  let told = first;
  const answers = await generator.generate(prompts.slice(first), {
    seed: run.seed,
    stream: run.stream,
    firstSequence: first,
    ...(run.signal === undefined ? {} : { signal: run.signal }),
    onAnswers: async (fresh) => {
      const known = first + fresh.length;
      if (known - told < run.batchSize && known < prompts.length) return;
      told = known;
      await run.onBatch?.([...done, ...fresh]);
    },
  });
  return [...done, ...answers];
}

/** Each prompt repeated k times in a row: prompt i's samples are numbers k·i … k·i + k − 1. */
export function repeatPrompts<T>(prompts: readonly T[], k: number): T[] {
  return prompts.flatMap((prompt) => Array.from({ length: k }, () => prompt));
}
