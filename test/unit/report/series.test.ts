// series.test.ts: the numbers of a series against numbers worked out by hand, and its page in every layout.
import { describe, expect, it } from 'vitest';
import { wilsonInterval } from '../../../src/base/statistics';
import { preset } from '../../../src/config/presets';
import { parseSeries, seriesCells, type SeriesInput } from '../../../src/config/series';
import type { SystemName } from '../../../src/config/systems';
import type { AnswerRow } from '../../../src/report/answers';
import { summariseSeries, type SeriesReport, type SeriesRunResult } from '../../../src/report/series';
import { renderSeries } from '../../../src/report/seriesHtml';
import type { EvaluationRow, RunReport, ScorerRow } from '../../../src/report/types';

type Prompt = 'plain' | 'cot';
/** Which of the questions q0, q1, … a system got right: `1101`. */
type Marks = Partial<Record<SystemName, string>>;

const input = (change: Partial<SeriesInput> = {}): SeriesInput => ({
  name: 'S',
  experiment: 'e.json',
  seeds: 2,
  ...change,
});

/** A finished run as its folder tells it. */
function finished(
  seed: number,
  marks: Marks,
  { cell = 0, task = 'C', prompt = 'cot' as Prompt, contents = [] as (string | undefined)[] } = {},
): SeriesRunResult {
  const systems = Object.entries(marks) as [SystemName, string][];
  const evaluations = systems.map(([system, text]): EvaluationRow => {
    const correct = text.replaceAll('0', '').length;
    return { system, taskId: task, prompt, scorer: 'strict', correct, n: text.length, low: 0, high: 1, cutOff: 0 };
  });
  const answers = systems.flatMap(([system, text]) =>
    Array.from(text, (mark, i): AnswerRow => {
      const content = contents[i];
      const row = { system, taskId: task, prompt, itemId: `q${i}`, target: 'A', correct: { strict: mark === '1' } };
      return content === undefined ? row : { ...row, content };
    }),
  );
  // Literal matching finds one more than strict, where there is one more; the paper's rule finds none.
  const scorers = systems.map(([system, text]): ScorerRow => {
    const strict = text.replaceAll('0', '').length;
    const literal = Math.min(text.length, strict + 1);
    const correct = { strict, literal, 'paper-compat': 0 };
    return { system, taskId: task, prompt, n: text.length, correct, literalOnly: literal - strict, strictOnly: 0 };
  });
  const report = {
    state: 'finished',
    evaluations,
    scorers,
    timings: [{ phase: 'instruct', seconds: 3 }],
    environment: { vendor: 'v', description: 'd', tier: 'f32', userAgent: `u${seed}`, pupilVersion: '1' },
    student: { source: 'student', parameters: 9, fingerprint: 'f' },
    experiment: preset('smoke'),
  } as unknown as RunReport;
  return { id: `c${cell}-seed${seed}`, cell, seed, state: 'finished', report, answers };
}

function summary(runs: SeriesRunResult[], change: Partial<SeriesInput> = {}): SeriesReport {
  const series = parseSeries(input(change));
  return summariseSeries(series, seriesCells(series), runs);
}

const TWO = [
  finished(0, { 'Instruction-tuned': '1100', 'Self-refined': '1110' }),
  finished(1, { 'Instruction-tuned': '1000', 'Self-refined': '1111' }),
];

