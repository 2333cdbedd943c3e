// Claims about the chapters that come with the page: each is a document that the schema takes, its marks and formulas are read
// without a rest, its numbers are what the code computes, and the measured ones are those of docs/results.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chapterDataText, SOURCE, TARGET } from '../../../../scripts/chapterData.mjs';
import { parseInline, type InlineNode } from '../../../../src/app/lesson/chapters/inline';
import {
  decompose,
  leastError,
  loraParameters,
  targetUpdate,
} from '../../../../src/app/lesson/chapters/widgets/lowRank';
import {
  dpoStep,
  logProbabilities,
  makePolicy,
  policyPair,
} from '../../../../src/app/lesson/chapters/widgets/softmaxPolicy';
import { wilsonInterval } from '../../../../src/base/statistics';
import {
  parseChapter,
  type Chapter,
  type ChapterBlock,
  type WidgetName,
  type WidgetSettings,
} from '../../../../src/config/chapter';
import { scoreText } from '../../../../src/session/scoreText';

const FILES = readdirSync('chapters');
const CHAPTERS = FILES.map((file) => parseChapter(readFileSync(`chapters/${file}`, 'utf8'), file));
const chapter = (id: string): Chapter => CHAPTERS.find((one) => one.id === id)!;
const blocks = (of: Chapter): ChapterBlock[] => of.sections.flatMap((section) => section.blocks);

function widget<Name extends WidgetName>(id: string, name: Name): WidgetSettings<Name> {
  const found = blocks(chapter(id)).find((block) => block.kind === 'widget' && block.widget === name);
  return (found as unknown as { settings: WidgetSettings<Name> }).settings;
}

/** All texts that may carry marks. */
const texts = (of: Chapter): string[] =>
  blocks(of).flatMap((block) => {
    switch (block.kind) {
      case 'text':
        return [block.text];
      case 'list':
        return block.items;
      case 'formula':
        return [block.says ?? ''];
      case 'question':
        return [block.ask, block.answer ?? ''];
      case 'table':
        return [block.caption, ...block.head, ...block.rows.flat()];
      default:
        return [];
    }
  });

describe.each(FILES)('chapters/%s', (file) => {
  const one = CHAPTERS[FILES.indexOf(file)]!;

  it('is named after its id, has a widget, a question for the class and a reference', () => {
    expect(file).toBe(`${one.id}.json`);
    const kinds = blocks(one).map(({ kind }) => kind);
    expect(kinds).toContain('widget');
    expect(kinds.filter((kind) => kind === 'question').length).toBeGreaterThanOrEqual(2);
    expect(one.references.length).toBeGreaterThan(0);
  });

  it('leaves no mark unread', () => {
    const rest = (nodes: readonly InlineNode[]): string =>
      nodes.map((node) => ('children' in node ? rest(node.children) : node.kind === 'text' ? node.text : '')).join('');
    for (const text of texts(one)) expect(rest(parseInline(text)), text).not.toMatch(/[*$`]/);
  });

  it('names files that are there', () => {
    const named = texts(one).flatMap((text) =>
      [...text.matchAll(/`((?:docs|src|chapters)\/[^`]+)`/g)].map(([, path]) => path!),
    );
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });
});

it('the bundled chapters are numbered 1 to 5, each id once', () => {
  expect(CHAPTERS.map(({ order }) => order).sort()).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(CHAPTERS.map(({ id }) => id)).size).toBe(5);
});

