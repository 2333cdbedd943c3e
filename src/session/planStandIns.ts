// planStandIns.ts: what stands in a plan for files that are not there yet: a benchmark's questions, a teacher's demonstrations, a
// tokenizer. So a grid can be planned before anything is downloaded or annotated. Numbers of questions are the published ones,
// lengths typical ones with some spread; each stand-in is told as an estimate. No run ever sees any of this.
import type { Once } from '../base/once';
import type { Experiment, TaskConfig, TaskId } from '../config/experiment';
import type { ByteSource } from '../formats/byteSource';
import type { OpenRoot } from '../sources/openRoot';
import { readBytesWith, readTextWith } from '../sources/readWith';
import type { TextTokenizer } from '../text/tokenizer';
import { dataFiles } from './dataFiles';
import { readSplit } from './taskItems';
import type { LoadedTokenizer } from './tokenizers';

/** A benchmark in numbers: questions as published, mean characters of its parts. */
interface TypicalTask {
  train: number;
  test: number;
  /** Of one pool that is split; absent: both together. */
  pool?: number;
  question: number;
  /** None where a number is answered. */
  choices?: { count: number; length: number };
  /** Of a teacher's answer with its reasoning: as long as the paper's example (Table 6), math problems shorter. */
  answer: number;
}

const FOUR = { count: 4, length: 22 };
const TYPICAL: Partial<Record<TaskId, TypicalTask>> = {
  obqa: { train: 4957, test: 500, question: 56, choices: FOUR, answer: 900 },
  csqa: { train: 9741, test: 1221, question: 68, choices: { count: 5, length: 9 }, answer: 900 },
  piqa: { train: 16113, test: 1838, question: 36, choices: { count: 2, length: 96 }, answer: 800 },
  siqa: { train: 33410, test: 1954, question: 130, choices: { count: 3, length: 24 }, answer: 800 },
  gsm8k: { train: 7473, test: 1319, question: 237, answer: 700 },
  multiarith: { train: 420, test: 180, question: 158, answer: 450 },
  math: { train: 7500, test: 5000, question: 190, answer: 1100 },
  mmlu: { train: 1531, test: 14042, pool: 14042, question: 320, choices: { count: 4, length: 60 }, answer: 900 },
};
const UNKNOWN: TypicalTask = { train: 4000, test: 1000, question: 200, answer: 700 };

/** Factors that lengths go through, one after another; their mean is 1. */
const SPREAD = [1, 0.7, 1.3, 0.55, 1.45];
/** Characters of a token of Llama-2's tokenizer: 3.2 for multiple choice to 4.0 for prose; fewer means more tokens. */
const CHARACTERS_PER_TOKEN = 3.2;

const words = (length: number): string =>
  'word '
    .repeat(Math.ceil(length / 5))
    .slice(0, Math.max(1, length))
    .trimEnd();

/** Texts of typical length, each of its own. */
function typicalRow(typical: TypicalTask, i: number): Record<string, unknown> {
  const factor = SPREAD[i % SPREAD.length]!;
  const question = `${i} ${words(Math.round(typical.question * factor))}`;
  const { choices } = typical;
  if (choices === undefined) return { id: `q${i}`, question, answer: `${i}` };
  const texts = Array.from({ length: choices.count }, (_, c) => `option ${c} ${words(choices.length - 9)}`);
  return { id: `q${i}`, question, choices: texts, answer: 'ABCDEFGHIJ'[i % choices.count] };
}

const lines = (rows: readonly unknown[]): Uint8Array =>
  new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join('\n'));

/** An experiment whose every file can be read. */
export interface StoodIn {
  experiment: Experiment;
  files: OpenRoot;
  /** A sentence for each stand-in. */
  estimates: string[];
}

/** Makes a file's rows when it is read: of many experiments with one task only the first reads them. */
type MadeFiles = ReadonlyMap<string, () => readonly unknown[]>;

/** Files of a root, and some more. */
function withFiles(root: OpenRoot, added: MadeFiles): OpenRoot {
  const open = async (path: string): Promise<ByteSource | undefined> => {
    const rows = added.get(path);
    if (rows === undefined) return root.open(path);
    const bytes = lines(rows());
    return { name: path, size: bytes.length, read: (start, end) => Promise.resolve(bytes.subarray(start, end)) };
  };
  return {
    ...root,
    open,
    readText: (path) => readTextWith(open, root.description, path),
    readBytes: (path) => readBytesWith(open, root.description, path),
  };
}

/** Of generated files (`lesson:…`) and addresses only reading tells. */
const isElsewhere = (path: string): boolean => /^[a-zA-Z][a-zA-Z0-9+.-]+:/.test(path);