describe('summariseSeries', () => {
  it('means and sample standard deviations over seeds, with every seed’s counts', () => {
    const [tuned, refined] = summary(TWO).results;
    expect(tuned).toMatchObject({ system: 'Instruction-tuned', mean: 0.375 });
    expect(tuned!.sd).toBeCloseTo(0.1767766952966369, 12); // √((0.125² + 0.125²) / 1)
    expect(tuned!.runs).toEqual([
      { seed: 0, correct: 2, n: 4, cutOff: 0 },
      { seed: 1, correct: 1, n: 4, cutOff: 0 },
    ]);
    expect(refined).toMatchObject({ system: 'Self-refined', mean: 0.875 });
  });

  it('McNemar of each seed, Holm among all tests of the series, and the difference', () => {
    const { comparisons, tests } = summary(TWO);
    expect(tests).toBe(2);
    expect(comparisons).toHaveLength(1);
    expect(comparisons[0]).toMatchObject({ first: 'Instruction-tuned', second: 'Self-refined', difference: 0.5 });
    // 0 : 1 gives p = 1; 0 : 3 gives 2 / 2³ = 0.25; Holm: min(1, 2 · 0.25) = 0.5, then max(0.5, 1 · 1) = 1.
    const close = (value: number): unknown => expect.closeTo(value, 12);
    expect(comparisons[0]!.runs).toEqual([
      { seed: 0, onlyFirst: 0, onlySecond: 1, p: 1, holm: 1 },
      { seed: 1, onlyFirst: 0, onlySecond: 3, p: close(0.25), holm: close(0.5) },
    ]);
  });

  it('does not pool seeds as if their answers were independent: the interval is over questions', () => {
    const same = [0, 1, 2].map((seed) => finished(seed, { 'Self-refined': '1110' }));
    const three = summary(same, { seeds: 3 }).results[0]!;
    const one = summary([same[0]!, { ...same[1]!, state: 'stopped' as const }]).results[0]!;
    expect(three.interval).toMatchObject({ method: 'cluster bootstrap', clusters: 4 });
    // Pooled, 9 of 12 would give 47 to 91 %; three runs that always agree tell no more than one.
    expect(three.interval.low).toBeLessThan(wilsonInterval(9, 12).low);
    expect(three.sd).toBe(0);
    expect(one.interval).toEqual({ method: 'Wilson', ...wilsonInterval(3, 4), clusters: 4 });
    expect(one).not.toHaveProperty('sd');
  });

  it('counts questions of one content as one, even with one seed', () => {
    const contents = ['4+9', '4+9', '3-1', undefined];
    const { interval } = summary([finished(0, { 'Self-refined': '1110' }, { contents })], { seeds: 1 }).results[0]!;
    expect(interval).toMatchObject({ method: 'cluster bootstrap', clusters: 3 });
  });

  it('lists runs that are not finished, and counts nothing of them', () => {
    const stopped: SeriesRunResult = { ...TWO[1]!, state: 'stopped' };
    const report = summary([TWO[0]!, stopped]);
    expect(report.runs.map(({ id, state }) => `${id} ${state}`)).toEqual(['c0-seed0 finished', 'c0-seed1 stopped']);
    expect(report.results.map(({ runs }) => runs.length)).toEqual([1, 1]);
    expect(report.seeds).toEqual([0, 1]);
  });

  it('compares what is named, of the table’s prompt, and no probing', () => {
    const marks: Marks = { Baseline: '1000', 'Instruction-tuned': '1100', 'Self-refined': '1111' };
    const runs = [finished(0, marks), finished(1, marks, { prompt: 'plain' })];
    const named = summary(runs, { table: { compare: [['Baseline', 'Self-refined']] } });
    expect(
      named.comparisons.map(({ first, second, prompt, runs: own }) => [first, second, prompt, own.length]),
    ).toEqual([['Baseline', 'Self-refined', 'cot', 1]]);
    expect(summary(runs).tests).toBe(2); // Baseline → Instruction-tuned → Self-refined; there is no control
  });

  it('probing is judged by the letter, apart from the text', () => {
    const run = finished(0, { 'Self-refined': '01' }, { prompt: 'plain' });
    run.answers = run.answers!.map((answer, i) => ({ ...answer, probed: i === 0 ? 'A' : 'B' }));
    const text = run.report!.evaluations[0]!;
    run.report!.evaluations.push({ ...text, scorer: 'probing', correct: 1 });
    const [matched, probed] = summary([run, { ...run, id: 'c0-seed1', seed: 1 }]).results;
    expect([matched!.mean, probed!.mean]).toEqual([0.5, 0.5]);
    expect([matched!.interval.clusters, probed!.interval.clusters]).toEqual([2, 2]);
    expect(probed!.scorer).toBe('probing');
  });

  it('each way of probing is judged by its own letters', () => {
    const run = finished(0, { 'Self-refined': '01' }, { prompt: 'plain' });
    run.answers = run.answers!.map((answer, i) => ({
      ...answer,
      probed: { probing: i === 0 ? answer.target : '?', 'probing by text': answer.target },
    }));
    const text = run.report!.evaluations[0]!;
    run.report!.evaluations.push(
      { ...text, scorer: 'probing', correct: 1 },
      { ...text, scorer: 'probing by text', correct: 2 },
    );
    // Two seeds, so that the interval is made of the answers and not of the counts.
    const results = summary([run, { ...run, id: 'c0-seed1', seed: 1 }]).results;
    expect(results.map(({ scorer, mean }) => [scorer, mean])).toEqual([
      ['strict', 0.5],
      ['probing', 0.5],
      ['probing by text', 1],
    ]);
    expect(results[2]!.interval).toMatchObject({ low: 1, high: 1, clusters: 2 });
    expect(results[1]!.interval).toMatchObject({ low: 0, high: 1 });
  });

  it('every scorer over seeds: means, sample standard deviations, and literal less strict', () => {
    const [tuned, refined] = summary(TWO).scorers!;
    // Strict 2 and 1 of 4, literal 3 and 2 of 4; refined: strict 3 and 4, literal 4 and 4.
    expect(tuned).toMatchObject({
      system: 'Instruction-tuned',
      means: { strict: 0.375, literal: 0.625, 'paper-compat': 0 },
      difference: 0.25,
    });
    expect(tuned!.sds!.literal).toBeCloseTo(Math.sqrt(2) / 8, 12);
    expect(refined).toMatchObject({ means: { strict: 0.875, literal: 1 }, difference: 0.125 });
    expect(refined!.runs).toEqual([
      { seed: 0, n: 4, correct: { strict: 3, literal: 4, 'paper-compat': 0 } },
      { seed: 1, n: 4, correct: { strict: 4, literal: 4, 'paper-compat': 0 } },
    ]);
    expect(summary([TWO[0]!]).scorers![0]).not.toHaveProperty('sds');
    const early = structuredClone(TWO[0]!);
    delete early.report!.scorers; // a run of an earlier version
    expect(summary([early]).scorers).toEqual([]);
  });

  it('runs of one adapter are of one environment, whatever the browser’s version', () => {
    expect(summary(TWO).environments).toHaveLength(1);
    const other = structuredClone(TWO[1]!);
    other.report!.environment.description = 'other';
    expect(summary([TWO[0]!, other]).environments).toHaveLength(2);
  });
});

