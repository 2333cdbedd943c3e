// planWork.test.ts: how much is done for the plan of a grid: every file is read, every split made and every question and demonstration
// encoded once, however many cells have it in common; and the plan of a cell is the one that it has alone. Counts, no times.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseExperiment, type Experiment } from '../../../src/config/experiment';
import type { JsonObject } from '../../../src/formats/jsonText';
import { Encoder } from '../../../src/session/encoder';
import { RunPlanner, planRun, type RunPlan } from '../../../src/session/plan';
import { openFileRoot } from '../../../src/sources/fileRoot';
import type { OpenRoot } from '../../../src/sources/openRoot';
import * as splits from '../../../src/tasks/split';
import * as score from '../../../src/tasks/score';
import { SHAPES } from '../../../scripts/studentShapes.mjs';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.mock('../../../src/tasks/split', async (original) => {
  const real = await original<typeof splits>();
  return { ...real, splitItems: vi.fn(real.splitItems) };
});
vi.mock('../../../src/tasks/score', async (original) => {
  const real = await original<typeof score>();
  return { ...real, judgeItem: vi.fn(real.judgeItem) };
});

const files = openFileRoot({ kind: 'memory', files: tinyFiles() });
const shapes = { shapeOf: () => SHAPES['llama-2-7b'] as JsonObject };

interface Counts {
  /** By path. */
  read: Record<string, number>;
  splits: number;
  prompts: number;
  answers: number;
  judged: number;
}

/** The plans of cells by one planner, and what was done for them. */
async function planned(cells: readonly Experiment[]): Promise<{ plans: RunPlan[]; counts: Counts }> {
  vi.clearAllMocks();
  const read: Record<string, number> = {};
  const counting: OpenRoot = {
    ...files,
    open: async (path) => {
      const source = await files.open(path);
      if (source === undefined) return undefined;
      const counted = (start: number, end: number): Promise<Uint8Array> => {
        read[path] = (read[path] ?? 0) + 1;
        return source.read(start, end);
      };
      return { ...source, name: source.name, size: source.size, read: counted };
    },
  };
  const planner = new RunPlanner(counting, shapes);
  const plans: RunPlan[] = [];
  for (const cell of cells) plans.push(await planner.plan(cell));
  const times = (of: unknown): number => vi.mocked(of as () => void).mock.calls.length;
  const counts = {
    read,
    splits: times(splits.splitItems),
    prompts: times(Encoder.prototype.prompt),
    answers: times(Encoder.prototype.answer),
    judged: times(score.judgeItem),
  };
  return { plans, counts };
}

beforeEach(() => {
  vi.spyOn(Encoder.prototype, 'prompt');
  vi.spyOn(Encoder.prototype, 'answer');
});
afterEach(() => vi.restoreAllMocks());

const changed = (document: object, changes: object): Experiment =>
  parseExperiment({ ...structuredClone(document), ...changes });

/** Cells that differ as those of a grid do: seeds, rates, shares, which phases there are, how answers are sampled. */
function cellsOf(document: Record<string, unknown>): Experiment[] {
  const whole = parseExperiment(document);
  const { instruct, selfRefine } = whole.phases;
  const phases = (of: object): object => ({ phases: { ...whole.phases, ...of } });
  const [entry] = whole.demonstrations;
  return [
    whole,
    changed(document, { seed: 7 }),
    changed(document, phases({ baseline: false })),
    changed(document, phases({ instruct: false })),
    changed(document, phases({ selfRefine: false })),
    changed(document, phases({ instruct: { ...(instruct as object), learningRate: 0.5, microBatchTokens: 4096 } })),
    changed(document, phases({ selfRefine: { ...(selfRefine as object), maxSteps: 3 } })),
    changed(document, { demonstrations: [{ ...entry!, fraction: 0.5 }] }),
    changed(document, { evaluation: { ...whole.evaluation, batchSize: 1 } }),
    changed(document, { adapter: { ...whole.adapter, rank: 2 } }),
  ];
}

describe('the plan of a grid', () => {
  it('does for ten cells over the same files what it does for one, and each plan is the cell’s own', async () => {
    const cells = cellsOf(tinyExperiment());
    const alone = await planned([cells[0]!]);
    expect(alone.counts.read).toMatchObject({ 'train.jsonl': 2, 'test.jsonl': 1 }); // the task's rows, and the teacher's
    expect([alone.counts.splits, alone.counts.prompts > 0, alone.counts.answers > 0]).toEqual([1, true, true]);
    const all = await planned(cells);
    expect(all.counts).toEqual(alone.counts);
    for (const [i, cell] of cells.entries()) expect(all.plans[i]).toEqual(await planRun(cell, files));
    expect(new Set(all.plans.map((plan) => JSON.stringify(plan))).size).toBeGreaterThan(6);
  });

  it('the same for what is not there and has to be assumed', async () => {
    const [task] = tinyExperiment()['tasks'] as [object];
    const nothing = {
      ...tinyExperiment(),
      student: { source: { kind: 'directory', path: '/models/Llama-2-7b-hf' }, quantize: 'nf4' },
      tasks: [
        { ...task, id: 'gsm8k', files: { train: ['/a'], test: ['/b'] }, split: { trainCount: 40, testLimit: 9 } },
      ],
      demonstrations: [{ label: 'T', task: 'C', files: ['/t.jsonl'], format: 'jsonl', keepWrong: true }],
      evaluation: { prompts: ['cot'], maxNewTokens: 8, probing: false },
    };
    const cells = cellsOf(nothing);
    const alone = await planned([cells[0]!]);
    expect(alone.plans[0]!.estimates).toHaveLength(4);
    expect(alone.counts.splits).toBe(1);
    const all = await planned(cells);
    expect(all.counts).toEqual(alone.counts);
    for (const [i, cell] of cells.entries()) expect(all.plans[i]).toEqual(await planRun(cell, files, shapes));
  });

  it('judges no teacher’s answer, except where wrong ones are left out', async () => {
    const document = tinyExperiment();
    const [entry] = document['demonstrations'] as [object];
    const keepWrong = (keep: boolean): Experiment =>
      changed(document, { demonstrations: [{ ...entry, keepWrong: keep }] });
    expect((await planned([keepWrong(true)])).counts.judged).toBe(0);
    expect((await planned([keepWrong(false), keepWrong(true), keepWrong(false)])).counts.judged).toBe(12);
  });

  it('reads anew for another student, another prompt and other questions', async () => {
    const document = tinyExperiment();
    const whole = parseExperiment(document);
    const [task] = whole.tasks;
    const one = (await planned([whole])).counts;
    const wrapped = (await planned([whole, changed(document, { prompt: { ...whole.prompt, maxPromptTokens: 100 } })]))
      .counts;
    expect(wrapped.prompts).toBe(2 * one.prompts);
    const split = { tasks: [{ ...task!, split: { ...task!.split, testLimit: 2 } }] };
    const { counts, plans } = await planned([whole, changed(document, split)]);
    expect(counts.splits).toBe(2);
    expect(plans[1]!.totalTokens).toBeLessThan(plans[0]!.totalTokens);
  });
});
