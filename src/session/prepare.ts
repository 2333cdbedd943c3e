// prepare.ts: from an experiment and its files to what the recipes work on: questions, demonstrations as token ids, items of
// phase 2; and the counts of everything that was left out. No GPU and no training here.
import { PupilError } from '../base/errors';
import { wilsonInterval } from '../base/statistics';
import type { Experiment, TaskConfig } from '../config/experiment';
import type { ProbeQuestion, Question } from '../recipes/evaluate';
import type { TrainingExample } from '../recipes/instruct';
import type { PromptTokens, RefineItem } from '../recipes/pairs';
import type { DemonstrationSummary, PromptKind, TaskSummary } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { LETTERS } from '../tasks/extract/choice';
import { TASKS } from '../tasks/registry';
import { judgeItem, sameAnswer } from '../tasks/score';
import type { Task, TaskItem } from '../tasks/task';
import { selectDemonstrations, teacherWasRight, type Demonstration, type Selection } from '../teachers/demonstration';
import { loadDemonstrations, type LoadedDemonstrations } from '../teachers/disk';
import { decodeAnswer } from '../text/wrapper';
import { dataFiles } from './dataFiles';
import { Encoder, type StudentSizes } from './encoder';
import { splitTask, teacherTask } from './taskItems';
import type { LoadedTokenizer } from './tokenizers';

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

/** A demonstration and what it takes of the student's context, its answer with the end of text. */
export type UsedDemonstration = Demonstration & { promptTokens: number; answerTokens: number };

export interface Prepared {
  tasks: PreparedTask[];
  /** What phase 1 trains on. */
  examples: TrainingExample[];
  /** What phase 2 samples from. */
  refineItems: RefineItem[];
  /** Every demonstration that a phase uses: demonstrations.jsonl. */
  demonstrations: UsedDemonstration[];
  summaries: DemonstrationSummary[];
  /** Warnings for the run log. */
  warnings: string[];
  decode(ids: readonly number[]): string;
  /** What ends an answer under the experiment's wrapper. */
  eosId: number;
}

/** The experiment with nothing to train: only the test questions matter, demonstrations need not be there. */
export const questionsOnly = (experiment: Experiment): Experiment => ({
  ...experiment,
  demonstrations: [],
  phases: { baseline: true, instruct: false, selfRefine: false },
});

/**
 * Reads and encodes everything.
 * @throws PupilError `data`, `text`, `config`, `source`, as the parts do.
 */
