// corpus.test.ts: the pretraining corpus: shares in tokens, documents by number, true solutions, and a vocabulary that is
// exactly what is said. That nothing tested is in it is in leaks.test.ts.
import { describe, expect, it } from 'vitest';
import {
  DOCUMENT_KINDS,
  LESSON_MIX,
  LessonCorpus,
  tokenCount,
  type LessonDocument,
} from '../../../../src/tasks/lesson/corpus';
import { corpusStatistics } from '../../../../src/tasks/lesson/corpusStatistics';
import { LESSON_TOKENS } from '../../../../src/tasks/lesson/vocabulary';
import { wordPieces } from '../../../../src/tasks/lesson/words';
import { checkHops, checkSums, Knowledge, solveStory } from './solver';

const corpus = new LessonCorpus(0);
const documents = Array.from({ length: 20_000 }, (_, i) => corpus.document(i));
const ofKind = (kind: LessonDocument['kind'], from = documents): LessonDocument[] =>
  from.filter((d) => d.kind === kind);
const statistics = corpusStatistics(documents);

const plus = (a: number, b: number): number => a + b;
const minus = (a: number, b: number): number => a - b;
const times = (a: number, b: number): number => a * b;
const RECKON: Record<string, typeof plus> = { '+': plus, '-': minus, '*': times, plus, minus, times };

const COT = "Answer: Let's think step by step\n";
const knowledge = new Knowledge();
for (const { text } of ofKind('facts')) knowledge.learn(text);

/** Question, options and answer of a document with the paper's prompt. */
function readPrompted(text: string): { question: string; options: string[]; answer: string } {
  const question = /^Question: (.+)$/m.exec(text)![1]!;
  const prompt = text.slice(0, text.lastIndexOf('\n'));
  const options = [...prompt.matchAll(/^[A-D]\) (\w+)$/gm)].map((match) => match[1]!);
  return { question, options, answer: text.slice(prompt.length + 1) };
}

describe('shares', () => {
  it.each(DOCUMENT_KINDS)('%s has its share of the tokens within one point', (kind) => {
    expect(Math.abs(statistics.kinds[kind].share - LESSON_MIX.shares[kind])).toBeLessThan(0.01);
  });

  it('follow another mix as well', () => {
    const shares = { arithmetic: 0.3, solved: 0.1, facts: 0.05, direct: 0.25, prompted: 0.3, copying: 0 };
    const other = new LessonCorpus(4, { shares });
    const found = corpusStatistics(Array.from({ length: 20_000 }, (_, i) => other.document(i)));
    for (const kind of DOCUMENT_KINDS) expect(Math.abs(found.kinds[kind].share - shares[kind])).toBeLessThan(0.01);
    expect(found.kinds.copying.documents).toBe(0);
  });

  it('that do not add up to one are refused', () => {
    expect(() => new LessonCorpus(0, { shares: { ...LESSON_MIX.shares, facts: 0.2 } })).toThrow(
      /add up to 1, got a sum of 1\.1/,
    );
    expect(() => new LessonCorpus(0, { promptedJobs: 4 })).toThrow(/promptedJobs must be 1, 2 or 3, got 4/);
  });

  it('of reasoning after a CoT prompt are what they should be, for every family', () => {
    const reasons = (text: string): boolean => /=|\b[A-D]\)\. /.test(text.split(COT)[1]!);
    const prompted = ofKind('prompted');
    for (const part of [
      prompted,
      prompted.filter((d) => /Choices/.test(d.text)),
      prompted.filter((d) => !/Choices/.test(d.text)),
    ]) {
      const share = part.filter((d) => reasons(d.text)).length / part.length;
      expect(Math.abs(share - LESSON_MIX.reasoning)).toBeLessThan(0.04);
    }
  });
});

describe('documents', () => {
  it('follow from seed and number alone', () => {
    const fresh = new LessonCorpus(0);
    for (const i of [19_999, 3, 0, 12_345]) expect(fresh.document(i)).toEqual(documents[i]);
    expect(new LessonCorpus(1).document(3)).not.toEqual(documents[3]);
    // Far into a corpus, where 32 bits of position would have run out.
    expect(fresh.document(2 ** 26)).not.toEqual(fresh.document(0));
  });

  it('fit a window of 128 tokens, control tokens included', () => {
    expect(statistics.lengths.longest).toBeLessThanOrEqual(128);
    expect(statistics.lengths.counts.reduce((a, b) => a + b)).toBe(documents.length);
    expect(documents.reduce((sum, d) => sum + tokenCount(d.text), 0)).toBe(statistics.tokens);
  });

  it('hardly ever repeat', () => {
    const prompted = [...ofKind('direct'), ...ofKind('prompted')].map((d) => d.text);
    expect(new Set(prompted).size / prompted.length).toBeGreaterThan(0.97);
  });

  it('say no word that the vocabulary lacks, and all that it has', () => {
    expect(statistics.unknown).toEqual([]);
    expect(statistics.vocabulary).toMatchObject({ words: LESSON_TOKENS.length - 4, share: 1 });
    expect(statistics.vocabulary.rarest[0]![1]).toBeGreaterThan(30);
  });

  it('teach one hop at a time: no fact joins a thing with a property or a job', () => {
    const asks = [...knowledge.takes.keys()];
    for (const { text } of ofKind('facts')) {
      for (const sentence of text.split(/(?<=[.]) /)) {
        if (asks.some((asked) => sentence.includes(asked))) {
          expect(wordPieces(sentence).filter((word) => knowledge.is.has(word))).toEqual([]);
        }
      }
    }
  });

  it('know all there is to know from facts', () => {
    expect([knowledge.is.size, knowledge.takes.size]).toEqual([12 * 8 + 8 * 6, 12 * 3 + 8 * 3]);
  });
});

