// published.ts: the numbers that the paper prints (arXiv 2405.00402: Tables 1, 10, 11, 5, 13, 14), to stand beside those of runs.
// They are no target: the text leaves open how they came about (base or chat students, scorer), and the ± that it prints, 0.1 to
// 0.5, is smaller than what its numbers of questions allow; it is left out here. Data and look-ups only.
import type { TaskId } from '../config/experiment';

/** The columns of Tables 1, 10 and 11, by benchmark. */
const COLUMNS: readonly TaskId[] = ['obqa', 'csqa', 'piqa', 'siqa', 'gsm8k', 'multiarith'];
const NAMES: readonly string[] = ['OBQA', 'CSQA', 'PIQA', 'SIQA', 'GSM8K', 'MultiArith'];

/** Rows of what the paper calls a student: trained on, row, per cent for each column; null where it prints none. */
interface PublishedTable {
  table: 1 | 10 | 11;
  student: string;
  /** The last part of where such a student lies. */
  matches: RegExp;
  rows: readonly (readonly [trainedOn: string, row: string, values: readonly (number | null)[]])[];
}

const TABLES: readonly PublishedTable[] = [
  {
    table: 1,
    student: 'Llama-2-7b',
    matches: /llama-?2-7b/i,
    rows: [
      ['', 'Baseline', [53.6, 50.6, 61.6, 46.5, 68.2, 69.5]],
      ['', 'Baseline CoT', [49.5, 55.8, 63.8, 51.3, 71.3, 72.6]],
      ['OBQA', 'Instruction-tuning', [65.3, 65.4, 66.3, 59.2, 61.4, 60.2]],
      ['OBQA', '+ Self-refine', [70.8, 73.2, 75.3, 62.6, 68.7, 69.8]],
      ['OBQA', 'Cross Self-refine', [null, 78.4, 78.3, 64.5, 74.4, 83.2]],
      ['CSQA', 'Instruction-tuning', [57.8, 71.4, 65.5, 61.8, 60.1, 59.3]],
      ['CSQA', '+ Self-refine', [69.5, 79.8, 74.2, 66.3, 61.2, 60.3]],
      ['CSQA', 'Cross Self-refine', [68.7, null, 78.4, 64.1, 72.1, 73.4]],
      ['PIQA', 'Instruction-tuning', [56.9, 64.3, 80.2, 57.3, 58.3, 59.1]],
      ['PIQA', '+ Self-refine', [68.2, 67.3, 84.6, 63.4, 67.8, 66.9]],
      ['PIQA', 'Cross Self-refine', [68.2, 71.3, null, 64.2, 68.7, 67.6]],
      ['SIQA', 'Instruction-tuning', [58.9, 62.8, 63.2, 62.8, 59.6, 60.2]],
      ['SIQA', '+ Self-refine', [68.3, 68.5, 78.3, 66.2, 61.3, 60.9]],
      ['SIQA', 'Cross Self-refine', [69.4, 68.5, 77.9, null, 65.1, 64.7]],
      ['GSM8K', 'Instruction-tuning', [53.2, 54.9, 63.7, 52.5, 71.2, 70.3]],
      ['GSM8K', '+ Self-refine', [58.6, 61.7, 62.3, 52.4, 76.9, 74.3]],
      ['GSM8K', 'Cross Self-refine', [64.6, 64.3, 77.6, 60.3, null, 75.3]],
      ['MultiArith', 'Instruction-tuning', [53.6, 55.7, 53.8, 51.5, 69.3, 75.6]],
      ['MultiArith', '+ Self-refine', [59.1, 63.2, 58.3, 58.6, 70.2, 85.8]],
      ['MultiArith', 'Cross Self-refine', [65.3, 61.3, 62.1, 60.7, 73.4, null]],
    ],
  },
  {
    table: 10,
    student: 'Llama-2-13b',
    matches: /llama-?2-13b/i,
    rows: [
      ['', 'Baseline', [55.4, 63.4, 66.4, 48.3, 65.6, 63.4]],
      ['', 'Baseline CoT', [54.2, 62.8, 71.2, 46.9, 70.5, 62.8]],
      ['OBQA', 'Instruction-tuning', [68.5, 67.5, 69.4, 60.1, 62.3, 61.5]],
      ['OBQA', '+ Self-refine', [71.2, 74.1, 76.2, 63.4, 69.9, 70.7]],
      ['OBQA', 'Cross Self-refine', [null, 79.2, 79.5, 65.6, 75.2, 84.3]],
      ['CSQA', 'Instruction-tuning', [58.4, 77.5, 66.4, 61.8, 62.4, 60.2]],
      ['CSQA', '+ Self-refine', [69.5, 81.4, 74.2, 67.9, 62.1, 61.4]],
      ['CSQA', 'Cross Self-refine', [70.2, null, 79.5, 65.2, 73.3, 75.3]],
      ['PIQA', 'Instruction-tuning', [57.8, 65.2, 81.9, 58.5, 59.2, 60.3]],
      ['PIQA', '+ Self-refine', [69.6, 68.2, 85.1, 64.3, 69.3, 68.1]],
      ['PIQA', 'Cross Self-refine', [69.9, 71.3, null, 65.3, 69.6, 69.2]],
      ['SIQA', 'Instruction-tuning', [59.6, 63.9, 67.1, 64.5, 60.3, 61.3]],
      ['SIQA', '+ Self-refine', [69.2, 69.4, 79.2, 66.7, 62.4, 61.8]],
      ['SIQA', 'Cross Self-refine', [71.2, 69.2, 80.4, null, 66.5, 66.7]],
      ['GSM8K', 'Instruction-tuning', [54.3, 55.8, 64.3, 53.2, 72.3, 71.6]],
      ['GSM8K', '+ Self-refine', [59.3, 62.2, 63.5, 53.5, 77.2, 75.2]],
      ['GSM8K', 'Cross Self-refine', [65.7, 65.2, 78.1, 61.6, null, 76.2]],
      ['MultiArith', 'Instruction-tuning', [54.7, 56.6, 54.5, 52.4, 70.2, 75.8]],
      ['MultiArith', '+ Self-refine', [60.3, 64.1, 59.4, 59.7, 72.1, 86.2]],
      ['MultiArith', 'Cross Self-refine', [66.2, 62.4, 63.2, 61.5, 73.9, null]],
    ],
  },
  {
    table: 11,
    student: 'Mistral-7b',
    matches: /mistral-?7b/i,
    rows: [
      ['', 'Baseline', [62.7, 69.2, 67.3, 55.3, 54.2, 88.4]],
      ['', 'Baseline CoT', [60.4, 68.7, 66.1, 54.8, 55.6, 87.3]],
      ['OBQA', 'Instruction-tuning', [78.3, 65.4, 67.2, 59.2, 64.2, 62.1]],
      ['OBQA', '+ Self-refine', [87.6, 73.1, 76.1, 63.3, 69.1, 70.7]],
      ['OBQA', 'Cross Self-refine', [null, 79.4, 80.1, 68.2, 75.2, 81.3]],
      ['CSQA', 'Instruction-tuning', [58.9, 73.1, 65.8, 62.1, 62.2, 60.2]],
      ['CSQA', '+ Self-refine', [69.5, 81.3, 75.1, 66.5, 61.1, 62.4]],
      ['CSQA', 'Cross Self-refine', [69.2, null, 79.3, 65.2, 72.8, 74.4]],
      ['PIQA', 'Instruction-tuning', [58.6, 64.8, 81.6, 59.2, 60.2, 60.3]],
      ['PIQA', '+ Self-refine', [68.2, 68.2, 85.6, 63.8, 67.9, 67.2]],
      ['PIQA', 'Cross Self-refine', [69.2, 71.9, null, 63.2, 68.4, 69.6]],
      ['SIQA', 'Instruction-tuning', [59.3, 66.8, 63.2, 61.5, 60.2, 61.3]],
      ['SIQA', '+ Self-refine', [68.3, 68.5, 78.3, 65.8, 62.4, 61.3]],
      ['SIQA', 'Cross Self-refine', [71.3, 69.2, 78.1, null, 65.6, 68.3]],
      ['GSM8K', 'Instruction-tuning', [52.4, 54.9, 58.7, 51.8, 56.1, 65.2]],
      ['GSM8K', '+ Self-refine', [57.6, 58.7, 59.3, 51.4, 63.4, 60.3]],
      ['GSM8K', 'Cross Self-refine', [61.3, 64.3, 70.1, 58.2, null, 70.5]],
      ['MultiArith', 'Instruction-tuning', [57.9, 59.2, 53.8, 51.5, 69.3, 89.6]],
      ['MultiArith', '+ Self-refine', [59.1, 63.2, 59.4, 59.9, 68.2, 91.4]],
      ['MultiArith', 'Cross Self-refine', [64.7, 65.8, 64.1, 61.5, 70.1, null]],
    ],
  },
];

