// paperHtml.ts: what `pupil report` builds as one self-contained HTML page: the paper's tables and figures for each student, which
// of its orderings held, teachers, judges, and what is missing. Pages, tables and figures are drawn by the files beside it.
import { inlineFigure } from './drawing';
import { escapeHtml, number, percent, pValue } from './escape';
import { SIGNIFICANCE } from './findings';
import { definitions, page, section } from './page';
import { paperFigures } from './paperFigures';
import type { PaperReport, PaperSection } from './paperReport';
import { accuracyText, intervalText, ratingText, seedsText, sizesText } from './paperRows';
import type { GridCell } from './paperTables';
import { table } from './tables';

const sentences = (texts: readonly string[]): string =>
  texts.length === 0 ? '' : `<ul>${texts.map((text) => `<li>${escapeHtml(text)}</li>`).join('')}</ul>`;
const soft = (text: string): string => (text === '' ? '' : `<span class="soft">${escapeHtml(text)}</span>`);
const DASH = '<span class="soft">–</span>';

/** `89.1 ± 0.8` above its interval, and how many seeds where not all; its counts in a tip. */
function gridCell(cell: GridCell | null, seeds: number): string {
  if (cell === null) return DASH;
  const { result, place } = cell;
  const text = escapeHtml(accuracyText(result));
  const fewer = result.runs.length < seeds ? ` (${result.runs.length} of ${seeds} seeds)` : '';
  const tip = `n = ${sizesText(result.runs)}; ${seedsText(result.runs)}; interval by ${result.interval.method}${place === undefined ? '' : `; ${place}`}`;
  const shown = place === 'trained' ? `<b>${text}</b>` : place === 'out-domain' ? `<i>${text}</i>` : text;
  return `<span title="${escapeHtml(tip)}">${shown}</span>${soft(`${intervalText(result.interval)}${fewer}`)}`;
}

function gridTable({ student, results: { grid, series, view }, published }: PaperSection): string {
  const seeds = series.seeds.length;
  const rows = grid.blocks.flatMap(({ trainedOn, detail, rows: own }, b) =>
    own.flatMap(({ label, cells }, r) => {
      const paper = published.find(({ block, row }) => block === b && row === r);
      return [
        [
          r === 0 ? escapeHtml(trainedOn || 'untouched') + (detail === '' ? '' : ` ${soft(detail)}`) : '',
          escapeHtml(label),
          ...cells.map((cell) => gridCell(cell, seeds)),
        ],
        ...(paper === undefined
          ? []
          : [['', soft('the paper'), ...paper.values.map((value) => soft(value === null ? '' : value.toFixed(1)))]]),
      ];
    }),
  );
  if (rows.length === 0) return '';
  const sizes = grid.tasks.map((_, c) =>
    sizesText(grid.blocks.flatMap(({ rows: own }) => own.flatMap(({ cells }) => cells[c]?.result.runs ?? []))),
  );
  return table(
    `${student}: accuracy %, mean ± sd over seeds (${series.seeds.join(', ')}), 95 % interval; scorer ${view.scorer}, ${view.prompt === 'cot' ? 'CoT' : 'plain'} prompt of trained students`,
    [
      { title: 'Trained on', className: 'name' },
      { title: 'Student', className: 'name' },
      ...grid.tasks.map((task, c) => ({ title: `${task}, n = ${sizes[c]}`, numeric: true })),
    ],
    rows,
  );
}

function orderingTable({ results: { orderings } }: PaperSection): string {
  if (orderings.length === 0) return '';
  return table(
    'Which of the paper’s orderings held, over runs and tasks',
    [
      { title: 'Claim' },
      { title: 'Where' },
      { title: 'Held', numeric: true },
      { title: 'of these, more than chance', numeric: true },
      { title: 'Reversed', numeric: true },
      { title: 'of these, more than chance', numeric: true },
      { title: 'Cases', numeric: true },
    ],
    orderings.map(({ claim, where, cases, held, clear, reversed, clearlyReversed }) => [
      escapeHtml(claim),
      escapeHtml(where),
      ...[held, clear, reversed, clearlyReversed, cases.length].map(number),
    ]),
  );
}