/**
 * The experiment, with stand-ins for whatever is not there; the same experiment where all is.
 * @param once in which splits are kept, for whoever prepares the experiment next
 */
export async function standIns(experiment: Experiment, root: OpenRoot, once: Once): Promise<StoodIn> {
  const added = new Map<string, () => readonly unknown[]>();
  const estimates: string[] = [];
  const isMissing = async (paths: readonly string[]): Promise<boolean> => {
    for (const path of paths) {
      if (!isElsewhere(path) && (await root.open(path)) === undefined) return true;
    }
    return false;
  };
  const tasks: TaskConfig[] = [];
  const isShown = ({ name }: TaskConfig): boolean => experiment.demonstrations.some(({ task }) => task === name);
  for (const task of experiment.tasks) {
    // Neither trained on nor tested: a run reads it and does nothing with it.
    if (!task.use.includes('evaluate') && !isShown(task)) continue;
    const { files } = task;
    const paths = 'all' in files ? files.all : [...files.train, ...files.test];
    if (!(await isMissing(paths))) {
      tasks.push(task);
      continue;
    }
    const typical = TYPICAL[task.id] ?? UNKNOWN;
    const pool = typical.pool ?? typical.train + typical.test;
    // No more than the split takes: targets go round, so that a few to spare balance them.
    const train = Math.min(typical.train, (task.split.trainCount ?? Infinity) + 10);
    const add = (part: string, count: number, from: number): string => {
      // The path says all that the rows follow from: experiments that have it in common may share what was read.
      const path = `stand-in/${task.id}/${task.name}/${part} ${from} to ${from + count}.jsonl`;
      added.set(path, () => Array.from({ length: count }, (_, i) => typicalRow(typical, from + i)));
      return path;
    };
    estimates.push(
      `${task.name}: its files are not here (first ${paths[0]!}); counted as published, ${'all' in files ? `${pool} questions` : `${typical.train} to train, ${typical.test} to test`}, with typical lengths`,
    );
    const { trainCount: _, trainFraction: _share, ...whole } = task.split;
    tasks.push({
      ...task,
      id: 'custom',
      split: isShown(task) || 'all' in files ? task.split : whole,
      mapping: {
        id: 'id',
        question: 'question',
        target: 'answer',
        ...(typical.choices === undefined ? {} : { choices: 'choices' }),
      },
      files:
        'all' in files
          ? { all: [add('all', pool, 0)] }
          : {
              train: files.train.length === 0 || !isShown(task) ? [] : [add('train', train, 0)],
              test: [add('test', typical.test, typical.train)],
            },
    });
  }
  const made = withFiles(root, added);
  const demonstrations: Experiment['demonstrations'] = [];
  for (const entry of experiment.demonstrations) {
    const { rationaleMarker: _, alignedWith = [], fields: _fields, ...rest } = entry;
    if (!(await isMissing([...entry.files, ...alignedWith]))) {
      demonstrations.push(entry);
      continue;
    }
    const before = experiment.tasks.find(({ name }) => name === entry.task)!;
    const task = tasks.find(({ name }) => name === entry.task)!;
    const { answer } = TYPICAL[before.id] ?? UNKNOWN;
    const { train } = (await readSplit(task, dataFiles(made), once)).split;
    const path = `stand-in/${entry.task}/by ${entry.label}.jsonl`;
    const answers = SPREAD.map((factor) => words(Math.round(answer * factor)));
    added.set(path, () =>
      train.map(({ id, target }, i) => ({
        itemId: id,
        instruction: '',
        question: '',
        answer: `${answers[i % SPREAD.length]!} The answer is ${target}.`,
      })),
    );
    estimates.push(
      `${entry.task}: no demonstrations by ${entry.label} yet (${entry.files[0]!}; made with \`pupil teach\`); one for each of ${train.length} training questions, about ${Math.round(answer / CHARACTERS_PER_TOKEN)} tokens each, is assumed`,
    );
    demonstrations.push({ ...rest, format: 'jsonl', files: [path] });
  }
  return { experiment: { ...experiment, tasks, demonstrations }, files: made, estimates };
}

/** A tokenizer that only counts: as many ids as a text of this length has tokens. */
export function countingTokenizer(): LoadedTokenizer {
  const tokenizer: TextTokenizer = {
    vocabSize: 3,
    bosId: 1,
    eosIds: [2],
    specialTexts: {},
    controlTexts: [],
    encode: (text, { addBos = false } = {}) =>
      new Array<number>(Math.ceil(text.length / CHARACTERS_PER_TOKEN) + (addBos ? 1 : 0)).fill(0),
    decode: () => '',
    unknownPieces: () => [],
  };
  return { tokenizer };
}
