// evaluation.ts: one system (the untouched, the instructed or the refined student) on all tasks of an experiment, resumable
// between any two batches. What is measured and how is recipes/evaluate.ts.
import type { Experiment } from '../config/experiment';
import { wilsonInterval } from '../base/statistics';
import type { Adapter } from '../model/adapter';
import { PROBED_BY, PROBINGS, selfConsistencyScorer } from '../config/scorerNames';
import { Generator, type Generation } from '../model/generator';
import type { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { boundsOf } from '../recipes/batches';
import {
  accuracies,
  answerQuestions,
  judgeAnswers,
  probe,
  probeUnits,
  voteAccuracy,
  voteOnAnswers,
  type Question,
} from '../recipes/evaluate';
import { repeatPrompts } from '../recipes/sampling';
import type { EvaluationRow, PromptKind, SystemName } from '../report/types';
import type { RunBook } from './book';
import type { Prepared } from './prepare';
import type { PreparedTask } from './preparedQuestions';
import type { PredictionSet } from './runState';

/** Samples of each job that are shown while it runs; all are in predictions.jsonl. */
const SHOWN_SAMPLES = 4;
/** Tokens of one batch of probing. */
export const PROBE_TOKENS = 2048;

export interface EvaluatedSystem {
  system: SystemName;
  /** The untouched student is asked with bare prompts. */
  wrap: 'bare' | 'wrapped';
  prompts: readonly PromptKind[];
  student: Student;
  /** Holds the system's parameters; undefined for the untouched student. */
  adapter: Adapter | undefined;
}

/**
 * What an adapter folder evaluated on its own is called: by the folder's name, as runs call theirs. What lies above it says
 * nothing about the adapter.
 */
export function systemOf(adapterFolder: string | undefined): SystemName {
  if (adapterFolder === undefined) return 'Baseline';
  const name = adapterFolder.split('/').findLast((part) => part !== '') ?? '';
  if (/^control/i.test(name)) return 'Instruction-tuned, more steps';
  return /^self-?refine/i.test(name) ? 'Self-refined' : 'Instruction-tuned';
}

/** Everything that is missing of a system's evaluation: answers, verdicts, votes, rows; saved as it goes. */
export async function evaluateSystem(
  book: RunBook,
  experiment: Experiment,
  prepared: Prepared,
  eosIds: readonly number[],
  system: EvaluatedSystem,
): Promise<void> {
  const of = { book, experiment, prepared, eosIds, system };
  await answerTasks(of);
  await voteOnTasks(of);
  const { evaluation } = experiment;
  if (evaluation.probing && system.prompts.includes('plain')) await probeTasks(of);
}

interface Evaluating {
  book: RunBook;
  experiment: Experiment;
  prepared: Prepared;
  eosIds: readonly number[];
  system: EvaluatedSystem;
}

const findSet = (
  book: RunBook,
  system: SystemName,
  task: PreparedTask,
  prompt: PromptKind,
): PredictionSet | undefined =>
  book.state.predictions.find(
    (set) => set.system === system && set.taskId === task.config.name && set.prompt === prompt,
  );

/** One answer to each question and prompt. */
async function answerTasks({ book, experiment, prepared, eosIds, system }: Evaluating): Promise<void> {
  const { evaluation } = experiment;
  const { state } = book;
  const jobs = prepared.tasks.flatMap((task) => system.prompts.map((prompt) => ({ task, prompt })));
  const missing = jobs.filter(({ task, prompt }) => findSet(book, system.system, task, prompt) === undefined);
  if (missing.length === 0) return;
  const asked = missing.flatMap(({ task, prompt }) => task.questions[system.wrap][prompt]);
  const generator = generatorFor(experiment, eosIds, system, asked, evaluation.temperature);
  try {
    await generator.ready();
    for (const { task, prompt } of missing) {
      const questions = task.questions[system.wrap][prompt];
      const answers = await answersTo(book, experiment, generator, questions, {
        job: `evaluate ${system.system} ${task.config.name} ${prompt}`,
        // Not by the system: what a system is called must not change its answers, and systems that are compared
        // question by question draw the same numbers.
        stream: `evaluate ${task.config.name} ${prompt}`,
        onAnswer: (answer, i) => {
          if (i >= SHOWN_SAMPLES) return;
          const [shown] = judgeAnswers([questions[i]!], [answer], prepared.decode);
          book.emit({
            type: 'sample',
            system: system.system,
            taskId: task.config.name,
            prompt: questions[i]!.prompt,
            text: shown!.text,
            target: shown!.target,
            correct: shown!.correct[evaluation.scorer] === true,
          });
        },
      });
      const predictions = judgeAnswers(questions, answers, prepared.decode);
      state.predictions.push({ system: system.system, taskId: task.config.name, prompt, predictions });
      delete state.pending;
      for (const accuracy of accuracies(predictions, [evaluation.scorer])) {
        addRow(book, { system: system.system, taskId: task.config.name, prompt, ...accuracy });
      }
      await book.batchDone();
    }
  } finally {
    generator.destroy();
  }
}

/** Self-consistency by the CoT prompt, where the experiment asks for it. */
async function voteOnTasks({ book, experiment, prepared, eosIds, system }: Evaluating): Promise<void> {
  const { selfConsistency = false } = experiment.evaluation;
  if (selfConsistency === false) return;
  const { samples, temperature } = selfConsistency;
  const { state } = book;
  const votes = (state.votes ??= []);
  const missing = prepared.tasks.filter(
    ({ config }) => !votes.some((set) => set.system === system.system && set.taskId === config.name),
  );
  if (missing.length === 0) return;
  const asked = missing.flatMap((task) => task.questions[system.wrap].cot);
  const generator = generatorFor(experiment, eosIds, system, asked, temperature);
  try {
    await generator.ready();
    for (const task of missing) {
      const questions = task.questions[system.wrap].cot;
      const taskId = task.config.name;
      const answers = await answersTo(book, experiment, generator, repeatPrompts(questions, samples), {
        job: `self-consistency ${system.system} ${taskId}`,
        stream: `self-consistency ${taskId}`, // not by the system, as above
      });
      const predictions = voteOnAnswers(questions, answers, samples, prepared.decode);
      votes.push({ system: system.system, taskId, predictions });
      delete state.pending;
      const accuracy = voteAccuracy(predictions, selfConsistencyScorer(samples));
      addRow(book, { system: system.system, taskId, prompt: 'cot', ...accuracy });
      await book.batchDone();
    }
  } finally {
    generator.destroy();
  }
}

function generatorFor(
  { evaluation }: Experiment,
  eosIds: readonly number[],
  { student, adapter }: EvaluatedSystem,
  asked: readonly Question[],
  temperature: number,
): Generator {
  return new Generator(student, adapter, {
    batchSize: evaluation.batchSize,
    maxPromptTokens: asked.reduce((most, question) => Math.max(most, question.ids.length), 1),
    maxNewTokens: evaluation.maxNewTokens,
    temperature,
    eosIds,
  });
}

/** Answers to the questions of one job, which may have begun in an earlier sitting; kept as they come. */
function answersTo(
  book: RunBook,
  { evaluation, seed }: Experiment,
  generator: Generator,
  questions: readonly Question[],
  { job, stream, onAnswer }: { job: string; stream: string; onAnswer?: (answer: Generation, i: number) => void },
): Promise<Generation[]> {
  const { state } = book;
  return answerQuestions(
    generator,
    questions,
    {
      seed,
      stream,
      batchSize: evaluation.batchSize,
      signal: book.control.signal,
      onBatch: async (soFar) => {
        const before = state.pending?.job === job ? state.pending.answers.length : 0;
        state.pending = { job, answers: [...soFar] };
        const fresh = soFar.slice(before);
        book.charge(fresh.reduce((sum, answer) => sum + answer.ids.length, 0));
        book.progress({ task: job, done: soFar.length, total: questions.length, unit: 'answers' });
        fresh.forEach((answer, i) => onAnswer?.(answer, before + i));
        await book.batchDone();
      },
    },
    state.pending?.job === job ? state.pending.answers : [],
  );
}

/** Probing of every task with options, after the plain prompt; letters are kept beside the answers to that prompt. */
async function probeTasks({ book, prepared, system }: Evaluating): Promise<void> {
  const { state } = book;
  for (const task of prepared.tasks) {
    const questions = task.probes[system.wrap];
    const set = findSet(book, system.system, task, 'plain')!;
    if (questions.length === 0) continue;
    for (const by of PROBED_BY) {
      if (set.probed?.[by] !== undefined) continue;
      const job = `probe ${system.system} ${task.config.name} by ${by}`;
      const units = probeUnits(questions, by);
      const trainer = new Trainer(system.student, system.adapter, {
        limits: boundsOf(units, PROBE_TOKENS, units.length),
        scoringOnly: true,
      });
      try {
        await trainer.ready();
        const letters = await probe(
          trainer,
          questions,
          by,
          PROBE_TOKENS,
          state.pendingLetters?.job === job ? state.pendingLetters.letters : [],
          async (soFar) => {
            state.pendingLetters = { job, letters: [...soFar] };
            book.progress({ task: job, done: soFar.length, total: questions.length, unit: 'questions' });
            await book.batchDone();
          },
        );
        set.probed = { ...set.probed, [by]: letters };
        delete state.pendingLetters;
        for (const measure of ['sum', 'mean'] as const) {
          const correct = letters.filter((letter, i) => letter[measure] === questions[i]!.target).length;
          addRow(book, {
            system: system.system,
            taskId: task.config.name,
            prompt: 'plain',
            scorer: PROBINGS[by][measure],
            correct,
            n: letters.length,
            ...wilsonInterval(correct, letters.length),
            cutOff: 0,
          });
        }
        await book.batchDone();
      } finally {
        trainer.destroy();
      }
    }
  }
}

function addRow(book: RunBook, row: EvaluationRow): void {
  book.state.evaluations.push(row);
  book.emit({ type: 'evaluation', row });
}
