// stages.test.ts: every stage of the lesson points to chapters that there are.
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { STAGES } from '../../../src/app/lesson/stages';

it('every chapter that a stage of the lesson names is a document', () => {
  const there = readdirSync(new URL('../../../chapters/', import.meta.url)).map((name) => name.replace(/\.json$/, ''));
  const named = STAGES.flatMap(({ chapters }) => chapters.map(({ id }) => id));
  expect(named.length).toBeGreaterThan(4);
  expect(named.filter((id) => !there.includes(id))).toEqual([]);
});
