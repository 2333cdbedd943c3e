// scripted.test.ts: the scripted teachers on the lesson's items: right by the strict scorer and hop by hop, wrong on purpose
// in a way that follows from itself, and named as what they are.
import { describe, expect, it } from 'vitest';
import { FAMILIES, lessonItems, type FamilyName } from '../../../src/tasks/lesson/families';
import { LessonCorpus } from '../../../src/tasks/lesson/corpus';
import { facts } from '../../../src/tasks/lesson/prose';
import { PEOPLE, PRIZES, THINGS } from '../../../src/tasks/lesson/world';
import { lessonScript } from '../../../src/tasks/lesson/script';
import { judgeItem } from '../../../src/tasks/score';
import { SCRIPTED_FAMILIES, scriptedAnswer, scriptedLabel } from '../../../src/teachers/scripted';
import { RandomStream } from '../../../src/base/random';
import { checkHops, checkSums, Knowledge, solveStory } from '../tasks/lesson/solver';

const steps = { one: 0.2, two: 0.6, three: 0.2 };
const items = (family: FamilyName, count = 400) => lessonItems(family, 'train', { count, seed: 2, steps });
const knowledge = new Knowledge();
const random = new RandomStream(0, 'test/facts');
for (let i = 0; i < 2000; i++) knowledge.learn(facts(random).text);

/** Whether an answer is right, after its steps and hops have been followed. */
function follows(item: ReturnType<typeof items>[number], text: string): { faults: number; right: boolean } {
  if (item.choices === undefined) {
    const { wrongSteps, answer, content } = checkSums(text);
    const sameStory = content === solveStory(item.question).content;
    return { faults: wrongSteps + (sameStory ? 0 : 1), right: String(answer) === item.target };
  }
  const { wrongHops, letter } = checkHops(text, item.choices, knowledge);
  return { faults: wrongHops, right: letter === item.target };
}

describe.each(FAMILIES)('%s', (family) => {
  it('is taught rightly in every wording: each step, each hop, the answer, and the strict scorer', () => {
    for (const item of items(family)) {
      for (const teachers of SCRIPTED_FAMILIES) {
        for (let wording = 0; wording < lessonScript.wordings(teachers); wording++) {
          const text = lessonScript.write(item, teachers, wording);
          expect([text, follows(item, text), judgeItem('mixed', item, text).correct]).toEqual([
            text,
            { faults: 0, right: true },
            true,
          ]);
        }
      }
    }
  });

  it('is taught wrongly on request: one fault or more, another answer, and all of it consistent', () => {
    const mistakes = new RandomStream(1, 'test/mistakes');
    let single = 0;
    for (const item of items(family)) {
      const text = lessonScript.write(item, 'in-family', 0, mistakes);
      const { faults, right } = follows(item, text);
      const verdict = judgeItem('mixed', item, text);
      expect([text, right, verdict.correct, verdict.answer === undefined]).toEqual([text, false, false, false]);
      expect(faults).toBeGreaterThan(0);
      if (faults === 1) single++;
    }
    expect(single).toBeGreaterThan(100);
  });
});

