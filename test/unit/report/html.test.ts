// html.test.ts: the report page: complete, self-contained, and safe whatever a model or a file says.
import { describe, expect, it } from 'vitest';
import { preset } from '../../../src/config/presets';
import { lineChart } from '../../../src/report/chart';
import { niceTicks } from '../../../src/report/drawing';
import { bytes, duration, escapeHtml, number, percent } from '../../../src/report/escape';
import { renderReport } from '../../../src/report/html';
import type { EvaluationRow, RunReport } from '../../../src/report/types';

const HOSTILE = `</pre><script>alert("x")</script><img src=x onerror='y'>&amp;\u0000`;

function row(system: EvaluationRow['system'], prompt: 'plain' | 'cot', correct: number, n = 100): EvaluationRow {
  return { system, taskId: 'C', prompt, scorer: 'strict', correct, n, low: 0.437, high: 0.634, cutOff: 2 };
}

function report(change: Partial<RunReport> = {}): RunReport {
  return {
    format: 'pupil-report',
    version: 1,
    runId: 'smoke-1',
    name: 'Smoke',
    state: 'finished',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:14:05.678Z',
    experiment: preset('smoke'),
    environment: {
      vendor: 'google',
      architecture: 'swiftshader',
      device: '0xc0de',
      description: 'SwiftShader Device',
      software: true,
      tier: 'f32',
      variants: { linear: 'lanes' },
      host: 'browser',
      userAgent: 'Chrome/156',
      pupilVersion: '0.1.0',
    },
    student: {
      source: 'test/fixtures/lesson/student-p10',
      parameters: 910592,
      layers: 4,
      hiddenSize: 128,
      vocabSize: 449,
      quantize: 'none',
      fingerprint: '0123456789abcdef',
    },
    tasks: [{ taskId: 'C', benchmark: 'lesson', trainItems: 120, testItems: 100, tooLong: 1, notes: ['a note'] }],
    demonstrations: [
      {
        label: 'scripted',
        taskId: 'C',
        family: 'in-family',
        format: 'lesson',
        files: ['train.jsonl'],
        read: 120,
        rejectedLines: 1,
        rejectedExamples: ['train.jsonl:7: not JSON'],
        notInTraining: 3,
        tooLong: 2,
        droppedWrong: 0,
        used: 115,
        teacherCorrect: 118,
        teacherN: 120,
        teacherLow: 0.941,
        teacherHigh: 0.995,
      },
    ],
    evaluations: [row('Baseline', 'plain', 51), row('Baseline', 'cot', 54), row('Self-refined', 'cot', 98)],
    comparisons: [
      {
        taskId: 'C',
        prompt: 'cot',
        scorer: 'strict',
        first: 'Baseline',
        second: 'Self-refined',
        onlyFirst: 1,
        onlySecond: 45,
        p: 1e-9,
      },
    ],
    scorers: [
      {
        system: 'Self-refined',
        taskId: 'C',
        prompt: 'cot',
        n: 100,
        correct: { strict: 98, literal: 100, 'paper-compat': 97 },
        literalOnly: 2,
        strictOnly: 0,
      },
    ],
    curves: [1, 2, 3].flatMap((step) => [
      { phase: 'instruct' as const, step, totalSteps: 3, values: { loss: 2 / step, grad_norm: 1 } },
      {
        phase: 'self-refine' as const,
        step,
        totalSteps: 3,
        values: {
          loss: 0.69 / step,
          'rewards/chosen': step,
          'rewards/rejected': -step,
          'rewards/margins': 2 * step,
          'logps/chosen': -4 - step,
          'logps/rejected': -20 * step,
        },
      },
    ]),
    pairs: {
      counts: { pairs: 111, identical: 9 },
      meanings: { pairs: 'pairs made' },
      samples: [{ taskId: 'C', prompt: 'p', chosen: 'because … B', rejected: 'B', target: 'B', chosenFrom: 'teacher' }],
    },
    kept: { rule: 'lowest-validation-loss', step: 30, validationLoss: 0.12 },
    samples: [
      {
        taskId: 'C',
        itemId: 'c-1',
        question: 'Choose …\nQuestion: What is it?\nAnswer:',
        target: 'B',
        answers: [
          { system: 'Baseline', prompt: 'cot', text: 'A', correct: false, stopped: 'length' },
          { system: 'Self-refined', prompt: 'cot', text: 'so B', correct: true, stopped: 'eos' },
        ],
      },
    ],
    timings: [{ phase: 'instruct', seconds: 61, steps: 30, tokens: 6100 }],
    bytes: { gpuPeak: 5 * 2 ** 20, gpuParts: { weights: 2 ** 20 }, adapterFile: 1000, checkpoint: 2048 },
    artefacts: ['report.json', 'report.html'],
    log: [{ level: 'warning', message: 'three left out' }],
    ...change,
  };
}