describe('solutions in the corpus', () => {
  it('of sums are right', () => {
    let sums = 0;
    const faults: string[] = [];
    for (const { text } of documents) {
      for (const [, a, sign, b, c] of text.matchAll(/(\d+) (\+|-|\*|plus|minus|times) (\d+)(?: =| equals|\?) (\d+)/g)) {
        const right = RECKON[sign!]!(Number(a), Number(b));
        if (right !== Number(c) || right > 99) faults.push(text);
        sums++;
      }
    }
    expect(faults).toEqual([]);
    expect(sums).toBeGreaterThan(10_000);
  });

  it('of prompted stories are right, at once or by reasoning', () => {
    let reasoned = 0;
    for (const { text, contents } of [...ofKind('direct'), ...ofKind('prompted')]) {
      if (text.includes('Choices')) continue;
      const { question, answer } = readPrompted(text);
      const solved = solveStory(question);
      expect([text, contents]).toEqual([text, [solved.content]]);
      if (answer.includes('=')) {
        expect([text, checkSums(answer)]).toEqual([text, { ...solved, wrongSteps: 0 }]);
        reasoned++;
      } else expect([text, /(\d+)\.?$/.exec(answer)![1]]).toEqual([text, String(solved.answer)]);
    }
    expect(reasoned).toBeGreaterThan(300);
  });

  it('of prompted questions with options are right, at once or by reasoning', () => {
    let reasoned = 0;
    for (const { text } of [...ofKind('direct'), ...ofKind('prompted')]) {
      if (!text.includes('Choices')) continue;
      const { question, options, answer } = readPrompted(text);
      const letter = 'ABCD'[knowledge.choose(question, options)];
      if (/ [A-D]\)\. /.test(answer)) {
        // One terse form leaves out what is asked: the question says it.
        expect([text, checkHops(`${question} ${answer}`, options, knowledge)]).toEqual([
          text,
          { wrongHops: 0, letter },
        ]);
        reasoned++;
      } else expect([text, /([A-D])\) \w+\.?$/.exec(answer)![1]]).toEqual([text, letter]);
    }
    expect(reasoned).toBeGreaterThan(300);
  });

  it('of stories in prose are right', () => {
    for (const { text } of ofKind('solved')) {
      if (!text.includes('How many')) continue;
      const end = text.indexOf('?') + 1;
      expect([text, checkSums(text.slice(end))]).toEqual([text, { ...solveStory(text.slice(0, end)), wrongSteps: 0 }]);
    }
  });
});

describe('the tools’ direct answers', () => {
  const prompted = (from: readonly LessonDocument[]): LessonDocument[] =>
    from.filter((d) => (d.kind === 'direct' || d.kind === 'prompted') && d.text.includes('options A, B.'));

  it('are given for one job of each quality only', () => {
    const jobs = new Set(prompted(documents).map((d) => knowledge.asked(readPrompted(d.text).question)));
    expect(jobs.size).toBe(8);
    const more = new LessonCorpus(0, { promptedJobs: 2 });
    const two = prompted(Array.from({ length: 10_000 }, (_, i) => more.document(i)));
    expect(new Set(two.map((d) => knowledge.asked(readPrompted(d.text).question))).size).toBe(16);
  });

  it('can be made to mean nothing', () => {
    const random = new LessonCorpus(0, { randomTools: 1 });
    const direct = prompted(Array.from({ length: 20_000 }, (_, i) => random.document(i))).filter(
      (d) => d.kind === 'direct',
    );
    const right = direct.filter((d) => {
      const { question, options, answer } = readPrompted(d.text);
      return answer.includes(`${'AB'[knowledge.choose(question, options)]})`);
    });
    expect(Math.abs(right.length / direct.length - 0.5)).toBeLessThan(0.08);
  });
});