describe('what the texts say', () => {
  it('of LoRA: 131,072 of 16.8 million are 0.78 %; the lesson trains 163,840; rank 3 leaves 3, 42 and 70 %', () => {
    const { frozen, trained } = loraParameters([{ outputs: 4096, inputs: 4096, count: 1 }], 16);
    expect([trained, (100 * trained) / frozen]).toEqual([131_072, 0.78125]);
    const block = [
      { outputs: 128, inputs: 128, count: 4 },
      { outputs: 384, inputs: 128, count: 2 },
      { outputs: 128, inputs: 384, count: 1 },
    ];
    expect(4 * loraParameters(block, 16).trained).toBe(163_840);
    const left = (['few-directions', 'drawing', 'noise'] as const).map((name) =>
      Math.round(100 * leastError(decompose(targetUpdate(name, widget('lora', 'lora-fit').seed)).singularValues, 3)),
    );
    expect(left).toEqual([3, 42, 70]);
  });

  it('of DPO: the chosen answer rises first, is below its start after fifty steps, and the loss falls all the while', () => {
    const { answers, beta, learningRate, chosen, rejected } = widget('dpo', 'dpo-answers');
    const pair = { chosen: chosen - 1, rejected: rejected - 1 };
    let policy = makePolicy(
      answers.map(({ probability }) => probability),
      answers.map(({ traits }) => traits),
    );
    const ratios: number[] = [];
    let loss = policyPair(policy, pair, beta).loss;
    expect(loss).toBe(Math.LN2);
    for (let step = 1; step <= 50; step++) {
      policy = dpoStep(policy, pair, beta, learningRate);
      const now = policyPair(policy, pair, beta);
      expect(now.loss).toBeLessThan(loss);
      ({ loss } = now);
      ratios.push(now.chosenRatio);
    }
    const peak = ratios.indexOf(Math.max(...ratios)) + 1;
    const below = ratios.findIndex((ratio) => ratio < 0) + 1;
    expect([peak, below]).toEqual([10, 23]); // "after ten steps", "from the twenty-third on"
    const logps = logProbabilities(policy);
    const gains = answers.map((_, i) => logps[i]! - policy.reference[i]!);
    expect(gains.indexOf(Math.max(...gains))).toBe(4); // the one that was in no pair
    expect(policyPair(policy, pair, beta).rejectedRatio).toBeLessThan(policyPair(policy, pair, beta).chosenRatio);
    expect(policyPair(policy, pair, beta).chosenRatio).toBeLessThan(0);
  });

  it('of string matching: what each scorer says of each example', () => {
    const said = Object.fromEntries(
      widget('string-matching', 'string-matching').examples.map(({ label, task, text, target, choices }) => {
        const verdicts = scoreText({ task, text, target, ...(choices === undefined ? {} : { choices }) });
        return [label, [verdicts.strict.correct, verdicts.literal.correct, verdicts['paper-compat'].correct]];
      }),
    );
    const [R, w] = [true, false]; // right, wrong: strict, literal, paper-compat
    expect(said).toEqual({
      '18 in 180': [w, R, R],
      'The right number in passing': [w, R, w],
      'Option E': [R, R, w],
      'A or B': [w, R, w],
      'The article A': [w, R, w],
      'Not B': [w, R, w],
      'No in know': [w, R, w],
      '39 and 39.0': [R, w, R],
      '1,200': [R, w, R],
      'Another option that looks alike': [w, w, R],
      'Not worked out': [w, R, R],
      'One half': [R, w, w],
    });
  });
});

describe('the measured numbers', () => {
  interface Point {
    task: string;
    system: string;
    percent: number;
    correct: number[];
    n: number[];
    mean: number;
    low: number;
    high: number;
  }
  const { points, seeds } = JSON.parse(readFileSync(TARGET, 'utf8')) as { points: Point[]; seeds: number[] };

  it(`of ${TARGET} are those of ${SOURCE} (node scripts/chapterData.mjs)`, () => {
    expect(JSON.parse(readFileSync(TARGET, 'utf8'))).toEqual(JSON.parse(chapterDataText()));
  });

  it('are there for two tasks, four systems and four shares, three seeds each, and consistent', () => {
    expect(seeds).toEqual([0, 1, 2]);
    expect(points).toHaveLength(32);
    expect(new Set(points.map(({ task, system, percent }) => `${task}/${system}/${percent}`)).size).toBe(32);
    for (const { correct, n, mean, low, high } of points) {
      expect(n).toEqual([500, 500, 500]);
      expect(mean).toBeCloseTo(correct.reduce((sum, k, i) => sum + k / n[i]!, 0) / 3, 12);
      expect(low).toBeLessThanOrEqual(mean);
      expect(high).toBeGreaterThanOrEqual(mean);
    }
  });

  it('are those that the chapter’s text quotes', () => {
    const mean = (task: string, system: string, percent: number): number =>
      100 * points.find((one) => one.task === task && one.system === system && one.percent === percent)!.mean;
    const [it, both, alone] = ['Instruction-tuned only', 'Instruction-tuned, then self-refined', 'Self-refined only'];
    const rounded = (system: string): number[] =>
      [25, 50, 75, 100].map((p) => Math.round(mean('A stories', system, p)));
    expect(rounded(it!)).toEqual([12, 62, 89, 90]);
    expect(rounded(both!).slice(0, 2)).toEqual([89, 89]);
    for (const [percent, points] of [
      [75, 2.5],
      [100, 3.9],
    ] as const) {
      expect(mean('A stories', it!, percent) - mean('A stories', both!, percent)).toBeCloseTo(points, 0);
    }
    const losses = [25, 50, 75, 100].map((p) => mean('B sums', both!, p) - mean('B sums', alone!, p));
    expect(Math.round(Math.min(...losses))).toBe(2);
    expect(Math.round(Math.max(...losses))).toBe(11);
    const sums = points.find((one) => one.task === 'B sums' && one.system === alone && one.percent === 75)!;
    expect(sums.correct.map((k) => Math.round(k / 5))).toEqual([85, 94, 78]);
    const { low, high } = wilsonInterval(460, 500);
    expect([Math.round(100 * low), Math.round(100 * high)]).toEqual([89, 94]);
  });
});