describe('every word of every teacher', () => {
  /** Texts as words of what they are: a connective taught without its surroundings would be no use. */
  const kinds = new Map<string, string>([
    ...[...knowledge.is].flatMap(([name, is]) => [[name, '<thing>'] as const, [is, '<kind>'] as const]),
    ...[...THINGS, ...PRIZES.flat()].map((things) => [things, '<things>'] as const),
    ...PEOPLE.map(({ name }) => [name, '<name>'] as const),
  ]);
  const abstract = (text: string): string[] => {
    const bare = [...knowledge.takes.keys()].reduce((said, asked) => said.replaceAll(asked, '<asked>'), text);
    return bare
      .split(/(?<=\w)(?=[.,:?])|\s+/)
      .map((word) => (/^\d+$/.test(word) ? '<n>' : /^[A-D]\)$/.test(word) ? '<letter>' : (kinds.get(word) ?? word)));
  };
  const triples = (text: string): string[] => {
    const words = abstract(text);
    return words.slice(2).map((word, i) => `${words[i]} ${words[i + 1]} ${word}`);
  };

  it('is in the corpus, between the same neighbours, often', () => {
    const counts = new Map<string, number>();
    const corpus = new LessonCorpus(6);
    for (let i = 0; i < 20_000; i++) {
      for (const triple of triples(corpus.document(i).text)) counts.set(triple, (counts.get(triple) ?? 0) + 1);
    }
    for (const family of FAMILIES) {
      for (const item of items(family, 200)) {
        for (const teachers of SCRIPTED_FAMILIES) {
          for (let wording = 0; wording < lessonScript.wordings(teachers); wording++) {
            const rare = triples(lessonScript.write(item, teachers, wording)).filter(
              (triple) => !(counts.get(triple)! > 9),
            );
            expect(rare).toEqual([]);
          }
        }
      }
    }
  });
});

describe('a scripted teacher', () => {
  const teacher = { family: 'in-family', seed: 0, wrongRate: 0.2 } as const;
  const list = items('kinds', 600);

  it('errs at its rate, and where it says so', () => {
    const answers = list.map((item) => scriptedAnswer(lessonScript, item, teacher));
    const wrong = answers.filter((answer) => answer.wrong).length;
    expect(Math.abs(wrong / list.length - 0.2)).toBeLessThan(0.05);
    answers.forEach(({ text, wrong: said }, i) => expect(judgeItem('mixed', list[i]!, text).correct).toBe(!said));
  });

  it('never errs at rate 0 and always at rate 1; a higher rate keeps the mistakes of a lower one', () => {
    const wrongAt = (wrongRate: number): string[] =>
      list.filter((item) => scriptedAnswer(lessonScript, item, { ...teacher, wrongRate }).wrong).map((item) => item.id);
    expect(wrongAt(0)).toEqual([]);
    expect(wrongAt(1)).toHaveLength(list.length);
    const more = new Set(wrongAt(0.5));
    expect(wrongAt(0.1).every((id) => more.has(id))).toBe(true);
  });

  it('answers each item the same, whatever it was asked before, and another seed otherwise', () => {
    const item = list[17]!;
    const once = scriptedAnswer(lessonScript, item, teacher);
    scriptedAnswer(lessonScript, list[3]!, teacher);
    expect(scriptedAnswer(lessonScript, item, teacher)).toEqual(once);
    const texts = (seed: number): string[] =>
      list.map((one) => scriptedAnswer(lessonScript, one, { ...teacher, seed }).text);
    expect(texts(0)).not.toEqual(texts(1));
  });

  it('in-family has three wordings, each as often as the others; out-family one of its own', () => {
    expect([lessonScript.wordings('in-family'), lessonScript.wordings('out-family')]).toEqual([3, 1]);
    const right = { ...teacher, wrongRate: 0 };
    const openings = list.map((item) => scriptedAnswer(lessonScript, item, right).text.split(' ')[0]!);
    for (const opening of ['The', 'What']) {
      expect(openings.filter((word) => word === opening).length / list.length).toBeCloseTo(1 / 3, 1);
    }
    const out = list.map((item) => scriptedAnswer(lessonScript, item, { ...right, family: 'out-family' }).text);
    expect(out.every((text) => text.startsWith('Option '))).toBe(true);
  });

  it('is named as scripted', () => {
    expect(scriptedLabel('in-family')).toBe('scripted, in-family');
    expect(scriptedLabel('out-family', 0.1)).toBe('scripted, out-family, 10 % wrong');
  });

  it('refuses a rate that is none', () => {
    expect(() => scriptedAnswer(lessonScript, list[0]!, { ...teacher, wrongRate: 1.2 })).toThrow(
      /in \[0, 1\], got 1\.2/,
    );
  });
});