const SHARES: SeriesInput['axes'] = [
  { name: 'share', values: [{ label: '25 %' }, { label: '100 %' }] },
  {
    name: 'phases',
    values: [{ label: 'both' }, { label: 'refined', systems: { 'Self-refined': 'Self-refine only' } }],
  },
];

describe('renderSeries', () => {
  const marks: Marks = { Baseline: '1000', 'Instruction-tuned': '1100', 'Self-refined': '1111' };
  const grid = [0, 1].flatMap((seed) => [
    finished(seed, marks, { cell: 0 }),
    finished(seed, { Baseline: '1000', 'Self-refined': '1110' }, { cell: 1 }),
    finished(seed, marks, { cell: 2 }),
    finished(seed, { 'Self-refined': '1010' }, { cell: 3 }),
  ]);
  const page = (layout: 'list' | 'curve' | 'grid', runs = grid): string =>
    renderSeries(summary(runs, { axes: SHARES, table: { layout } }));
  const heads = (html: string, caption: string): string[] => {
    const at = html.indexOf(`<caption>${caption}`);
    expect(at, caption).toBeGreaterThan(0);
    return [...html.slice(at, html.indexOf('</thead>', at)).matchAll(/<th scope[^>]*>([^<]*)</g)].map(
      (match) => match[1]!,
    );
  };

  it('list: a row for every cell and system', () => {
    const html = page('list');
    expect(heads(html, 'Results').slice(0, 3)).toEqual(['share', 'phases', 'System']);
    const rows = html.slice(
      html.indexOf('<caption>Results'),
      html.indexOf('</table>', html.indexOf('<caption>Results')),
    );
    expect(rows.match(/<tr>/g)).toHaveLength(1 + 3 + 2 + 3 + 1);
    expect(rows).toContain('<td class="name">Self-refine only</td>');
    expect(rows).toContain('<b>75.0</b> ± 0.0 <span class="soft">(n = 4)</span>');
  });

  it('curve: a line for each way to train, over the values of the axis, and one for the untouched student', () => {
    const html = page('curve');
    expect(heads(html, 'C: accuracy %')).toEqual(['share', '25 %', '100 %']);
    expect(html).toContain('<caption>C: accuracy %, mean ± sd over seeds, n = 4 questions in each run</caption>');
    const rows = html.slice(html.indexOf('<caption>C: accuracy'), html.indexOf('</table>'));
    expect([...rows.matchAll(/<tr><td>([^<]*)</g)].map((match) => match[1])).toEqual([
      'Baseline CoT',
      'both · Instruction-tuned',
      'both · Self-refined',
      'refined · Self-refine only',
    ]);
    // 3 of 4 and then 2 of 4, in both seeds
    expect(rows).toMatch(
      /Self-refine only<\/td><td class="n"><b>75\.0<\/b> ± 0\.0<\/td><td class="n"><b>50\.0<\/b> ± 0\.0<\/td>/,
    );
    const figure = html.slice(html.indexOf('<figure>'), html.indexOf('</figure>'));
    expect(figure.match(/<path/g)).toHaveLength(4);
    expect(figure).toContain('both · Self-refined from 100 to 100');
    expect(html).toContain('Every system, prompt and scorer, with intervals');
  });

  it('curve: labels that are no ascending numbers lie side by side', () => {
    const axes = [{ name: 'way', values: [{ label: 'a' }, { label: 'b' }] }];
    const runs = [finished(0, marks), finished(0, marks, { cell: 1 })];
    expect(renderSeries(summary(runs, { axes, table: { layout: 'curve' } }))).toContain('way: 1 = a, 2 = b');
  });

  it('grid: cells and systems by the tasks that were tested', () => {
    const both = finished(0, marks, { cell: 0 });
    const other = finished(0, { ...marks, 'Self-refined': '0100' }, { cell: 0, task: 'A' });
    both.report!.evaluations.push(...other.report!.evaluations);
    both.answers = [...both.answers!, ...other.answers!];
    const html = page('grid', [both]);
    expect(heads(html, 'Accuracy %')).toEqual(['share · phases · system', 'C', 'A']);
    expect(html).toMatch(
      /25 % · both · Self-refined<\/td><td class="n"><b>100\.0<\/b>[^]*?<td class="n"><b>25\.0<\/b>/,
    );
    expect(html).toContain('<td class="name">Baseline CoT</td>');
  });

  it('strict against lenient: every cell, the untouched student once where all cells have the same answers of it', () => {
    const html = page(
      'grid',
      [0, 1].flatMap((seed) => [0, 2].map((cell) => finished(seed, marks, { cell }))),
    );
    const at = html.indexOf('<caption>The same answers by three scorers');
    const rows = [...html.slice(at, html.indexOf('</table>', at)).matchAll(/<tr>(<td.*?)<\/tr>/g)].map(([, row]) =>
      [...row!.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, cell]) => cell!.replace(/<[^>]*>/g, '')),
    );
    const head = ['C', 'Baseline CoT', 'CoT', '4', '25.0 ± 0.0', '50.0 ± 0.0', '+25.0', '0.0 ± 0.0'];
    expect(rows[0]).toEqual(['all', 'all', ...head]);
    expect(rows.slice(1).map(([share, phases, , system]) => [share, phases, system])).toEqual([
      ['25 %', 'both', 'Instruction-tuned'],
      ['25 %', 'both', 'Self-refined'],
      ['100 %', 'both', 'Instruction-tuned'],
      ['100 %', 'both', 'Self-refined'],
    ]);
    expect(html).toContain('Lenient (literal) matching');
    const early = finished(0, marks);
    delete early.report!.scorers;
    expect(page('list', [early])).not.toContain('Lenient');
  });

  it('introduces the systems of all cells, those without phase 1 among them', () => {
    expect(page('list')).toContain('the student, instruction-tuned where there was a phase 1, answers questions twice');
    const only = [finished(0, { Baseline: '10', 'Self-refined': '11' }, { cell: 1 })];
    expect(page('list', only)).toContain('the untouched student answers questions twice');
    expect(page('list', [grid[0]!])).toContain('the instruction-tuned student answers questions twice');
  });

  it('breaks a long list of seeds between its entries and nowhere else', () => {
    const html = page('list');
    expect(html).toContain('<td class="n list">0\u00a0:\u00a02, 0\u00a0:\u00a02</td>');
  });

  it('says what is missing, prints n and every seed, and how p was corrected', () => {
    const html = page('list', [grid[0]!, { ...grid[4]!, state: 'failed' }]);
    expect(html).toContain('1 of 2 runs are finished (1 failed)');
    expect(html).toContain('(n = 4, 1 of 2 seeds)');
    expect(html).toContain('by Holm among all 2 tests');
    expect(renderSeries(summary([]))).toContain('No run is finished yet.');
    expect(renderSeries(summary([TWO[0]!], { seeds: 1 }))).toContain('One seed: nothing is known of the spread');
  });

  it('needs no script, and escapes every text of the series', () => {
    const hostile = `<script>x</script>`;
    const axes = [{ name: hostile, values: [{ label: hostile, systems: { 'Self-refined': hostile } }] }];
    for (const layout of ['list', 'curve', 'grid'] as const) {
      const runs = [finished(0, { 'Instruction-tuned': '10', 'Self-refined': '01' }, { task: hostile })];
      const html = renderSeries(summary(runs, { name: hostile, notes: hostile, axes, table: { layout } }));
      expect(html).not.toMatch(/<script|<link|<img|@import|url\(|src=|https?:\/\//i);
      expect(html).toContain('prefers-color-scheme:dark');
      expect(html.split('&lt;script&gt;').length).toBeGreaterThan(8);
    }
  });
});