export async function prepare(
  experiment: Experiment,
  root: OpenRoot,
  loaded: LoadedTokenizer,
  sizes: StudentSizes,
): Promise<Prepared> {
  const files = dataFiles(root);
  const encoder = new Encoder(experiment, loaded, sizes);
  const warnings: string[] = [];
  const tasks: PreparedTask[] = [];
  const examples: TrainingExample[] = [];
  const refineItems: RefineItem[] = [];
  const used = new Map<string, UsedDemonstration>();
  const summaries: DemonstrationSummary[] = [];
  const { instruct, selfRefine } = experiment.phases;

  for (const config of experiment.tasks) {
    const task = TASKS[config.id];
    const split = await splitTask(config, files, (text) => warnings.push(text));
    const taught = teacherTask(config.name, config.id, [...split.train, ...split.test]);
    const itemById = new Map(split.train.map((item) => [item.id, item]));
    const trainIds = split.train.map((item) => item.id);

    for (const source of experiment.demonstrations.filter((entry) => entry.task === config.name)) {
      const found = await loadDemonstrations(source, taught, (path) => files.readText(path));
      const [bad] = found.malformed;
      if (bad !== undefined) {
        warnings.push(
          `${config.name}: ${found.malformed.length} demonstrations by ${source.label} cannot be used, first ${bad.path}:${bad.line}: ${bad.reason}`,
        );
      }
      if (found.unknownIds.length > 0) {
        warnings.push(
          `${config.name}: ${found.unknownIds.length} ids in exclude and edits are of no demonstration by ${source.label}, first ${found.unknownIds[0]!}`,
        );
      }
      const tooLong = new Set<string>();
      const unsayable = new Set<string>();
      const counts = new Set<string>();
      let selection: Selection | undefined;
      if (instruct !== false && config.use.includes('instruct')) {
        selection = selectDemonstrations(found.demonstrations, trainIds, source, instruct.fraction);
        for (const demonstration of selection.selected) {
          if (!encoder.canSay(cotText(demonstration), demonstration.answer)) {
            unsayable.add(demonstration.id);
            continue;
          }
          const prompt = encoder.prompt(cotText(demonstration), 'wrapped');
          const answer = encoder.answer(demonstration.answer);
          if (!fits(experiment, sizes, prompt, answer)) tooLong.add(demonstration.id);
          else {
            examples.push({ prompt: prompt.ids, answer });
            used.set(demonstration.id, withTokens(demonstration, prompt, answer));
            counts.add(demonstration.id);
          }
        }
      }
      if (selfRefine !== false && config.use.includes('selfRefine')) {
        const chosen = selectDemonstrations(found.demonstrations, trainIds, source, selfRefine.fraction);
        selection ??= chosen;
        const room = Math.min(experiment.prompt.maxPromptTokens, sizes.maxPositions - selfRefine.sampling.maxNewTokens);
        expectRoom('phases.selfRefine.sampling.maxNewTokens', selfRefine.sampling.maxNewTokens, room, sizes);
        for (const demonstration of chosen.selected) {
          const item = itemById.get(demonstration.itemId)!;
          if (!encoder.canSay(cotText(demonstration), demonstration.answer)) {
            unsayable.add(demonstration.id);
            continue;
          }
          const plain = encoder.prompt(task.plainPrompt(item), 'wrapped');
          const cot = encoder.prompt(cotText(demonstration), 'wrapped');
          const answer = encoder.answer(demonstration.answer);
          const longest = Math.max(plain.ids.length, cot.ids.length);
          if (!fits(experiment, sizes, cot, answer) || longest > room) {
            tooLong.add(demonstration.id);
            continue;
          }
          used.set(demonstration.id, withTokens(demonstration, cot, answer));
          counts.add(demonstration.id);
          refineItems.push({
            taskId: config.name,
            itemId: item.id,
            target: item.target,
            plain,
            cot,
            teacher: { label: demonstration.teacher, text: demonstration.answer, ids: answer },
            isCorrect: (text) => judgeItem(task.kind, item, text, selfRefine.scorer).correct,
          });
        }
      }
      if (selection !== undefined) {
        const left = { tooLong: tooLong.size, unsayable: unsayable.size };
        summaries.push(summarise(config.name, source, found, new Set(trainIds), selection, left, counts.size));
        if (unsayable.size > 0) {
          warnings.push(
            `${config.name}: ${unsayable.size} demonstrations by ${source.label} have words that the student does not know; they are left out`,
          );
        }
      }
    }
    if (config.use.includes('evaluate')) {
      tasks.push(prepareQuestions(experiment, encoder, config, task, split.test, sizes, split.train.length));
      const { notes } = tasks.at(-1)!.summary;
      warnings.push(...notes.map((note) => `${config.name}: ${note}`));
      if (split.duplicates > 0) notes.push(`${split.duplicates} items repeat a question; they stay on one side`);
      if (split.conflicting.length > 0) {
        notes.push(`${split.conflicting.length} questions occur with different targets`);
      }
    }
  }
  if (encoder.unknown.size > 0) {
    warnings.push(`the student’s vocabulary cannot express: ${[...encoder.unknown].slice(0, 40).join(' ')}`);
  }
  return {
    tasks,
    examples,
    refineItems,
    demonstrations: [...used.values()],
    summaries,
    warnings,
    decode: (ids) => decodeAnswer(loaded.tokenizer, ids),
    eosId: encoder.endId,
  };
}

function withTokens(demonstration: Demonstration, prompt: PromptTokens, answer: readonly number[]): UsedDemonstration {
  return { ...demonstration, promptTokens: prompt.ids.length, answerTokens: answer.length };
}

function cotText(demonstration: Demonstration): string {
  return demonstration.question === ''
    ? demonstration.instruction
    : `${demonstration.instruction}\n${demonstration.question}`;
}

/** Prompt and answer within the experiment's bounds and the student's context. Answers are never cut. */
function fits(experiment: Experiment, sizes: StudentSizes, prompt: PromptTokens, answer: readonly number[]): boolean {
  const { maxPromptTokens, maxAnswerTokens } = experiment.prompt;
  return (
    prompt.ids.length <= maxPromptTokens &&
    answer.length - 1 <= maxAnswerTokens && // the end of text is not counted
    prompt.ids.length + answer.length <= sizes.maxPositions
  );
}

