// words.test.ts: what a report says in plain language of every way a run can turn out, against numbers worked out here, and
// the tables and answers beside it.
import { describe, expect, it } from 'vitest';
import { mcnemarExact } from '../../../src/base/statistics';
import { preset } from '../../../src/config/presets';
import type { SystemName } from '../../../src/config/systems';
import { findings } from '../../../src/report/findings';
import { samples } from '../../../src/report/samples';
import { scorerTable } from '../../../src/report/tables';
import type { ComparisonRow, EvaluationRow, PromptKind, ReportSample, RunReport } from '../../../src/report/types';
import { conclusions, introduction, trainingOf } from '../../../src/report/words';

const N = 100;
const CONTROL = 'Instruction-tuned, more steps';

/** Of 100 questions: which system answers how many, and for every two how many only one of them answers. */
interface Case {
  correct: Partial<Record<SystemName, number>>;
  /** `[first, second, only the first, only the second]` */
  tests?: [SystemName, SystemName, number, number][];
  prompt?: PromptKind;
  taskId?: string;
}

function rowsOf({ correct, prompt = 'cot', taskId = 'C' }: Case): EvaluationRow[] {
  return (Object.entries(correct) as [SystemName, number][]).map(([system, right]) => ({
    system,
    taskId,
    prompt,
    scorer: 'strict',
    correct: right,
    n: N,
    low: 0.4,
    high: 0.6,
    cutOff: 0,
  }));
}

function testsOf({ tests = [], prompt = 'cot', taskId = 'C' }: Case): ComparisonRow[] {
  return tests.map(([first, second, onlyFirst, onlySecond]) => {
    const p = mcnemarExact(onlyFirst, onlySecond);
    return { taskId, prompt, scorer: 'strict', first, second, onlyFirst, onlySecond, p };
  });
}

function report(...cases: Case[]): RunReport {
  return {
    evaluations: cases.flatMap(rowsOf),
    comparisons: cases.flatMap(testsOf),
    tasks: [{ taskId: 'C', benchmark: 'Lesson' }],
    demonstrations: [{ taskId: 'C', used: 100 }],
    timings: [
      { phase: 'control', seconds: 1, steps: 40 },
      { phase: 'self-refine', seconds: 1, steps: 40 },
    ],
  } as unknown as RunReport;
}

/** Text as read: no tags, no non-breaking spaces. */
const read = (html: string): string =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('\u00a0', ' ')
    .replaceAll('&lt;', '<')
    .replace(/ +/g, ' ')
    .replace(/ ([.,:;])/g, '$1');