describe('renderReport', () => {
  it('says every result with n, interval and cut-off answers', () => {
    const html = renderReport(report());
    expect(html).toContain('<b>98.0</b>');
    expect(html).toContain('43.7 – 63.4');
    expect(html).toContain('98 / 100');
    expect(html).toContain('Baseline CoT');
    expect(html).toContain('&lt; 0.001');
    expect(html).toContain('three left out');
    expect(html).toContain('SwiftShader Device');
    expect(html).toContain('&quot;epochs&quot;: 2');
    expect(html).toContain('✓ right');
    expect(html).toContain('cut off');
    expect(html).toContain('train.jsonl:7: not JSON');
    expect(html.match(/<svg viewBox="0 0 480/g)).toHaveLength(5);
  });

  it('draws both rewards, the margin and both log-probabilities, first and last value in words', () => {
    const base = report();
    const html = renderReport(base);
    expect(html).toContain('chosen from 1 to 3; rejected from -1 to -3; margin from 2 to 6"');
    expect(html).toContain(
      'log-probability of an answer (nats, sum over its tokens): chosen from -5 to -7; rejected from -20 to -60"',
    );
    expect(html).toContain('DPO loss (ln 2 = 0.693 at the start)');
    // ipo compares means per token, and its loss does not start at ln 2.
    const { phases } = base.experiment;
    const { selfRefine } = phases;
    if (selfRefine === false) throw new Error('the smoke preset refines');
    const ipo = { ...base.experiment, phases: { ...phases, selfRefine: { ...selfRefine, loss: 'ipo' as const } } };
    const other = renderReport(report({ experiment: ipo }));
    expect(other).toContain('(nats, mean over its tokens)');
    expect(other).not.toContain('ln 2');
  });

  it('needs no script and nothing from elsewhere', () => {
    const html = renderReport(report());
    expect(html).not.toMatch(/<script|<link|<img|@import|url\(|src=|href=|https?:\/\//i);
    expect(html).toContain('prefers-color-scheme:dark');
    expect(html).toContain('width=device-width');
  });

  it('escapes every text that a model, a data set or a file gave', () => {
    const base = report();
    const html = renderReport(
      report({
        name: HOSTILE,
        runId: HOSTILE,
        experiment: { ...base.experiment, name: HOSTILE, notes: HOSTILE },
        student: { ...base.student, source: HOSTILE, fingerprint: HOSTILE },
        environment: {
          ...base.environment,
          description: HOSTILE,
          userAgent: HOSTILE,
          variants: { [HOSTILE]: HOSTILE },
        },
        tasks: [{ taskId: HOSTILE, benchmark: HOSTILE, trainItems: 1, testItems: 1, tooLong: 0, notes: [HOSTILE] }],
        demonstrations: base.demonstrations.map((d) => ({ ...d, label: HOSTILE, rejectedExamples: [HOSTILE] })),
        evaluations: base.evaluations.map((r) => ({ ...r, taskId: HOSTILE, scorer: HOSTILE })),
        comparisons: base.comparisons.map((r) => ({ ...r, taskId: HOSTILE, scorer: HOSTILE })),
        scorers: base.scorers!.map((r) => ({ ...r, taskId: HOSTILE })),
        pairs: {
          counts: { [HOSTILE]: 1 },
          meanings: { [HOSTILE]: HOSTILE },
          samples: [
            {
              taskId: HOSTILE,
              prompt: HOSTILE,
              chosen: HOSTILE,
              rejected: HOSTILE,
              target: HOSTILE,
              chosenFrom: 'student',
            },
          ],
        },
        kept: { rule: HOSTILE, step: 1 },
        samples: base.samples.map((s) => ({
          taskId: HOSTILE,
          itemId: HOSTILE,
          question: HOSTILE,
          target: HOSTILE,
          answers: s.answers.map((a) => ({ ...a, text: HOSTILE })),
        })),
        bytes: { ...base.bytes, gpuParts: { [HOSTILE]: 1 } },
        artefacts: [HOSTILE],
        log: [{ level: 'warning', message: HOSTILE }],
      }),
    );
    expect(html).not.toContain('<script');
    expect(html).not.toContain('<img');
    expect(html).not.toContain('\u0000');
    expect(html.split('&lt;script&gt;').length).toBeGreaterThan(20);
  });

  it('says plainly that a student cannot do the task, and that a run did not finish', () => {
    const html = renderReport(report({ state: 'stopped', evaluations: [row('Baseline', 'plain', 1, 180)] }));
    expect(html).toContain('this student cannot do the task');
    expect(html).toContain('This run was stopped before its end');
    expect(renderReport(report())).not.toContain('cannot do the task');
    // Probing at chance is no ability.
    const guesses = { ...row('Baseline', 'plain', 40, 200), scorer: 'probing' as const };
    const lost = [row('Baseline', 'plain', 5, 200), guesses];
    expect(renderReport(report({ evaluations: lost }))).toContain('this student cannot do the task');
  });

  it('renders a run with nothing in it', () => {
    const { pairs: _pairs, kept: _kept, ...rest } = report();
    const html = renderReport({
      ...rest,
      tasks: [],
      demonstrations: [],
      evaluations: [],
      comparisons: [],
      curves: [],
      samples: [],
      timings: [],
      artefacts: [],
      log: [],
    });
    expect(html).toContain('Nothing was evaluated in this run.');
    expect(html).not.toContain('<figure>');
  });

  it('begins with words for a reader who has not seen Pupil, and has strict against lenient', () => {
    const html = renderReport(report());
    const titles = [...html.matchAll(/<h2>([^<]*)</g)].map((match) => match[1]);
    expect(titles.slice(0, 4)).toEqual([
      'What this page is about',
      'What came of it',
      'Results',
      'Strict against lenient',
    ]);
    // 98 less 54 of 100, and the p of the comparison above.
    expect(html).toMatch(/improved the accuracy<\/b> by 44\.0 points, from 54\.0 % to 98\.0 %: more than chance/);
    expect(html).toContain('The results above go by the scorer “strict”.');
    expect(html).toMatch(/<td class="n"><b>98\.0<\/b><\/td><td class="n"><b>100\.0<\/b><\/td><td class="n">\+2\.0</);
    expect(html).toContain('<td>pairs</td><td class="n">111</td><td>pairs made</td>');
  });

  it('renders reports of earlier versions, which lack scorers and meanings', () => {
    const { scorers: _scorers, pairs, ...rest } = report();
    const html = renderReport({ ...rest, pairs: { counts: pairs!.counts, samples: pairs!.samples } });
    expect(html).not.toContain('Strict against lenient');
    expect(html).toContain('<td>pairs</td><td class="n">111</td></tr>');
  });

  it('is the same text for the same report', () => {
    expect(renderReport(report())).toBe(renderReport(report()));
  });
});

describe('lineChart', () => {
  it('leaves a gap where a value is not finite', () => {
    const svg = lineChart({
      title: 't',
      xLabel: 'step',
      series: [
        {
          name: 'loss',
          points: [
            [1, 1],
            [2, 2],
            [3, NaN],
            [4, 1],
            [5, 2],
          ],
        },
      ],
    });
    expect(svg.match(/<path/g)).toHaveLength(2);
    expect(svg).not.toContain('NaN');
  });

  it('draws a single point as a dot, and nothing where there is no point', () => {
    expect(lineChart({ title: 't', xLabel: 'x', series: [{ name: 'a', points: [[1, 5]] }] })).toContain('<circle');
    expect(lineChart({ title: 't', xLabel: 'x', series: [{ name: 'a', points: [[1, Infinity]] }] })).toBe('');
    expect(lineChart({ title: 't', xLabel: 'x', series: [] })).toBe('');
  });

  it('cuts a range off at what values can be', () => {
    const shares = {
      name: 'a',
      points: [[1, 80] as const, [2, 98] as const],
      ranges: [
        [75, 85],
        [92, 104],
      ] as const,
    };
    const chart = (limited: boolean): string =>
      lineChart({ title: 't', xLabel: 'x', series: [shares], ...(limited ? { yLimits: [0, 100] as const } : {}) });
    expect(chart(false)).toContain('>110<');
    expect(chart(true)).toContain('>100<');
    expect(chart(true)).not.toContain('>110<');
  });

  it('keeps every coordinate inside its frame', () => {
    const points = Array.from({ length: 50 }, (_, i) => [i, Math.sin(i) * 1e-5 - 3] as const);
    const svg = lineChart({ title: 't', xLabel: 'x', series: [{ name: 'a', points }] });
    const path = /<path[^>]* d="([^"]*)"/.exec(svg)?.[1] ?? '';
    const numbers = path
      .split(/[ML]/)
      .filter(Boolean)
      .map((pair) => pair.split(' ').map(Number));
    expect(numbers).toHaveLength(50);
    for (const [x, y] of numbers) {
      expect(x).toBeGreaterThanOrEqual(58);
      expect(x).toBeLessThanOrEqual(466);
      expect(y).toBeGreaterThanOrEqual(12);
      expect(y).toBeLessThanOrEqual(192);
    }
  });
});

describe('numbers of a report', () => {
  it('chooses round ticks that cover the range', () => {
    expect(niceTicks(0.13, 1.92)).toEqual([0, 0.5, 1, 1.5, 2]);
    expect(niceTicks(-3, 5)).toEqual([-4, -2, 0, 2, 4, 6]);
    expect(niceTicks(7, 7).length).toBeGreaterThan(2);
  });

  it('writes them as people read them', () => {
    expect([percent(0.9125), percent(NaN)]).toEqual(['91.3', '–']);
    expect([number(1234), number(123456), number(0.000123), number(0.6931472)]).toEqual([
      '1234',
      '123,456',
      '1.23e-4',
      '0.6931',
    ]);
    expect([bytes(512), bytes(3642368)]).toEqual(['512 bytes', '3.5 MiB']);
    expect([duration(4.23), duration(187), duration(3720)]).toEqual(['4.2 s', '3 min 07 s', '1 h 02 min']);
    expect(escapeHtml(`<a href="x">'&`)).toBe('&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
  });
});
