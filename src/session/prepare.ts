// prepare.ts: from an experiment and its files to what the recipes work on: questions, demonstrations as token ids, items of
// phase 2; and the counts of everything that was left out. No GPU and no training here.
import { wilsonInterval } from '../base/statistics';
import { Once } from '../base/once';
import type { Experiment, TaskConfig } from '../config/experiment';
import type { TrainingExample } from '../recipes/instruct';
import type { RefineItem } from '../recipes/pairs';
import type { DemonstrationSummary } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { TASKS } from '../tasks/registry';
import { judgeItem } from '../tasks/score';
import { selectDemonstrations, teacherWasRight, type Selection, type TeacherTask } from '../teachers/demonstration';
import { loadDemonstrations, type LoadedDemonstrations } from '../teachers/disk';
import { decodeAnswer } from '../text/wrapper';
import { CodedDemonstrations, type CodedIds, type UsedDemonstration } from './codedDemonstrations';
import { dataFiles, type DataFiles } from './dataFiles';
import { Encoder, type StudentSizes } from './encoder';
import { expectRoom, prepareQuestions, type PreparedTask } from './preparedQuestions';
import { readSplit, teacherTask, type ReadSplit } from './taskItems';
import type { LoadedTokenizer } from './tokenizers';

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

/** How plans prepare: of many experiments, and of every text the length only. */
export interface PrepareOptions {
  /** What experiments of one student and one root have in common is read and encoded once. */
  once?: Once;
  /**
   * Of prompts and answers only the lengths are kept ({@link Encoder}). Teachers' answers are judged only where it depends on
   * that whether they are used, and so nothing is said of the teachers: there are no summaries.
   */
  lengthsOnly?: boolean;
}

/**
 * Reads and encodes everything.
 * @throws PupilError `data`, `text`, `config`, `source`, as the parts do.
 */
export async function prepare(
  experiment: Experiment,
  root: OpenRoot,
  loaded: LoadedTokenizer,
  sizes: StudentSizes,
  { once = new Once(), lengthsOnly = false }: PrepareOptions = {},
): Promise<Prepared> {
  const files = dataFiles(root);
  const newEncoder = (): Encoder => new Encoder(experiment, loaded, sizes, lengthsOnly);
  /** Words that the vocabulary cannot express, in the order in which they are met. */
  const unknown = new Set<string>();
  const meet = (words: Iterable<string>): void => {
    for (const word of words) unknown.add(word);
  };
  const warnings: string[] = [];
  const tasks: PreparedTask[] = [];
  const examples: TrainingExample[] = [];
  const refineItems: RefineItem[] = [];
  const used = new Map<string, UsedDemonstration>();
  const summaries: DemonstrationSummary[] = [];
  const { instruct, selfRefine } = experiment.phases;

  for (const config of experiment.tasks) {
    const task = TASKS[config.id];
    const read = await readSplit(config, files, once);
    const { split } = read;
    warnings.push(...read.warnings);
    const itemById = new Map(split.train.map((item) => [item.id, item]));
    const trainIds = split.train.map((item) => item.id);

    for (const source of experiment.demonstrations.filter((entry) => entry.task === config.name)) {
      const taught = teacherTask(config.name, config.id, [...split.train, ...split.test]);
      const isJudged = !lengthsOnly || !source.keepWrong;
      const { found, coded } = await readDemonstrations(
        { config, source, prompt: experiment.prompt, isJudged },
        isJudged ? taught : { ...taught, isCorrect: () => true },
        { files, once, newEncoder },
      );
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
          const own = coded.of(demonstration);
          meet(own.unknown);
          if (own.ids === undefined) {
            unsayable.add(demonstration.id);
            continue;
          }
          if (!fits(experiment, sizes, own.ids)) tooLong.add(demonstration.id);
          else {
            examples.push({ prompt: own.ids.prompt.ids, answer: own.ids.answer });
            used.set(demonstration.id, own.ids.used);
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
          const own = coded.of(demonstration);
          meet(own.unknown);
          if (own.ids === undefined) {
            unsayable.add(demonstration.id);
            continue;
          }
          const plain = coded.plain(demonstration, item);
          meet(plain.unknown);
          const longest = Math.max(plain.prompt.ids.length, own.ids.prompt.ids.length);
          if (!fits(experiment, sizes, own.ids) || longest > room) {
            tooLong.add(demonstration.id);
            continue;
          }
          used.set(demonstration.id, own.ids.used);
          counts.add(demonstration.id);
          refineItems.push({
            taskId: config.name,
            itemId: item.id,
            target: item.target,
            plain: plain.prompt,
            cot: own.ids.prompt,
            teacher: { label: demonstration.teacher, text: demonstration.answer, ids: own.ids.answer },
            isCorrect: (text) => judgeItem(task.kind, item, text, selfRefine.scorer).correct,
          });
        }
      }
      if (selection !== undefined) {
        const left = { tooLong: tooLong.size, unsayable: unsayable.size };
        if (!lengthsOnly) {
          summaries.push(summarise(config.name, source, found, new Set(trainIds), selection, left, counts.size));
        }
        if (unsayable.size > 0) {
          warnings.push(
            `${config.name}: ${unsayable.size} demonstrations by ${source.label} have words that the student does not know; they are left out`,
          );
        }
      }
    }
    if (config.use.includes('evaluate')) {
      const asked = askedQuestions(experiment, config, split, sizes, once, newEncoder);
      meet(asked.unknown);
      warnings.push(...asked.task.summary.notes.map((note) => `${config.name}: ${note}`));
      const summary = { ...asked.task.summary, notes: [...asked.task.summary.notes, ...notesOf(split)] };
      tasks.push({ ...asked.task, config, summary });
    }
  }
  if (unknown.size > 0) {
    warnings.push(`the student’s vocabulary cannot express: ${[...unknown].slice(0, 40).join(' ')}`);
  }
  return {
    tasks,
    examples,
    refineItems,
    demonstrations: [...used.values()],
    summaries,
    warnings,
    decode: (ids) => decodeAnswer(loaded.tokenizer, ids),
    eosId: newEncoder().endId,
  };
}