describe('conclusions', () => {
  it('says what improved and by how much, with p, and what did not', () => {
    const text = read(
      conclusions(
        report({
          correct: { Baseline: 55, 'Instruction-tuned': 91, 'Self-refined': 94 },
          tests: [
            ['Baseline', 'Instruction-tuned', 5, 41],
            ['Instruction-tuned', 'Self-refined', 4, 7],
            ['Baseline', 'Self-refined', 3, 42],
          ],
        }),
      ),
    );
    expect(text).toContain(
      'Instruction-tuning improved the accuracy by 36.0 points, from 55.0 % to 91.0 %: more than chance (p < 0.001).',
    );
    // 4 against 7: 2 · (1 + 11 + 55 + 165 + 330) / 2¹¹ = 0.549
    expect(text).toContain(
      'Self-refine did not clearly improve the accuracy: 3.0 points more, from 91.0 % to 94.0 %, which chance alone could give (p = 0.549).',
    );
    expect(text).toContain('Both phases together improved the accuracy by 39.0 points');
    expect(text).toContain('p is not corrected for the 3 tests of this page');
    expect(text).toContain('No control was run');
    expect(text).toContain('C Lesson, trained on');
    const named = {
      ...report({ correct: { Baseline: 1, 'Self-refined': 2 } }),
      tasks: [{ taskId: 'C', benchmark: 'C' }],
    };
    expect(read(conclusions(named as unknown as RunReport))).toContain('C trained on'); // not its name twice
  });

  it('says plainly that something got worse, fell, or stayed', () => {
    const told = (after: number, onlyFirst: number, onlySecond: number): string =>
      read(
        conclusions(
          report({
            correct: { Baseline: 50, 'Instruction-tuned': after },
            tests: [['Baseline', 'Instruction-tuned', onlyFirst, onlySecond]],
          }),
        ),
      );
    expect(told(18, 34, 2)).toContain(
      'Instruction-tuning made the accuracy worse by 32.0 points, from 50.0 % to 18.0 %: more than chance (p < 0.001).',
    );
    // 5 against 2: 2 · (1 + 7 + 21) / 2⁷ = 0.453
    expect(told(47, 5, 2)).toContain(
      'Instruction-tuning did not improve the accuracy: 3.0 points less, from 50.0 % to 47.0 %, which chance alone could give (p = 0.453).',
    );
    expect(told(50, 3, 3)).toContain('Instruction-tuning did not improve the accuracy: 50.0 % before and after.');
    for (const [after, first, second] of [[18, 34, 2] as const, [47, 5, 2] as const, [50, 3, 3] as const]) {
      expect(told(after, first, second)).not.toContain('improved');
      expect(told(after, first, second)).not.toContain('No control'); // nothing was refined
    }
  });

  it('holds self-refine against the control, whichever way it turns out', () => {
    const against = (control: number, refined: number, onlyControl: number, onlyRefined: number): string =>
      read(
        conclusions(
          report({
            correct: { 'Instruction-tuned': 70, [CONTROL]: control, 'Self-refined': refined },
            tests: [
              ['Instruction-tuned', CONTROL, 1, 1 + control - 70],
              [CONTROL, 'Self-refined', onlyControl, onlyRefined],
            ],
          }),
        ),
      );
    expect(against(74, 94, 2, 22)).toContain(
      'Self-refine did more than training for longer: 94.0 % against the control’s 74.0 %, 20.0 points more, more than chance (p < 0.001).',
    );
    expect(against(92, 94, 3, 5)).toContain(
      'Self-refine is not shown to do more than training for longer: 94.0 % against the control’s 92.0 %, 2.0 points more, which chance alone could give (p = 0.727).',
    );
    expect(against(90, 90, 3, 3)).toContain('Training for longer reached as much as self-refine: 90.0 % each.');
    expect(against(94, 92, 5, 3)).toContain('Self-refine did not do more than training for longer');
    expect(against(94, 74, 22, 2)).toContain(
      'Training for longer did more than self-refine: 74.0 % against the control’s 94.0 %, 20.0 points less, more than chance',
    );
    const text = against(92, 94, 3, 5);
    expect(text).toContain(
      'The control (40 further steps of instruction-tuning in place of self-refine’s 40) improved the accuracy by 22.0 points',
    );
    expect(text).not.toContain('No control was run');
    // The control stands beside self-refine; nothing leads from it to there.
    expect(text).toContain(
      'Instruction-tuned 70.0 % → Self-refined 94.0 %; control: Instruction-tuned, more steps 92.0 % (n = 100)',
    );
  });

  it('says nothing of chance where nothing was tested, and nothing of a comparison where there is one system', () => {
    const untested = read(conclusions(report({ correct: { Baseline: 50, 'Self-refined': 90 } })));
    expect(untested).toContain(
      'Self-refine alone did not clearly improve the accuracy: 40.0 points more, from 50.0 % to 90.0 % (not tested).',
    );
    expect(read(conclusions(report({ correct: { Baseline: 50 } })))).toContain(
      'Only Baseline was evaluated: 50.0 % (95 % interval 40.0 – 60.0). There is nothing to compare it with.',
    );
    expect(conclusions(report())).toBe('');
  });

  it('tells both prompts and all tasks, and which of them were only tested', () => {
    const html = conclusions(
      report(
        { correct: { Baseline: 46, 'Self-refined': 38 }, prompt: 'plain' },
        { correct: { Baseline: 55, 'Self-refined': 99 } },
        { correct: { Baseline: 50, 'Self-refined': 9 }, taskId: 'B' },
        { correct: { Baseline: 51 }, taskId: 'B', prompt: 'plain' },
      ),
    );
    const text = read(html);
    expect(text.indexOf('With the CoT prompt')).toBeLessThan(text.indexOf('With the plain prompt: Baseline 46.0 %'));
    expect(text).toContain('B out of domain: only tested');
    expect(text).not.toContain('51.0'); // the untouched student alone says nothing new
    expect(html.match(/<details>/g)).toHaveLength(1);
  });
});

