// evaluate.ts: how good a student is on a task (the paper's §3.3), top to bottom: answers generated from the plain or the CoT
// prompt and matched against the targets, or the option with the highest probability (probing). Accuracies come with n
// and Wilson's 95 % interval. Several answers to one question may vote (self-consistency). It knows no files; scoring rules are
// in tasks/score.ts, the count of votes in tasks/vote.ts.
import { wilsonInterval } from '../base/statistics';
import type { ProbedBy } from '../config/scorerNames';
import { packSequences, type Sequence } from '../model/batch';
import type { Generation } from '../model/generator';
import type { Trainer } from '../model/trainer';
import type { Verdict } from '../tasks/score';
import { majorityVote, type Vote } from '../tasks/vote';
import { completionSequence, completionsSize, microBatches, type UnitSize } from './batches';
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
  /** For votes: what the strict scorer reads from a text, and when two such answers are one. */
  read(text: string): Pick<Verdict, 'answer' | 'correct'>;
  isSame(a: string, b: string): boolean;
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

/** Several answers to one question, and what most of them say. */
export interface VotePrediction extends Vote {
  itemId: string;
  /** All of them, in the order in which they were sampled. */
  texts: string[];
  stopped: ('eos' | 'length')[];
  target: string;
  /** Of the majority; false where no sample has an answer. */
  correct: boolean;
}

/**
 * Self-consistency (Wang et al. 2023, arXiv:2203.11171): the strict scorer reads each answer, and what most say is compared
 * with the target. Of answers equally frequent the one sampled first counts; texts without an answer do not vote.
 *
 * @param answers k to each question, in a row: question i's are numbers k·i … k·i + k − 1.
 */
export function voteOnAnswers(
  questions: readonly Question[],
  answers: readonly Generation[],
  k: number,
  decode: (ids: readonly number[]) => string,
): VotePrediction[] {
  return questions.map((question, i) => {
    const own = answers.slice(k * i, k * (i + 1));
    const texts = own.map(({ ids }) => decode(ids));
    const read = texts.map((text) => question.read(text));
    const vote = majorityVote(read, (a, b) => question.isSame(a, b));
    const first = read.find(({ answer }) => answer !== undefined && answer === vote.answer);
    return {
      itemId: question.itemId,
      texts,
      stopped: own.map(({ stopped }) => stopped),
      target: question.target,
      ...vote,
      correct: first?.correct === true,
    };
  });
}

/** Accuracy of votes. `cutOff` counts samples. */
export function voteAccuracy(predictions: readonly VotePrediction[], scorer: string): Accuracy {
  const correct = predictions.filter((prediction) => prediction.correct).length;
  const cutOff = predictions.flatMap(({ stopped }) => stopped).filter((end) => end === 'length').length;
  return { scorer, correct, n: predictions.length, ...wilsonInterval(correct, predictions.length), cutOff };
}

/** A choice question to be probed. */
export interface ProbeQuestion {
  itemId: string;
  ids: readonly number[];
  /** Continuations, one an option: token ids of "A)", "B)", … as in the prompt; or of the options' texts. */
  options: Readonly<Record<ProbedBy, readonly (readonly number[])[]>>;
  /** An option of the target's text has the target's letter: it is the same answer. */
  letters: readonly string[];
  target: string;
}

/** The letters that probing chooses for one question. */
export interface ProbedLetters {
  /** The highest Σ log π(token) over the continuation's tokens. */
  sum: string;
  /** The highest mean over its tokens, so that a long option is not at a disadvantage. */
  mean: string;
}

/**
 * Probing: for every question the option whose continuation is the likeliest; the first of equals.
 * @param done letters of an earlier sitting. @param onBatch after each micro-batch, with all letters so far.
 */
export async function probe(
  trainer: Pick<Trainer, 'sequenceLogps'>,
  questions: readonly ProbeQuestion[],
  by: ProbedBy,
  maxTokens: number,
  done: readonly ProbedLetters[] = [],
  onBatch?: (letters: readonly ProbedLetters[]) => Promise<void>,
): Promise<ProbedLetters[]> {
  const letters = [...done];
  const units = probeUnits(questions.slice(done.length), by);
  for (const group of microBatches(units, maxTokens)) {
    const { sums, means } = await trainer.sequenceLogps(packSequences(group.flat()));
    let at = 0;
    for (const unit of group) {
      const question = questions[letters.length]!;
      const best = (all: Float32Array): string => {
        const scores = all.subarray(at, at + unit.length);
        return question.letters[scores.indexOf(Math.max(...scores))]!;
      };
      letters.push({ sum: best(sums), mean: best(means) });
      at += unit.length;
    }
    await onBatch?.(letters);
  }
  return letters;
}

/** Each question as its options' sequences. */
export function probeUnits(questions: readonly ProbeQuestion[], by: ProbedBy): Sequence[][] {
  return questions.map((question) => question.options[by].map((option) => completionSequence(question.ids, option)));
}

/** The sizes of {@link probeUnits}. */
export function probeSizes(questions: readonly ProbeQuestion[], by: ProbedBy): UnitSize[] {
  return questions.map(({ ids, options }) =>
    completionsSize(
      ids.length,
      options[by].map((option) => option.length),
    ),
  );
}