function expectRoom(path: string, maxNewTokens: number, room: number, sizes: StudentSizes): void {
  if (room >= 1) return;
  throw new PupilError(
    'config',
    `${path}: expected fewer than the student’s context of ${sizes.maxPositions} tokens, got ${maxNewTokens}`,
    'Prompt and answer share the context: lower it.',
  );
}

function summarise(
  taskId: string,
  source: Experiment['demonstrations'][number],
  found: LoadedDemonstrations,
  training: ReadonlySet<string>,
  selection: Selection,
  { tooLong, unsayable }: { tooLong: number; unsayable: number },
  used: number,
): DemonstrationSummary {
  const inTraining = found.demonstrations.filter((demonstration) => training.has(demonstration.itemId));
  const correct = inTraining.filter(teacherWasRight).length;
  const { low, high } = wilsonInterval(correct, inTraining.length);
  return {
    label: source.label,
    taskId,
    family: source.family,
    format: source.format,
    files: [...source.files],
    read: found.demonstrations.length,
    rejectedLines: found.rejected.length,
    rejectedExamples: found.rejected.slice(0, 5).map(({ path, line, reason }) => `${path}:${line}: ${reason}`),
    notInTraining: selection.notInTraining,
    beyondShare: selection.beyondFraction + selection.beyondLimit,
    tooLong,
    ...(unsayable === 0 ? {} : { unknownWords: unsayable }),
    droppedWrong: selection.wrongDropped,
    ...(source.exclude === undefined ? {} : { excludedByHand: selection.excluded }),
    ...(source.edits === undefined
      ? {}
      : { editedByHand: selection.selected.filter(({ original }) => original !== undefined).length }),
    used,
    teacherCorrect: correct,
    teacherN: inTraining.length,
    teacherLow: low,
    teacherHigh: high,
  };
}

/** Test questions in all four wordings; an item that is too long in one of them is left out of all. */
function prepareQuestions(
  experiment: Experiment,
  encoder: Encoder,
  config: TaskConfig,
  task: Task,
  test: readonly TaskItem[],
  sizes: StudentSizes,
  trainItems: number,
): PreparedTask {
  const { evaluation } = experiment;
  const room = Math.min(experiment.prompt.maxPromptTokens, sizes.maxPositions - evaluation.maxNewTokens);
  expectRoom('evaluation.maxNewTokens', evaluation.maxNewTokens, room, sizes);
  const prepared: PreparedTask = {
    config,
    task,
    questions: { bare: { plain: [], cot: [] }, wrapped: { plain: [], cot: [] } },
    probes: { bare: [], wrapped: [] },
    items: [],
    summary: { taskId: config.name, benchmark: task.title, trainItems, testItems: 0, tooLong: 0, notes: [] },
  };
  let unsayable = 0;
  for (const item of test.slice(0, evaluation.limit ?? test.length)) {
    const texts = { plain: task.plainPrompt(item), cot: task.cotPrompt(item) };
    if (!encoder.canSay(texts.cot)) {
      unsayable++;
      continue;
    }
    const wordings = (['bare', 'wrapped'] as const).flatMap((wrap) =>
      (['plain', 'cot'] as const).map((kind) => ({ wrap, kind, prompt: encoder.prompt(texts[kind], wrap) })),
    );
    if (wordings.some(({ prompt }) => prompt.ids.length > room)) {
      prepared.summary.tooLong++;
      continue;
    }
    prepared.items.push(item);
    for (const { wrap, kind, prompt } of wordings) {
      prepared.questions[wrap][kind].push({
        itemId: item.id,
        prompt: prompt.text,
        ids: prompt.ids,
        target: item.target,
        judges: [
          {
            scorer: evaluation.scorer,
            isCorrect: (text) => judgeItem(task.kind, item, text, evaluation.scorer).correct,
          },
        ],
        read: (text) => judgeItem(task.kind, item, text),
        isSame: (a, b) => sameAnswer(task.kind, item, a, b),
      });
      const { choices } = item;
      if (evaluation.probing && kind === 'plain' && choices !== undefined) {
        const letters = choices.map((_, i) => LETTERS[i]!);
        prepared.probes[wrap].push({
          itemId: item.id,
          ids: prompt.ids,
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
