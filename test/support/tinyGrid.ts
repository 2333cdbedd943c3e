// tinyGrid.ts: a grid of the prototype's short run, cut to seconds a cell, as a series document on disk. Tests only.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prototypeSmoke } from '../fixtures/prototypeSmoke';

const LESSON = fileURLToPath(new URL('../fixtures/lesson/', import.meta.url));

const files = (task: string): { train: string[]; test: string[] } => ({
  train: [join(LESSON, `task-${task}-train-in-seed0.jsonl`)],
  test: [join(LESSON, `task-${task}-test.jsonl`)],
});

/** What a teacher says of a task of the tiny grid. */
export const demonstrationsOf = (task: 'C' | 'A'): Record<string, unknown> => ({
  ...prototypeSmoke().demonstrations[0],
  task,
  files: files(task).train,
});

/** Axes by name; each value is a label and what it sets. */
export type GridAxes = { name: string; values: { label: string; set?: Record<string, unknown>; systems?: object }[] }[];

/** Refined on the task that phase 1 taught, or on the other one: both cells start from one instructed adapter. */
export const WAYS: GridAxes[number] = {
  name: 'way',
  values: [
    { label: 'both', set: {} },
    {
      label: 'cross',
      set: { 'tasks[0].use': ['instruct', 'evaluate'], 'tasks[1].use': ['selfRefine', 'evaluate'] },
      systems: { 'Self-refined': 'Cross Self-refine' },
    },
  ],
};

/** Writes the grid; returns its path. */
export function writeTinyGrid(folder: string, axes: GridAxes, seeds = 1, name = 'Tiny grid'): string {
  const smoke = prototypeSmoke();
  const [taskC] = smoke.tasks;
  const split = { order: 'file', trainCount: 6, testLimit: 3 };
  const experiment = {
    ...smoke,
    student: {
      ...smoke.student,
      source: { kind: 'directory', path: join(LESSON, 'student-p10') },
      tokenizer: { kind: 'words', path: join(LESSON, 'vocab.json') },
    },
    tasks: [
      { ...taskC, files: files('C'), split },
      { id: 'lesson', name: 'A', files: files('A'), split, use: ['evaluate'] },
    ],
    demonstrations: [demonstrationsOf('C'), demonstrationsOf('A')],
  };
  const series = {
    name,
    experiment,
    seeds,
    set: {
      'evaluation.prompts': ['cot'],
      'evaluation.maxNewTokens': 12,
      'evaluation.probing': false,
      'phases.selfRefine.maxSteps': 2,
      'phases.selfRefine.minValidationPairs': 1,
      'phases.selfRefine.sampling.maxNewTokens': 12,
    },
    axes,
    table: { layout: 'grid' },
  };
  const file = join(folder, 'grid.json');
  writeFileSync(file, JSON.stringify(series));
  return file;
}
