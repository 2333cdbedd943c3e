// script.ts: what the scripted teachers say about the lesson's items: the styles of solutions.ts, by family of teachers.
// Which wording an item gets, and how often a teacher errs, is the teacher's business (teachers/scripted.ts).
import type { RandomStream } from '../../base/random';
import type { LessonItem } from './families';
import { IN_FAMILY, inWords, OUT_FAMILY, rightChain, wrongChain, type Style } from './solutions';

const STYLES: Readonly<Record<'in-family' | 'out-family', readonly Style[]>> = {
  'in-family': IN_FAMILY,
  'out-family': OUT_FAMILY,
};

export const lessonScript = {
  wordings: (family: keyof typeof STYLES): number => STYLES[family].length,
  write: ({ problem }: LessonItem, family: keyof typeof STYLES, wording: number, mistakes?: RandomStream): string =>
    inWords(STYLES[family][wording]!, mistakes === undefined ? rightChain(problem) : wrongChain(problem, mistakes)),
};