function comparisons({ results: { series } }: PaperSection): string {
  const rows = series.comparisons.map(({ cell, taskId, first, second, difference, interval, runs }) => [
    escapeHtml(series.cells[cell]!.labels.join(', ') || 'all'),
    escapeHtml(taskId),
    escapeHtml(`${first} → ${second}`),
    `<b>${percent(difference)}</b>`,
    intervalText(interval),
    runs.map(({ seed, holm }) => `${seed}: ${pValue(holm)}`).join(', '),
  ]);
  if (rows.length === 0) return '';
  const caption = `Same questions, two systems: points, 95 % interval, McNemar’s exact test by Holm among ${series.tests} tests of this student (clear below ${SIGNIFICANCE})`;
  return `<details><summary>Paired comparisons</summary>${table(
    caption,
    [
      { title: 'Experiment' },
      { title: 'Task' },
      { title: 'First → second' },
      { title: 'Points', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: 'p by seed', className: 'list' },
    ],
    rows,
  )}</details>`;
}

function studentSection(one: PaperSection): string {
  const { student, paperTable, results } = one;
  const { missing } = results;
  const figures = paperFigures(one);
  const drawn = (wanted: readonly number[]): string => {
    const own = figures.filter((figure) => wanted.includes(figure.number));
    return own.length === 0
      ? ''
      : `<div class="charts">${own.map(({ drawing }) => inlineFigure(drawing)).join('\n')}</div>`;
  };
  const part = (title: string, ...contents: string[]): string => {
    const text = contents.filter((content) => content !== '').join('\n');
    return text === '' ? '' : `<h3>${escapeHtml(title)}</h3>\n${text}`;
  };
  return section(
    student,
    sentences(missing.all),
    part(
      paperTable === undefined ? 'In the layout of Table 1' : `Table ${paperTable}`,
      gridTable(one),
      sentences(missing.grid),
    ),
    part('Orderings', orderingTable(one), comparisons(one)),
    part('Figures 2 and 3: teachers of the same family and of others', drawn([2, 3]), sentences(missing.families)),
    part('Figure 4: shares of the demonstrations', drawn([4]), sentences(missing.splits)),
    part('Figure 5: additional benchmarks', drawn([5]), sentences(missing.additional)),
  );
}

function teacherTable({ teachers }: PaperReport): string {
  if (teachers.length === 0) return '';
  return table(
    'Teachers’ own accuracy % on training questions, CoT prompt',
    [
      { title: 'Task' },
      { title: 'Teacher' },
      { title: 'Family' },
      { title: 'Accuracy %', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: 'n', numeric: true },
      { title: 'Seeds', className: 'list' },
      { title: 'The paper', numeric: true },
    ],
    teachers.map((row) => [
      escapeHtml(row.taskId),
      escapeHtml(row.label),
      row.family,
      `<b>${escapeHtml(accuracyText(row))}</b>`,
      intervalText(row.interval) || DASH,
      sizesText(row.runs),
      seedsText(row.runs),
      row.published === undefined ? '' : row.published.toFixed(1),
    ]),
  );
}

function qualityTable({ quality: { tasks, rows } }: PaperReport): string {
  if (rows.length === 0) return '';
  return table(
    'Average ratings from 1 to 3',
    [
      { title: 'Run of' },
      { title: 'Experiment' },
      { title: 'Answers of', className: 'name' },
      ...tasks.map((title) => ({ title, numeric: true })),
      { title: 'All', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: 'No rating', numeric: true },
      { title: 'Judge' },
      { title: 'The paper', numeric: true },
    ],
    rows.map(({ student, detail, system, judge, cells, all, published }) => [
      escapeHtml(student),
      escapeHtml(detail),
      escapeHtml(system),
      ...tasks.map((task) => (cells[task] === undefined ? DASH : escapeHtml(ratingText(cells[task])))),
      all === null ? DASH : `<b>${escapeHtml(ratingText(all))}</b>`,
      all?.interval === undefined ? DASH : `${all.interval.low.toFixed(2)} – ${all.interval.high.toFixed(2)}`,
      all === null ? '' : number(all.unparsable + all.missing),
      escapeHtml(judge),
      published === undefined ? '' : published.toFixed(2),
    ]),
  );
}

