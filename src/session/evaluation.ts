// evaluation.ts: one system (the untouched, the instructed or the refined student) on all tasks of an experiment, resumable
// between any two batches. What is measured and how is recipes/evaluate.ts.
import type { Experiment } from '../config/experiment';
import { wilsonInterval } from '../base/statistics';
import type { Adapter } from '../model/adapter';
import { Generator } from '../model/generator';
import type { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { boundsOf } from '../recipes/batches';
import { accuracies, answerQuestions, judgeAnswers, probe, probeUnits } from '../recipes/evaluate';
import type { EvaluationRow, PromptKind, SystemName } from '../report/types';
import type { RunBook } from './book';
import type { Prepared, PreparedTask } from './prepare';
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

/** Everything that is missing of a system's evaluation: answers, verdicts, rows; saved as it goes. */
export async function evaluateSystem(
  book: RunBook,
  experiment: Experiment,
  prepared: Prepared,
  eosIds: readonly number[],
  system: EvaluatedSystem,
): Promise<void> {
  const { evaluation, seed } = experiment;
  const { state } = book;
  const find = (task: PreparedTask, prompt: PromptKind): PredictionSet | undefined =>
    state.predictions.find(
      (set) => set.system === system.system && set.taskId === task.config.name && set.prompt === prompt,
    );
  const jobs = prepared.tasks.flatMap((task) => system.prompts.map((prompt) => ({ task, prompt })));
  const missing = jobs.filter(({ task, prompt }) => find(task, prompt) === undefined);

  if (missing.length > 0) {
    const asked = missing.flatMap(({ task, prompt }) => task.questions[system.wrap][prompt]);
    const generator = new Generator(system.student, system.adapter, {
      batchSize: evaluation.batchSize,
      maxPromptTokens: asked.reduce((most, question) => Math.max(most, question.ids.length), 1),
      maxNewTokens: evaluation.maxNewTokens,
      temperature: evaluation.temperature,
      eosIds,
    });
    try {
      await generator.ready();
      for (const { task, prompt } of missing) {
        const questions = task.questions[system.wrap][prompt];
        const job = `evaluate ${system.system} ${task.config.name} ${prompt}`;
        const answers = await answerQuestions(
          generator,
          questions,
          {
            seed,
            // Not by the system: what a system is called must not change its answers, and systems that are compared
            // question by question draw the same numbers.
            stream: `evaluate ${task.config.name} ${prompt}`,
            batchSize: evaluation.batchSize,
            signal: book.control.signal,
            onBatch: async (soFar) => {
              const before = state.pending?.job === job ? state.pending.answers.length : 0;
              state.pending = { job, answers: [...soFar] };
              const fresh = soFar.slice(before);
              book.charge(fresh.reduce((sum, answer) => sum + answer.ids.length, 0));
              book.progress({ task: job, done: soFar.length, total: questions.length, unit: 'answers' });
              for (let i = before; i < Math.min(soFar.length, SHOWN_SAMPLES); i++) {
                const [shown] = judgeAnswers([questions[i]!], [soFar[i]!], prepared.decode);
                book.emit({
                  type: 'sample',
                  system: system.system,
                  taskId: task.config.name,
                  prompt: questions[i]!.prompt,
                  text: shown!.text,
                  target: shown!.target,
                  correct: shown!.correct[evaluation.scorer] === true,
                });
              }
              await book.batchDone();
            },
          },
          state.pending?.job === job ? state.pending.answers : [],
        );
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
  if (evaluation.probing && system.prompts.includes('plain')) await probeSystem(book, prepared, system, find);
}

/** Probing of every task with options, after the plain prompt; letters are kept beside the answers to that prompt. */
async function probeSystem(
  book: RunBook,
  prepared: Prepared,
  system: EvaluatedSystem,
  find: (task: PreparedTask, prompt: PromptKind) => PredictionSet | undefined,
): Promise<void> {
  const { state } = book;
  for (const task of prepared.tasks) {
    const questions = task.probes[system.wrap];
    const set = find(task, 'plain')!;
    if (questions.length === 0 || set.probed !== undefined) continue;
    const job = `probe ${system.system} ${task.config.name}`;
    const units = probeUnits(questions);
    const trainer = new Trainer(system.student, system.adapter, {
      limits: boundsOf(units, PROBE_TOKENS, units.length),
      scoringOnly: true,
    });
    try {
      await trainer.ready();
      const letters = await probe(
        trainer,
        questions,
        PROBE_TOKENS,
        state.pendingLetters?.job === job ? state.pendingLetters.letters : [],
        async (soFar) => {
          state.pendingLetters = { job, letters: [...soFar] };
          book.progress({ task: job, done: soFar.length, total: questions.length, unit: 'questions' });
          await book.batchDone();
        },
      );
      set.probed = letters;
      delete state.pendingLetters;
      const correct = letters.filter((letter, i) => letter === questions[i]!.target).length;
      addRow(book, {
        system: system.system,
        taskId: task.config.name,
        prompt: 'plain',
        scorer: 'probing',
        correct,
        n: letters.length,
        ...wilsonInterval(correct, letters.length),
        cutOff: 0,
      });
      await book.batchDone();
    } finally {
      trainer.destroy();
    }
  }
}

function addRow(book: RunBook, row: EvaluationRow): void {
  book.state.evaluations.push(row);
  book.emit({ type: 'evaluation', row });
}