/** Table 5, training questions, CoT prompt: what a run's own teachers can be held against. */
const TEACHERS: readonly (readonly [matches: RegExp, values: readonly number[]])[] = [
  [/llama-?2-?70/i, [71.3, 79.6, 67.5, 85.8, 77.2, 90.8]],
  [/gpt-?3\.5/i, [75.4, 84.8, 70.3, 85.3, 86.5, 96.7]],
  [/mixtral/i, [81.2, 82.3, 68.2, 84.1, 67.9, 91.5]],
];
/** Its rows are in this order. */
const TEACHER_COLUMNS: readonly TaskId[] = ['obqa', 'csqa', 'siqa', 'piqa', 'gsm8k', 'multiarith'];

/** Table 14: average ratings of students by GPT-4, from 1 to 3; of 300 questions, 50 a task. */
const QUALITY: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'Llama-2-7b': {
    Baseline: 1.26,
    'Baseline CoT': 1.47,
    'in-family Instruction-tuned': 2.43,
    'in-family Self-refined': 2.75,
    'out-family Instruction-tuned': 1.99,
    'out-family Self-refined': 2.86,
  },
  'Llama-2-13b': {
    Baseline: 1.39,
    'Baseline CoT': 1.56,
    'in-family Instruction-tuned': 2.66,
    'in-family Self-refined': 2.83,
    'out-family Instruction-tuned': 2.17,
    'out-family Self-refined': 2.79,
  },
  'Mistral-7b': {
    Baseline: 1.16,
    'Baseline CoT': 1.21,
    'in-family Instruction-tuned': 2.36,
    'in-family Self-refined': 2.54,
    'out-family Instruction-tuned': 1.76,
    'out-family Self-refined': 2.82,
  },
};