function missingPart(report: PaperReport): string {
  const { grids, pending, left, again, repeated } = report;
  const progress = grids.map(({ name, from, runs, finished, missing }) =>
    [
      `<p>${escapeHtml(`${name}: ${finished} of ${runs} runs are finished`)} ${soft(from)}</p>`,
      missing.length === 0
        ? ''
        : table(
            `Cells of ${name} that are not complete`,
            [{ title: 'Cell' }, { title: 'Runs missing', numeric: true }, { title: 'Why' }],
            missing.map(({ cell, runs, why }) => [escapeHtml(cell), number(runs), escapeHtml(why.join('; '))]),
          ),
    ].join('\n'),
  );
  const runs =
    pending.length === 0
      ? ''
      : table(
          'Runs that are not finished',
          [
            { title: 'Run' },
            { title: 'Seed', numeric: true },
            { title: 'State' },
            { title: 'How far' },
            { title: 'Where' },
          ],
          pending.map(({ name, seed, state, how, from }) => [
            escapeHtml(name),
            seed === undefined ? '' : number(seed),
            `<span class="${state === 'unfinished' ? 'stopped' : state}">${state}</span>`,
            escapeHtml(how),
            soft(from),
          ]),
        );
  const files =
    left.length === 0
      ? ''
      : table(
          'Files that could not be used',
          [{ title: 'Where' }, { title: 'Why' }],
          left.map(({ from, reason }) => [escapeHtml(from), escapeHtml(reason)]),
        );
  return section(
    'What is missing, and why',
    ...progress,
    runs,
    files,
    sentences([
      ...again.map(({ from, as }) => `${from} is the same run as ${as}: it counts once.`),
      ...repeated.map(
        ({ runId, newer }) =>
          `${runId} is the same experiment with the same seed as ${newer}, which is newer: only that one counts.`,
      ),
    ]),
  );
}

const HOW_TO_READ =
  '<p class="soft">± is the sample standard deviation of the accuracy over seeds. The 95 % interval resamples whole questions with all their seeds, 2,000 times; with one seed and questions all different it is Wilson’s. It says how much the choice of questions matters, not the choice of seeds. Bold: the task that was trained on; italics: out of domain. “The paper”: the number that arXiv 2405.00402 prints in that place, for the same student and an in-family teacher; it is no target, since the text leaves open how it came about.</p>';

/** The page. Deterministic in its argument. */
export function renderPaper(report: PaperReport): string {
  const { sections, runs, environments } = report;
  const counted = `${number(runs.length)} finished run${runs.length === 1 ? '' : 's'} of ${number(sections.length)} student${sections.length === 1 ? '' : 's'}`;
  return page(
    'The paper’s tables',
    environments[0]?.pupilVersion ?? '',
    [
      `<header><h1>The paper’s tables</h1><p class="soft">Self-refine Instruction-tuning (arXiv 2405.00402), from ${counted}</p></header>`,
      runs.length === 0 ? '<p class="notice">No run is finished yet: there is nothing to lay out.</p>' : HOW_TO_READ,
      ...sections.map(studentSection),
      section('Table 5: the teachers themselves', teacherTable(report), sentences(report.missing.teachers)),
      section('Tables 13 and 14: quality by a judge', qualityTable(report), sentences(report.missing.judge)),
      missingPart(report),
      section(
        'Runs that are counted',
        runs.length === 0
          ? ''
          : table(
              'Finished runs',
              [{ title: 'Experiment' }, { title: 'Seed', numeric: true }, { title: 'Student' }, { title: 'Where' }],
              runs.map(({ name, seed, student, from }) => [
                escapeHtml(name),
                number(seed),
                escapeHtml(student),
                soft(from),
              ]),
            ),
        definitions(
          environments.map((e) => [
            'Adapter',
            [
              e.vendor,
              e.architecture,
              e.device,
              e.description,
              `tier ${e.tier}`,
              e.software ? 'software' : '',
              `Pupil ${e.pupilVersion}`,
            ]
              .filter((text) => text !== '')
              .join(' · '),
          ]),
        ),
      ),
    ]
      .filter((text) => text !== '')
      .join('\n'),
  );
}
