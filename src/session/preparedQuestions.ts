// preparedQuestions.ts: the test questions of one task as they are asked: in every wording and wrapper, with the options to probe and
// the judges of their answers. Which items are tested is tasks/split.ts; nothing is asked here.
import { PupilError } from '../base/errors';
import type { Experiment, TaskConfig } from '../config/experiment';
import type { ProbeQuestion, Question } from '../recipes/evaluate';
import type { PromptKind, TaskSummary } from '../report/types';
import { LETTERS } from '../tasks/extract/choice';
import { TASKS } from '../tasks/registry';
import { judgeItem, sameAnswer } from '../tasks/score';
import type { Split } from '../tasks/split';
import type { Task, TaskItem } from '../tasks/task';
import type { Encoder, StudentSizes } from './encoder';

/** The test questions of one task, asked in every way; the same questions in each, so that systems can be compared. */
export interface PreparedTask {
  config: TaskConfig;
  task: Task;
  /** Bare prompts for the untouched student, wrapped ones for tuned students. */
  questions: Record<'bare' | 'wrapped', Record<PromptKind, Question[]>>;
  /** For probing, after the plain prompt; empty for number tasks. */
  probes: Record<'bare' | 'wrapped', ProbeQuestion[]>;
  items: TaskItem[];
  summary: TaskSummary;
}

/** What of an experiment's evaluation decides how questions are asked and judged. */
export type AskedSettings = Pick<Experiment['evaluation'], 'limit' | 'maxNewTokens' | 'probing' | 'scorer'>;

/** @throws PupilError `config` where prompts would have no room beside what is generated. */
export function expectRoom(path: string, maxNewTokens: number, room: number, sizes: StudentSizes): void {
  if (room >= 1) return;
  throw new PupilError(
    'config',
    `${path}: expected fewer than the student’s context of ${sizes.maxPositions} tokens, got ${maxNewTokens}`,
    'Prompt and answer share the context: lower it.',
  );
}

/** Test questions in all four wordings; an item that is too long in one of them is left out of all. */
export function prepareQuestions(
  { prompt, evaluation }: Pick<Experiment, 'prompt'> & { evaluation: AskedSettings },
  encoder: Encoder,
  config: TaskConfig,
  { train, test }: Pick<Split, 'train' | 'test'>,
  sizes: StudentSizes,
): PreparedTask {
  const task = TASKS[config.id];
  const room = Math.min(prompt.maxPromptTokens, sizes.maxPositions - evaluation.maxNewTokens);
  expectRoom('evaluation.maxNewTokens', evaluation.maxNewTokens, room, sizes);
  const prepared: PreparedTask = {
    config,
    task,
    questions: { bare: { plain: [], cot: [] }, wrapped: { plain: [], cot: [] } },
    probes: { bare: [], wrapped: [] },
    items: [],
    summary: {
      taskId: config.name,
      benchmark: task.title,
      trainItems: train.length,
      testItems: 0,
      tooLong: 0,
      notes: [],
    },
  };
  let unsayable = 0;
  for (const item of test.slice(0, evaluation.limit ?? test.length)) {
    const texts = { plain: task.plainPrompt(item), cot: task.cotPrompt(item) };
    if (!encoder.canSay(texts.cot)) {
      unsayable++;
      continue;
    }
    const wordings = (['bare', 'wrapped'] as const).flatMap((wrap) =>
      (['plain', 'cot'] as const).map((kind) => ({ wrap, kind, asked: encoder.prompt(texts[kind], wrap) })),
    );
    if (wordings.some(({ asked }) => asked.ids.length > room)) {
      prepared.summary.tooLong++;
      continue;
    }
    prepared.items.push(item);
    const judging: Pick<Question, 'judges' | 'read' | 'isSame'> = {
      judges: [
        {
          scorer: evaluation.scorer,
          isCorrect: (text) => judgeItem(task.kind, item, text, evaluation.scorer).correct,
        },
      ],
      read: (text) => judgeItem(task.kind, item, text),
      isSame: (a, b) => sameAnswer(task.kind, item, a, b),
    };
    for (const { wrap, kind, asked } of wordings) {
      prepared.questions[wrap][kind].push({
        itemId: item.id,
        prompt: asked.text,
        ids: asked.ids,
        target: item.target,
        ...judging,
      });
      const { choices } = item;
      if (evaluation.probing && kind === 'plain' && choices !== undefined) {
        const letters = choices.map((_, i) => LETTERS[i]!);
        prepared.probes[wrap].push({
          itemId: item.id,
          ids: asked.ids,
          letters: letters.map((letter) => (sameAnswer('choice', item, letter, item.target) ? item.target : letter)),
          options: {
            letter: letters.map((letter) => encoder.option(`${letter})`)),
            text: choices.map((choice) => encoder.option(choice)),
          },
          target: item.target,
        });
      }
    }
  }
  const { summary } = prepared;
  summary.testItems = prepared.items.length;
  const probed = prepared.probes.bare.length;
  if (evaluation.probing && probed < summary.testItems) {
    summary.notes.push(
      probed === 0
        ? 'left out of probing: there are no options to choose from'
        : `${probed} of ${summary.testItems} test items are probed: the others have no options`,
    );
  }
  if (unsayable > 0) {
    summary.notes.push(`${unsayable} test items have words that the student does not know; they are left out`);
  }
  return prepared;
}