/** Table 13: the same of teachers with the CoT prompt. */
const TEACHER_QUALITY: readonly (readonly [matches: RegExp, value: number])[] = [
  [/llama-?2-?70/i, 2.72],
  [/mixtral/i, 2.56],
  [/gpt-?3\.5/i, 2.89],
];

const tableOf = (student: string): PublishedTable | undefined => TABLES.find(({ matches }) => matches.test(student));

/** The number of the table that the paper has of such a student, by the last part of where it lies; else undefined. */
export const paperTableOf = (student: string): 1 | 10 | 11 | undefined => tableOf(student)?.table;

/**
 * What the paper prints, in per cent.
 * @param trainedOn the one benchmark that was trained on (of a cross row, instructed on), undefined for the untouched student
 * @param row as report/paperTables.ts calls it
 */
export function publishedAccuracy(
  student: string,
  trainedOn: string | undefined,
  row: string,
  testedOn: string,
): number | undefined {
  const block = trainedOn === undefined ? '' : NAMES[COLUMNS.indexOf(trainedOn as TaskId)];
  const found = tableOf(student)?.rows.find(([own, label]) => own === block && label === row);
  return found?.[2][COLUMNS.indexOf(testedOn as TaskId)] ?? undefined;
}

/** A teacher's own accuracy on training questions with the CoT prompt, in per cent. */
export function publishedTeacher(label: string, benchmark: string): number | undefined {
  return TEACHERS.find(([matches]) => matches.test(label))?.[1][TEACHER_COLUMNS.indexOf(benchmark as TaskId)];
}

/** A student's average rating. @param system as judge.json calls it: `Baseline`, `Baseline CoT`, `Self-refined` … */
export function publishedQuality(student: string, system: string, family: string | undefined): number | undefined {
  const own = QUALITY[tableOf(student)?.student ?? ''];
  return own?.[system] ?? (family === undefined ? undefined : own?.[`${family} ${system}`]);
}

export const publishedTeacherQuality = (label: string): number | undefined =>
  TEACHER_QUALITY.find(([matches]) => matches.test(label))?.[1];
