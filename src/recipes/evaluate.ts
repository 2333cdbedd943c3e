// evaluate.ts: how good a student is on a task (the paper's §3.3), top to bottom: answers generated from the plain or the CoT
// prompt and matched against the targets, or the option with the highest probability (probing). Accuracies come with n
// and Wilson's 95 % interval. It knows no files; scoring rules are in tasks/score.ts.
import { wilsonInterval } from '../base/statistics';
import { packSequences, type Sequence } from '../model/batch';
import type { Generation } from '../model/generator';
import type { Trainer } from '../model/trainer';
import { completionSequence, microBatches } from './batches';
import { answerPrompts, type AnswerGenerator, type SamplingRun } from './sampling';

/** A question as asked: the wrapped prompt and how to judge an answer to it. */
export interface Question {
  itemId: string;
  /** The prompt as the student sees it. */
  prompt: string;
  ids: readonly number[];
  target: string;
  /** The scorers of the run, by name: whether the target is in a text. */
  judges: readonly { scorer: string; isCorrect(text: string): boolean }[];
}

/** One line of predictions.jsonl. */
export interface Prediction {
  itemId: string;
  text: string;
  stopped: 'eos' | 'length';
  target: string;
  /** By scorer. */
  correct: Record<string, boolean>;
}

export interface Accuracy {
  scorer: string;
  correct: number;
  n: number;
  low: number;
  high: number;
  cutOff: number;
}

/**
 * Answers to all questions, in order. `done` holds answers of an earlier sitting.
 * @throws whatever `run.onBatch` throws, to stop between two batches.
 */
export function answerQuestions(
  generator: AnswerGenerator,
  questions: readonly Question[],
  run: SamplingRun,
  done: readonly Generation[] = [],
): Promise<Generation[]> {
  const prompts = questions.map((question) => question.ids);
  return answerPrompts(generator, prompts, run, done);
}

/** String matching: a verdict for every answer and scorer. `decode` turns ids into the text that scorers see. */
export function judgeAnswers(
  questions: readonly Question[],
  answers: readonly Generation[],
  decode: (ids: readonly number[]) => string,
): Prediction[] {
  return answers.map((answer, i) => {
    const question = questions[i]!;
    const text = decode(answer.ids);
    return {
      itemId: question.itemId,
      text,
      stopped: answer.stopped,
      target: question.target,
      correct: Object.fromEntries(question.judges.map((judge) => [judge.scorer, judge.isCorrect(text)])),
    };
  });
}

/** Accuracy by scorer, with n and Wilson's interval. */
export function accuracies(predictions: readonly Prediction[], scorers: readonly string[]): Accuracy[] {
  const cutOff = predictions.filter((prediction) => prediction.stopped === 'length').length;
  return scorers.map((scorer) => {
    const correct = predictions.filter((prediction) => prediction.correct[scorer] === true).length;
    return { scorer, correct, n: predictions.length, ...wilsonInterval(correct, predictions.length), cutOff };
  });
}

/** A choice question to be probed: one continuation per option, the letter with its bracket as in the prompt ("A)"). */
export interface ProbeQuestion {
  itemId: string;
  ids: readonly number[];
  /** Token ids of "A)", "B)", … */
  options: readonly (readonly number[])[];
  letters: readonly string[];
  target: string;
}

/**
 * Probing: for every question the letter with Σ log π(letter tokens | prompt) highest; the first of equals.
 * @param done letters of an earlier sitting. @param onBatch after each micro-batch, with all letters so far.
 */
export async function probe(
  trainer: Pick<Trainer, 'sequenceLogps'>,
  questions: readonly ProbeQuestion[],
  maxTokens: number,
  done: readonly string[] = [],
  onBatch?: (letters: readonly string[]) => Promise<void>,
): Promise<string[]> {
  const letters = [...done];
  const units = probeUnits(questions.slice(done.length));
  for (const group of microBatches(units, maxTokens)) {
    const { sums } = await trainer.sequenceLogps(packSequences(group.flat()));
    let at = 0;
    for (const unit of group) {
      const question = questions[letters.length]!;
      const scores = sums.subarray(at, at + unit.length);
      at += unit.length;
      letters.push(question.letters[scores.indexOf(Math.max(...scores))]!);
    }
    await onBatch?.(letters);
  }
  return letters;
}

/** Each question as its options' sequences. */
export function probeUnits(questions: readonly ProbeQuestion[]): Sequence[][] {
  return questions.map((question) => question.options.map((option) => completionSequence(question.ids, option)));
}