interface OfTeacher {
  config: TaskConfig;
  source: Experiment['demonstrations'][number];
  prompt: Experiment['prompt'];
  isJudged: boolean;
}

/** One teacher's demonstrations of a task, and their encodings, which are made as they are asked for. */
function readDemonstrations(
  { config, source, prompt, isJudged }: OfTeacher,
  taught: TeacherTask,
  { files, once, newEncoder }: { files: DataFiles; once: Once; newEncoder: () => Encoder },
): Promise<{ found: LoadedDemonstrations; coded: CodedDemonstrations }> {
  const { fraction: _share, limit: _limit, keepWrong: _wrong, ...read } = source; // which of them are used comes after
  const { use: _, ...task } = config;
  return once.of('demonstrations', { task, read, prompt, isJudged }, async () => {
    const found = await loadDemonstrations(source, taught, (path) => files.readText(path));
    return { found, coded: new CodedDemonstrations(TASKS[config.id], newEncoder) };
  });
}

/** A task's test questions, and words in them that the vocabulary cannot express. */
function askedQuestions(
  { prompt, evaluation }: Experiment,
  config: TaskConfig,
  split: ReadSplit['split'],
  sizes: StudentSizes,
  once: Once,
  newEncoder: () => Encoder,
): { task: PreparedTask; unknown: ReadonlySet<string> } {
  const { limit, maxNewTokens, probing, scorer } = evaluation;
  const settings = { prompt, evaluation: { ...(limit === undefined ? {} : { limit }), maxNewTokens, probing, scorer } };
  const { use: _, ...asked } = config;
  return once.of('questions', { asked, ...settings }, () => {
    const encoder = newEncoder();
    return { task: prepareQuestions(settings, encoder, config, split, sizes), unknown: encoder.unknown };
  });
}

/** What is told of a task's questions beside what was left out. */
const notesOf = ({ duplicates, conflicting }: ReadSplit['split']): string[] => [
  ...(duplicates > 0 ? [`${duplicates} items repeat a question; they stay on one side`] : []),
  ...(conflicting.length > 0 ? [`${conflicting.length} questions occur with different targets`] : []),
];

/** Prompt and answer within the experiment's bounds and the student's context. Answers are never cut. */
function fits(experiment: Experiment, sizes: StudentSizes, { prompt, answer }: CodedIds): boolean {
  const { maxPromptTokens, maxAnswerTokens } = experiment.prompt;
  return (
    prompt.ids.length <= maxPromptTokens &&
    answer.length - 1 <= maxAnswerTokens && // the end of text is not counted
    prompt.ids.length + answer.length <= sizes.maxPositions
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
