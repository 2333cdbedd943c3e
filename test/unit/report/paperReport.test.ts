// paperReport.test.ts: what `pupil report` builds, from the published series: exact pieces of LaTeX, CSV and HTML, the paper's own
// numbers where a row matches and nowhere else, figures as files, and texts that want to be commands.
import { describe, expect, it } from 'vitest';
import { parseSeries } from '../../../src/config/series';
import { gridProgress, type FoundRun } from '../../../src/report/gridProgress';
import { latex } from '../../../src/report/latex';
import type { JudgedRun } from '../../../src/report/judgeRows';
import { paperFiles } from '../../../src/report/paperFiles';
import { paperReport, type Gathered, type GatheredRun } from '../../../src/report/paperReport';
import { publishedAccuracy, publishedTeacher } from '../../../src/report/published';
import { summarizeQuality } from '../../../src/teachers/judge';
import { publishedRuns } from '../../support/publishedRuns';

const runsOf = (name: string, student?: string): GatheredRun[] =>
  publishedRuns(name, { answers: false }).map((run) => ({
    ...run,
    from: `/runs/${run.runId}`,
    report:
      student === undefined
        ? run.report
        : { ...run.report, student: { ...run.report.student, source: student, fingerprint: `of ${student}` } },
  }));
const gathered = (runs: GatheredRun[], more: Partial<Gathered> = {}): Gathered => ({
  runs,
  judged: [],
  pending: [],
  again: [],
  left: [],
  grids: [],
  ...more,
});

const llama = runsOf('commonsense-grid', '/models/Llama-2-7b-hf');
const control = runsOf('lesson-control');
const report = paperReport(gathered([...control, ...llama]));
const files = paperFiles(report);
const text = (path: string): string => files.get(path) ?? `${path} is not there: ${[...files.keys()].join(' ')}`;

describe('sections', () => {
  it('one for each student, those of the paper first, each with a table of its own', () => {
    expect(report.sections.map(({ student, paperTable }) => [student, paperTable])).toEqual([
      ['Llama-2-7b-hf', 1],
      ['lesson', undefined],
    ]);
    expect([...files.keys()].filter((path) => path.startsWith('table-1-'))).toEqual([
      'table-1-llama-2-7b-hf.tex',
      'table-1-lesson.tex',
      'table-1-llama-2-7b-hf.csv',
      'table-1-lesson.csv',
    ]);
  });

  it('students of one name are told apart by their fingerprints', () => {
    const other = control.map((run) => ({
      ...run,
      runId: `${run.runId}-x`,
      report: { ...run.report, student: { ...run.report.student, fingerprint: 'feedbeefcafe0000' } },
    }));
    const names = paperReport(gathered([...control, ...other])).sections.map(({ student }) => student);
    expect(names[1]).toBe('lesson (feedbeef)');
    expect(new Set(names).size).toBe(2);
  });
});

describe('the paper’s own numbers', () => {
  it('stand beside rows of the same student, task and family, whatever those show', () => {
    const [section] = report.sections;
    const rows = section!.published.map(({ block, row, values }) => {
      const { trainedOn, rows: own } = section!.results.grid.blocks[block]!;
      return [trainedOn, own[row]!.label, ...values];
    });
    expect(section!.results.grid.tasks).toEqual(['OBQA', 'CSQA', 'PIQA', 'SIQA']);
    expect(rows).toContainEqual(['', 'Baseline', 53.6, 50.6, 61.6, 46.5]);
    expect(rows).toContainEqual(['OBQA', '+ Self-refine', 70.8, 73.2, 75.3, 62.6]);
    expect(rows).toContainEqual(['OBQA', 'Cross Self-refine', null, 78.4, 78.3, 64.5]);
    // CSQA was taught by another family's teacher there: nothing of the paper's table matches.
    expect(rows.some(([trainedOn]) => trainedOn === 'CSQA')).toBe(false);
    expect(report.sections[1]!.published).toEqual([]);
  });

  it('are those of Tables 1, 10, 11 and 5', () => {
    expect(publishedAccuracy('Llama-2-13b-hf', 'multiarith', '+ Self-refine', 'multiarith')).toBe(86.2);
    expect(publishedAccuracy('Mistral-7B-Instruct-v0.1', undefined, 'Baseline CoT', 'gsm8k')).toBe(55.6);
    expect(publishedAccuracy('Llama-2-7b', 'obqa', 'Cross Self-refine', 'obqa')).toBeUndefined();
    expect(publishedAccuracy('TinyLlama-1.1B', 'obqa', '+ Self-refine', 'obqa')).toBeUndefined();
    expect(publishedTeacher('gpt-3.5-turbo', 'piqa')).toBe(85.3);
    expect(publishedTeacher('Mixtral-8x7B', 'siqa')).toBe(68.2);
  });
});

