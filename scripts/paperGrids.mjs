// paperGrids.mjs: writes grids/paper-*.json: the experiments of arXiv 2405.00402 as series documents, one for each of its students.
// Said again it writes the same bytes; a test holds the checked-in files to it. It runs nothing.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Sizes as in Table 8; the balanced splits of the choice tasks, all of the math ones. Files as docs/tasks.md names them. */
const TASKS = [
  {
    id: 'obqa',
    name: 'OBQA',
    files: { train: ['{data}/obqa/Data/Main/train.jsonl'], test: ['{data}/obqa/Data/Main/dev.jsonl'] },
    split: { trainCount: 4000, balanceTargets: true },
  },
  {
    id: 'csqa',
    name: 'CSQA',
    files: {
      train: ['{data}/zero_shot_cot/dataset/CommonsenseQA/train_rand_split.jsonl'],
      test: ['{data}/zero_shot_cot/dataset/CommonsenseQA/dev_rand_split.jsonl'],
    },
    split: { trainCount: 4000, balanceTargets: true },
  },
  {
    id: 'piqa',
    name: 'PIQA',
    files: {
      train: ['{data}/piqa/ybisk/train.jsonl', '{data}/piqa/ybisk/train-labels.lst'],
      test: ['{data}/piqa/ybisk/valid.jsonl', '{data}/piqa/ybisk/valid-labels.lst'],
    },
    split: { trainCount: 4000, balanceTargets: true },
  },
  {
    id: 'siqa',
    name: 'SIQA',
    files: {
      train: ['{data}/siqa/train.jsonl', '{data}/siqa/train-labels.lst'],
      test: ['{data}/siqa/dev.jsonl', '{data}/siqa/dev-labels.lst'],
    },
    // 1330 of each of three letters.
    split: { trainCount: 3990, balanceTargets: true },
  },
  {
    id: 'gsm8k',
    name: 'GSM8K',
    files: { train: ['{data}/gsm8k/train.jsonl'], test: ['{data}/gsm8k/test.jsonl'] },
    split: { trainCount: 4000 },
  },
  {
    id: 'multiarith',
    name: 'MultiArith',
    files: { all: ['{data}/zero_shot_cot/dataset/MultiArith/MultiArith.json'] },
    split: { trainCount: 420 },
  },
];
/** Figure 5: 25 % are trained on and left out of the evaluation. */
const ADDITIONAL = [
  { id: 'math', name: 'MATH', files: { all: ['{data}/math/MATH.jsonl'] }, split: { trainFraction: 0.25 } },
  {
    id: 'mmlu',
    name: 'MMLU',
    files: { all: ['{data}/mmlu/mmlu_test.csv'] },
    split: { trainFraction: 0.25, balanceTargets: true },
  },
];

const OUT_FAMILY = { label: 'GPT-3.5', folder: 'gpt-3.5-turbo' };
const STUDENTS = [
  {
    file: 'paper-llama2-7b',
    title: 'Llama-2-7b',
    folder: 'Llama-2-7b-hf',
    table: 1,
    inFamily: { label: 'Llama-2-70b', folder: 'llama-2-70b-chat' },
  },
  {
    file: 'paper-llama2-13b',
    title: 'Llama-2-13b',
    folder: 'Llama-2-13b-hf',
    table: 10,
    inFamily: { label: 'Llama-2-70b', folder: 'llama-2-70b-chat' },
  },
  {
    file: 'paper-mistral-7b',
    title: 'Mistral-7b',
    folder: 'Mistral-7B-Instruct-v0.1',
    table: 11,
    inFamily: { label: 'Mixtral-8x7B', folder: 'mixtral-8x7b' },
  },
];

const ALL_TASKS = [...TASKS, ...ADDITIONAL];
const MAIN = TASKS.map((_, i) => i);

/** @param {number} i */
function taskAt(i) {
  const task = ALL_TASKS[i];
  if (task === undefined) throw new Error(`paperGrids: there is no task ${i}`);
  return task;
}

/** @param {{ label: string, folder: string }} teacher @param {'in-family' | 'out-family'} family @param {number} task */
const demonstrations = (teacher, family, task) => ({
  label: teacher.label,
  task: taskAt(task).name,
  files: [`{data}/teachers/${teacher.folder}/${taskAt(task).id}.jsonl`],
  format: 'jsonl',
  family,
  keepWrong: true,
});

/**
 * What each task is used for: `instruct` and `refine` are trained on, `tested` evaluated. A task that is used for nothing must
 * name something: without demonstrations, "selfRefine" is nothing, and phase 1 stays what other cells share.
 * @param {{ instruct?: number, refine?: number, tested: readonly number[] }} of
 */
function uses({ instruct, refine, tested }) {
  return Object.fromEntries(
    ALL_TASKS.map((_, i) => {
      const use = [
        ...(i === instruct ? ['instruct'] : []),
        ...(i === refine ? ['selfRefine'] : []),
        ...(tested.includes(i) ? ['evaluate'] : []),
      ];
      return [`tasks[${i}].use`, use.length === 0 ? ['selfRefine'] : use];
    }),
  );
}

