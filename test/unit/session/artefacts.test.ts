// artefacts.test.ts: what a report says of a run's answers beyond the rows of its own scorer, on answers written by hand.
import { describe, expect, it } from 'vitest';
import type { TaskConfig } from '../../../src/config/experiment';
import { samplesOf } from '../../../src/session/artefacts';
import type { PredictionSet } from '../../../src/session/runState';
import { scorerRows } from '../../../src/session/scorerRows';
import { lesson } from '../../../src/tasks/lesson';
import type { TaskItem } from '../../../src/tasks/task';

const CHOICES = ['linen', 'owl', 'bike', 'melon'];
const fruit = (id: string): TaskItem => ({ id, question: 'Which grows?', choices: CHOICES, target: 'D' });
const sum = (id: string): TaskItem => ({ id, question: 'How many?', target: '11' });

const task = (name: string, items: TaskItem[]): Parameters<typeof scorerRows>[1][number] => ({
  config: { name } as TaskConfig,
  task: lesson,
  items,
});

function answers(taskId: string, items: TaskItem[], texts: string[]): PredictionSet {
  const predictions = texts.map((text, i) => ({
    itemId: items[i]!.id,
    text,
    stopped: 'eos' as const,
    target: items[i]!.target,
    correct: { strict: i === 0 },
  }));
  return { system: 'Self-refined', taskId, prompt: 'cot', predictions };
}

describe('scorerRows', () => {
  it('counts what each scorer calls right, and where strict and literal differ, in both directions', () => {
    const items = [fruit('a'), fruit('b'), fruit('c'), fruit('d')];
    const texts = [
      'A) linen is a fabric A). D) melon is a fruit D). Therefore the answer is D) melon.', // all three
      'D) melon is a fruit D). Therefore the answer is A) linen.', // names the target, concludes something else
      'The answer is melon.', // the option’s text alone: strict reads it, there is no "D"
      'The answer is B) owl.', // none
    ];
    expect(scorerRows([answers('C', items, texts)], [task('C', items)])).toEqual([
      {
        system: 'Self-refined',
        taskId: 'C',
        prompt: 'cot',
        n: 4,
        correct: { strict: 2, literal: 2, 'paper-compat': 1 },
        literalOnly: 1,
        strictOnly: 1,
      },
    ]);
  });

  it('numbers: a step on the way that happens to be the target passes literal matching only', () => {
    const items = [sum('a'), sum('b')];
    const texts = ['First, 15 - 4 = 11. The answer is 11.', 'First, 7 + 4 = 11. Then, 11 + 2 = 13. The answer is 13.'];
    const [row] = scorerRows([answers('A', items, texts)], [task('A', items)]);
    expect(row).toMatchObject({ n: 2, correct: { strict: 1, literal: 2 }, literalOnly: 1, strictOnly: 0 });
  });

  it('changes none of the verdicts it was given', () => {
    const items = [fruit('a'), fruit('b')];
    const set = answers('C', items, ['The answer is A) linen.', 'D)']);
    const before = structuredClone(set);
    expect(scorerRows([set], [task('C', items)])[0]!.correct.strict).toBe(1);
    expect(set).toEqual(before);
  });
});

describe('samplesOf', () => {
  it('shows the first ten questions of a task that is trained on and five of one that is only tested', () => {
    const many = (prefix: string): TaskItem[] => Array.from({ length: 12 }, (_, i) => fruit(`${prefix}${i}`));
    const [tested, trained, other] = [many('t'), many('c'), many('o')];
    // Right answers come last: a choice by result would find them.
    const sets = [
      answers(
        'C',
        trained,
        trained.map(() => 'D)'),
      ),
    ];
    const prepared = {
      tasks: [task('T', tested), task('C', trained), task('O', other)],
      summaries: [
        { taskId: 'C', used: 3 },
        { taskId: 'O', used: 0 },
      ],
    };
    const samples = samplesOf(sets, prepared, 'strict');
    const ids = (taskId: string): string[] => samples.filter((s) => s.taskId === taskId).map((s) => s.itemId);
    expect(ids('T')).toEqual(tested.slice(0, 10).map(({ id }) => id)); // the first task always has ten
    expect(ids('C')).toEqual(trained.slice(0, 10).map(({ id }) => id));
    expect(ids('O')).toEqual(['o0', 'o1', 'o2', 'o3', 'o4']);
    const ofC = samples.filter((s) => s.taskId === 'C');
    expect(ofC.map((s) => s.answers.length)).toEqual(Array(10).fill(1));
    expect(ofC.map((s) => s.answers[0]!.correct)).toEqual([true, ...Array<boolean>(9).fill(false)]);
  });
});