describe('LaTeX', () => {
  it('has a row for every row of the layout, with spread, marks and the paper’s numbers below', () => {
    const table = text('table-1-lesson.tex');
    expect(table).toContain(
      '\\begin{tabular}{p{4.2cm}lrrrr}\n\\toprule\nTrained on &  & A stories & B sums & C kinds & D tools \\\\\n',
    );
    expect(table).toContain('{\\scriptsize $n$ = 500} & {\\scriptsize $n$ = 500} \\\\\n\\midrule\n');
    // docs/results prints 89.1 ± 0.8, 97.6 ± 0.5, 86.1 ± 7.7 and 87.3 ± 13.3
    expect(table).toContain(
      ' & + Self-refine & \\textbf{89.1} $\\pm$ 0.8 & 97.6 $\\pm$ 0.5 & \\textit{86.1 $\\pm$ 7.7} & \\textit{87.3 $\\pm$ 13.3} \\\\\n',
    );
    expect(text('table-1-llama-2-7b-hf.tex')).toContain(
      ' & {\\scriptsize the paper} & {\\scriptsize 53.6} & {\\scriptsize 50.6} & {\\scriptsize 61.6} & {\\scriptsize 46.5} \\\\\n',
    );
    expect(text('paper.tex')).toContain('\\usepackage{booktabs}');
    expect(text('paper.tex')).toContain('\\input{table-1-lesson.tex}\n\\input{table-5-teachers.tex}');
  });

  it('no text becomes a command, and none stops pdflatex', () => {
    const hostile = '\\input{/etc/passwd} 50 % & $x_1^2$ #~ "中" <b>é±…';
    expect(latex(hostile)).toBe(
      '\\textbackslash{}input\\{/etc/passwd\\} 50 \\% \\& \\$x\\_1\\textasciicircum{}2\\$ \\#\\textasciitilde{} ' +
        '\\textquotedbl{}[U+4E2D]\\textquotedbl{} \\textless{}b\\textgreater{}é$\\pm$\\dots{}',
    );
    const left = [{ from: '/runs/x', reason: hostile }];
    const document = paperFiles(paperReport(gathered(control.slice(0, 1), { left }))).get('paper.tex')!;
    expect(document).toContain('\\item file /runs/x: \\textbackslash{}input\\{/etc/passwd\\} 50 \\% ');
  });

  it('groups open and close in all tables', () => {
    for (const [path, content] of files) {
      if (!path.endsWith('.tex')) continue;
      const bare = content.replaceAll(/\\[\\{}]/g, '');
      expect([path, bare.split('{').length]).toEqual([path, bare.split('}').length]);
      expect(content.split('\\begin{').length).toBe(content.split('\\end{').length);
    }
  });
});

describe('CSV', () => {
  it('has every cell with mean, spread, interval, n, every seed, and the paper’s number', () => {
    const rows = text('table-1-lesson.csv').split('\r\n');
    expect(rows[0]).toBe(
      'student,trained_on,experiment,row,tested_on,place,mean_percent,sd_percent,low_percent,high_percent,interval_by,n,seeds,seed_correct_n,paper_percent',
    );
    const [section] = report.sections.slice(1);
    const cells = section!.results.grid.blocks.flatMap(({ rows: own }) => own.flatMap(({ cells: all }) => all));
    expect(rows.length - 2).toBe(cells.filter((cell) => cell !== null).length);
    expect(rows[1]).toBe(
      'lesson,,,Baseline,A stories,,2.8667,0.5033,,,cluster bootstrap,500,3,"0: 17/500, 1: 14/500, 2: 12/500",',
    );
  });
});

