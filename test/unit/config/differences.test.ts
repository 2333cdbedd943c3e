// differences.test.ts: what differs between two experiments, and the way back: nothing is lost, nothing is told that is the same.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asChanges,
  type ChangeSet,
  differencesOf,
  withChanges,
  withoutDifference,
} from '../../../src/config/differences';
import { parseExperiment, type ExperimentInput } from '../../../src/config/experiment';
import { preset } from '../../../src/config/presets';
import { formatPath } from '../../../src/config/seriesPaths';
import { withDefaults } from '../../../src/config/settingValues';
import { changedPreset } from '../../support/randomExperiment';

const lesson = preset('lesson');
const pathsOf = (before: unknown, now: unknown): string[] =>
  differencesOf(before, now).map(({ path }) => formatPath(path));

describe('withDefaults', () => {
  it('of any valid experiment is what parsing gives, key for key', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const { document } = changedPreset(g);
        expect(JSON.stringify(withDefaults(document))).toBe(JSON.stringify(parseExperiment(document)));
      }),
      { numRuns: 20 },
    );
  });

  it('keeps what is wrong, and what it does not know', () => {
    const wrong = { name: 3, student: 'none', tasks: [null, { split: 7 }], colour: 'red', phases: { instruct: [] } };
    expect(withDefaults(wrong)).toMatchObject(wrong);
    expect(withDefaults(null)).toBeNull();
    expect(withDefaults('text')).toBe('text');
  });
});

describe('differences', () => {
  it('are those of settings, defaults counted as written out', () => {
    const input: ExperimentInput = {
      name: lesson.name,
      student: lesson.student,
      tasks: lesson.tasks,
      phases: lesson.phases,
    };
    expect(pathsOf(input, { ...input, adapter: {}, $schema: 'x' })).toEqual([]);
    expect(pathsOf(input, { ...input, adapter: { rank: 8 }, seed: 2 })).toEqual(['seed', 'adapter.rank']);
  });

  it('of things of different kinds are the whole; of lists of different length, too', () => {
    const other = {
      ...lesson,
      student: { ...lesson.student, source: { kind: 'url', url: 'http://localhost/' } },
      tasks: lesson.tasks.slice(1),
      phases: { ...lesson.phases, instruct: false },
    };
    expect(pathsOf(lesson, other)).toEqual(['student.source', 'tasks', 'phases.instruct']);
    const files = {
      ...lesson,
      tasks: lesson.tasks.map((task, i) => (i === 0 ? { ...task, files: { all: ['x'] } } : task)),
    };
    expect(pathsOf(lesson, files)).toEqual(['tasks[0].files']);
    expect(pathsOf(lesson, { ...lesson, adapter: { ...lesson.adapter, targets: ['q_proj'] } })).toEqual([
      'adapter.targets',
    ]);
  });

  it('as changes make the one of the other, and each can be taken back, in any order', () => {
    fc.assert(
      fc.property(fc.gen(), fc.boolean(), (g, backwards) => {
        const { base, document } = changedPreset(g);
        const differences = differencesOf(base, document);
        expect(withChanges(base, JSON.parse(JSON.stringify(asChanges(differences))) as ChangeSet)).toEqual({
          document: withDefaults(document),
        });
        let back: unknown = document;
        for (const one of backwards ? differences.reverse() : differences) back = withoutDifference(back, one);
        expect(differencesOf(base, back)).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('that lead nowhere are refused by name', () => {
    expect(withChanges(lesson, { 'a b': 1 })).toMatchObject({ problem: { path: 'a b' } });
    expect(withChanges(lesson, { 'tasks[9].name': 'x' })).toMatchObject({ problem: { path: 'tasks[9].name' } });
    expect(withChanges(lesson, { 'name.first': 'x' })).toMatchObject({ problem: { path: 'name.first' } });
  });
});