describe('findings', () => {
  it('tests only the same task, prompt, scorer and systems, and leaves probing out', () => {
    const base = report({
      correct: { Baseline: 40, 'Instruction-tuned': 60 },
      tests: [['Baseline', 'Instruction-tuned', 5, 25]],
    });
    const probed = { ...base.evaluations[0]!, scorer: 'probing', correct: 99 };
    const plain = { ...base.comparisons[0]!, prompt: 'plain' as const, p: 0.9 };
    const [one, ...others] = findings({
      evaluations: [probed, ...base.evaluations],
      comparisons: [plain, ...base.comparisons],
    });
    expect(others).toEqual([]);
    expect(one!.first).toMatchObject({ before: 0.4, after: 0.6, verdict: 'better' });
    expect(one!.first!.points).toBeCloseTo(20, 10);
    expect(one!.first!.p).toBeCloseTo(mcnemarExact(5, 25), 12);
    const [unsure] = findings({ ...base, comparisons: [plain] });
    expect(unsure!.first).toMatchObject({ verdict: 'higher' });
    expect(unsure!.first).not.toHaveProperty('p');
  });
});

describe('introduction', () => {
  const smoke = preset('smoke');
  const of = {
    parameters: 910592,
    training: trainingOf(smoke),
    systems: ['Baseline', 'Self-refined'] as const,
    scorers: ['strict', 'literal'],
    lesson: true,
    overSeeds: false,
  };

  it('names the student, the systems that there are, and the scorers that there are', () => {
    const text = read(introduction(of));
    expect(text).toContain('910,592 parameters');
    expect(text).toContain('Self-refined: the student after phase 2: the instruction-tuned student answers');
    expect(text).not.toContain('the control:');
    expect(text).toContain('Scorer: literal');
    expect(text).not.toContain('Scorer: probing');
    expect(text).toContain('brings out what is latent');
    expect(read(introduction({ ...of, lesson: false }))).not.toContain('latent');
  });

  it('says what was done: without phase 1 nothing of a teacher’s worked answers', () => {
    const text = read(introduction({ ...of, training: trainingOf({ phases: { ...smoke.phases, instruct: false } }) }));
    expect(text).toContain('was trained to reason step by step: on pairs of its own answers.');
    expect(text).toContain('the untouched student answers questions twice');
    const none = { ...smoke.phases, instruct: false as const, selfRefine: false as const };
    expect(read(introduction({ ...of, training: trainingOf({ phases: none }), systems: ['Baseline'] }))).toContain(
      'was tested as it is',
    );
  });
});

describe('strict against lenient', () => {
  it('puts the shares side by side, with the difference in points and n', () => {
    const html = scorerTable([
      {
        system: 'Self-refined',
        taskId: '<B>',
        prompt: 'cot',
        n: 80,
        correct: { strict: 8, literal: 72, 'paper-compat': 4 },
        literalOnly: 66,
        strictOnly: 2,
      },
    ]);
    const cells = [...html.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, cell]) => cell!.replace(/<[^>]*>/g, ''));
    expect(cells).toEqual(['&lt;B&gt;', 'Self-refined', 'CoT', '80', '10.0', '90.0', '+80.0', '66', '2', '5.0']);
  });
});

describe('before and after', () => {
  const answer = (system: SystemName, prompt: PromptKind, correct: boolean): ReportSample['answers'][number] => ({
    system,
    prompt,
    text: `${system} ${prompt}`,
    correct,
    stopped: 'eos',
  });
  const one = (taskId: string, i: number): ReportSample => ({
    taskId,
    itemId: `${taskId}${i}`,
    question: `Question: number ${i} of ${taskId}?`,
    target: 'B',
    answers: [
      answer('Baseline', 'plain', true),
      answer('Baseline', 'cot', false),
      answer(CONTROL, 'cot', true),
      answer('Self-refined', 'plain', true),
      answer('Self-refined', 'cot', false),
    ],
  });

  it('shows ten questions of each task, and every system’s answer to one prompt side by side', () => {
    const all = ['C', 'A', 'B', 'D'].flatMap((taskId) => Array.from({ length: 10 }, (_, i) => one(taskId, i)));
    const html = samples(all);
    expect(html.match(/<details/g)).toHaveLength(40);
    const first = html.slice(html.indexOf('<details'), html.indexOf('</details>'));
    const rows = first.split('<div class="answers">').slice(1);
    expect(rows.map((row) => [...row.matchAll(/<b>([^<]*)<\/b>/g)].map(([, title]) => title))).toEqual([
      ['Baseline CoT', CONTROL, 'Self-refined'],
      ['Baseline', 'Self-refined'],
    ]);
    // The marks are those of the CoT prompt: wrong, right, wrong.
    expect(/class="marks">(.*?)<\/summary>/.exec(first)![1]!.replace(/<[^>]*>/g, '')).toBe('✗ ✓ ✗');
    expect(samples([...all, one('C', 10)])).toContain('1 more in report.json');
    expect(samples([])).toBe('');
  });
});