describe('HTML', () => {
  it('has tables, figures and what is missing, and runs nothing', () => {
    const pending: Gathered['pending'] = [
      {
        from: '/runs/a',
        name: '<img onerror=x>',
        seed: 4,
        state: 'failed',
        how: 'instruct, step 3 of 9; the loss is NaN',
      },
    ];
    const html = paperFiles(paperReport(gathered(control, { pending }))).get('paper.html')!;
    expect(html).not.toMatch(/<script|<img/);
    expect(html).toContain('&lt;img onerror=x&gt;</td><td class="n">4</td><td><span class="failed">failed</span>');
    expect(html).toContain('the loss is NaN');
    expect(html).toContain('No run was trained on MATH or MMLU.');
    expect(html).toMatch(/<b>\d+\.\d ± \d+\.\d<\/b>/);
  });
});

describe('figures', () => {
  it('are files that open by themselves: colours, title and legend are in them', () => {
    const split = paperFiles(paperReport(gathered(runsOf('lesson-splits'))));
    const [path, svg] = [...split].find(([name]) => name.startsWith('figures/figure-4-lesson-a-stories'))!;
    expect(path).toMatch(/\.svg$/);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="480" height="\d+"/);
    expect(svg).toContain('.line-0{fill:none;stroke:#2f6fb2');
    for (const name of ['Instruction-tuning only', 'Self-refine only', 'Both', 'untouched student']) {
      expect(svg).toContain(`>${name}</text>`);
    }
    const bars = text([...files.keys()].find((name) => name.startsWith('figures/figure-2-lesson'))!);
    expect(bars.match(/class="bar-\d"/g)!.length).toBeGreaterThan(4);
    expect(bars).toContain('the teacher itself, on training questions');
  });
});

describe('judges and grids', () => {
  it('Table 14 has the paper’s ratings beside ours', () => {
    const quality = summarizeQuality(['[[2]]', '[[3]]']);
    const { runId } = llama[0]!;
    const judged: JudgedRun[] = [
      { runId, judge: 'GPT-4', rows: [{ system: 'Baseline CoT', tasks: { OBQA: quality }, all: quality }] },
    ];
    const made = paperFiles(paperReport(gathered(llama, { judged })));
    expect(made.get('tables-13-14-quality.csv')!.split('\r\n')[2]).toMatch(
      /^Llama-2-7b-hf,.*,Baseline CoT,GPT-4,all,2\.5,.*,1\.47$/,
    );
    expect(made.get('tables-13-14-quality.tex')).toContain(' & 2.50 & 2.50 & ');
  });

  it('says which cells of a planned series are not there, for which seeds, and why', () => {
    const series = parseSeries({
      name: 'Grid',
      experiment: 'elsewhere.json',
      seeds: 3,
      axes: [{ name: 'task', values: [{ label: 'A' }, { label: 'B' }, { label: 'C' }] }],
    });
    const run = (label: string, seed: number, state: FoundRun['state'], how = ''): FoundRun => ({
      name: `Grid: ${label}`,
      seed,
      state,
      how,
    });
    const found = [
      ...[0, 1, 2].map((seed) => run('A', seed, 'finished')),
      run('B', 0, 'finished'),
      run('B', 1, 'failed', 'self-refine, step 3 of 9; out of memory'),
      run('Another', 0, 'finished'),
    ];
    expect(gridProgress('/runs/grid.json', series, found)).toEqual({
      from: '/runs/grid.json',
      name: 'Grid',
      runs: 9,
      finished: 4,
      missing: [
        {
          cell: 'B',
          runs: 2,
          why: ['seed 1 failed: self-refine, step 3 of 9; out of memory', '1 of 3 seeds not begun'],
        },
        { cell: 'C', runs: 3, why: ['no run begun'] },
      ],
    });
  });
});
