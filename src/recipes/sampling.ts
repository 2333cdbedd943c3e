// sampling.ts: many prompts answered in batches that can be interrupted between any two. An answer depends on the seed,
// the stream and the prompt's number, never on the batch it was in, so stopping and resuming changes no token.
import type { Generation } from '../model/generator';

/** What the recipes need of model/generator.ts; a fake in tests. */
export interface AnswerGenerator {
  generate(
    prompts: readonly (readonly number[])[],
    options: { seed: number; stream: string; firstSequence?: number; signal?: AbortSignal },
  ): Promise<Generation[]>;
}

export interface SamplingRun {
  seed: number;
  /** Names the purpose ('y', 'y-hat', 'evaluate …'): each has random numbers of its own under one seed. */
  stream: string;
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
  const answers = [...done];
  while (answers.length < prompts.length) {
    const batch = prompts.slice(answers.length, answers.length + run.batchSize);
    answers.push(
      ...(await generator.generate(batch, {
        seed: run.seed,
        stream: run.stream,
        firstSequence: answers.length,
        ...(run.signal === undefined ? {} : { signal: run.signal }),
      })),
    );
    await run.onBatch?.(answers);
  }
  return answers;
}

/** Each prompt repeated k times in a row: prompt i's samples are numbers k·i … k·i + k − 1. */
export function repeatPrompts<T>(prompts: readonly T[], k: number): T[] {
  return prompts.flatMap((prompt) => Array.from({ length: k }, () => prompt));
}