/** @param {(typeof STUDENTS)[number]} student */
function cellsOf({ inFamily }) {
  /** @type {{ label: string, set: Record<string, unknown>, systems?: Record<string, string> }[]} */
  const cells = [];
  const families = /** @type {const} */ ([
    [inFamily, 'in-family'],
    [OUT_FAMILY, 'out-family'],
  ]);
  const name = (/** @type {number} */ i) => taskAt(i).name;
  const noBaseline = { 'phases.baseline': false };
  for (const [teacher, family] of families) {
    // Table 1, 10, 11 and Figures 2 and 3: trained on one task, tested on all.
    for (const i of MAIN) {
      cells.push({
        label: `${name(i)}, ${teacher.label}`,
        set: {
          ...uses({ instruct: i, refine: i, tested: MAIN }),
          demonstrations: [demonstrations(teacher, family, i)],
        },
      });
    }
    // Figure 4: less of the demonstrations, and self-refine alone; tested on the task itself.
    for (const i of MAIN) {
      for (const share of [0.25, 0.5, 0.75, 1]) {
        const own = [{ ...demonstrations(teacher, family, i), ...(share === 1 ? {} : { fraction: share }) }];
        const common = { ...uses({ instruct: i, refine: i, tested: [i] }), demonstrations: own, ...noBaseline };
        if (share < 1) cells.push({ label: `${name(i)}, ${teacher.label}, ${100 * share} %`, set: common });
        cells.push({
          label: `${name(i)}, ${teacher.label}, ${100 * share} %, self-refine only`,
          set: { ...common, 'phases.instruct': false },
          systems: { 'Self-refined': 'Self-refine only' },
        });
      }
    }
  }
  // Cross Self-refine: instructed on one task, refined and tested on another.
  for (const i of MAIN) {
    for (const j of MAIN) {
      if (i === j) continue;
      cells.push({
        label: `${name(i)}, refined on ${name(j)}, ${inFamily.label}`,
        set: {
          ...uses({ instruct: i, refine: j, tested: [j] }),
          demonstrations: [demonstrations(inFamily, 'in-family', i), demonstrations(inFamily, 'in-family', j)],
          ...noBaseline,
        },
      });
    }
  }
  // Figure 5.
  for (const [teacher, family] of families) {
    for (const i of ADDITIONAL.map((_, k) => TASKS.length + k)) {
      cells.push({
        label: `${name(i)}, ${teacher.label}`,
        set: { ...uses({ instruct: i, refine: i, tested: [i] }), demonstrations: [demonstrations(teacher, family, i)] },
      });
    }
  }
  return cells;
}

/** The series document of one student. @param {(typeof STUDENTS)[number]} student */
export function paperGrid(student) {
  return {
    $schema: '../docs/series.schema.json',
    name: `The paper: ${student.title}`,
    notes:
      `Table ${student.table}, Figures 2 to 5 and Table 5 of arXiv 2405.00402 for ${student.title}. Hyperparameters are the paper’s; ` +
      'rank, targets, dropout, the batch and clip of phase 1 follow QLoRA and Alpaca, since it does not give them. The teachers’ ' +
      'demonstrations were not published: `pupil teach` makes them, into {data}/teachers/<teacher>/<task>.jsonl (docs/paper-grids.md). ' +
      'Judging (Tables 13 and 14) comes afterwards: `pupil judge`.',
    experiment: {
      name: `The paper: ${student.title}`,
      student: { source: { kind: 'directory', path: `{data}/weights/${student.folder}` }, quantize: 'nf4-double' },
      adapter: { rank: 64, alpha: 16, dropout: 0.1 },
      prompt: { wrapper: 'alpaca' },
      tasks: ALL_TASKS,
      demonstrations: [demonstrations(student.inFamily, 'in-family', 0)],
      phases: {
        baseline: true,
        instruct: {
          epochs: 4,
          learningRate: 2e-5,
          weightDecay: 1e-4,
          schedule: 'cosine',
          warmupRatio: 0.03,
          batchSize: 128,
          microBatchTokens: 2048,
          clip: 0.3,
        },
        selfRefine: {
          beta: 0.1,
          loss: 'sigmoid',
          learningRate: 1e-6,
          warmupSteps: 100,
          batchSize: 128,
          microBatchTokens: 2048,
          maxSteps: 1000,
          sampling: { temperature: 0.1, maxNewTokens: 256, batchSize: 32 },
          wrongTeacher: 'keep',
          keepBest: 'lowest-validation-loss',
        },
      },
      evaluation: { prompts: ['cot'], temperature: 0.1, maxNewTokens: 256, batchSize: 32 },
    },
    seeds: 3,
    axes: [{ name: 'experiment', values: cellsOf(student) }],
    table: { layout: 'grid' },
  };
}

/** Every grid by the name of its file. */
export const paperGrids = () => new Map(STUDENTS.map((student) => [student.file, paperGrid(student)]));

/** As checked in. @param {unknown} document */
export const gridText = (document) => `${JSON.stringify(document, null, 1)}\n`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(ROOT, 'grids');
  mkdirSync(folder, { recursive: true });
  for (const [file, document] of paperGrids()) writeFileSync(join(folder, `${file}.json`), gridText(document));
}
