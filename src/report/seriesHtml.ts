// seriesHtml.ts: the report of a series as one self-contained HTML page, in the layout that the series asks for: a list, a
// curve over one axis (the paper's Figure 4), or a grid over tasks (Table 1). It draws what SeriesReport says.
import { matchesOneAnswer } from '../config/scorerNames';
import { SYSTEM_NAMES } from '../config/systems';
import { isRepeated } from './baselines';
import { lineChart } from './chart';
import { escapeHtml, number } from './escape';
import { definitions, page, section } from './page';
import type { SeriesReport, SeriesResult } from './series';
import {
  accuracy,
  commonSize,
  comparisonTable,
  resultTable,
  runTable,
  scorerTable,
  sizeText,
  systemName,
} from './seriesTables';
import { LENIENT, table } from './tables';
import { introduction, trainingOf } from './words';

/** What the table shows: its prompt and, of the untouched student, the other one too; no probing. */
function shown(report: SeriesReport): SeriesResult[] {
  const { prompt } = report.series.table;
  return report.results.filter(
    (result) => matchesOneAnswer(result.scorer) && (result.prompt === prompt || result.system === 'Baseline'),
  );
}

const tasksOf = (results: readonly SeriesResult[]): string[] => [...new Set(results.map(({ taskId }) => taskId))];

/** One standard deviation to both sides, in per cent; nothing where seeds have no spread. */
const spread = (result: SeriesResult | undefined): [number, number] | undefined =>
  result?.sd === undefined ? undefined : [100 * (result.mean - result.sd), 100 * (result.mean + result.sd)];

/** The value of each cell on one axis, and what is left of its labels. */
function along(report: SeriesReport, axis: number): { place: number[]; rest: string[] } {
  const labels = report.series.axes[axis]!.values.map(({ label }) => label);
  return {
    place: report.cells.map((cell) => labels.indexOf(cell.labels[axis]!)),
    rest: report.cells.map((cell) => cell.labels.filter((_, a) => a !== axis).join(', ')),
  };
}

/** Figure 4: accuracy over the values of one axis, and the same as a table. One chart a task. */
function curve(report: SeriesReport): string {
  const { axes, table: settings } = report.series;
  const axis = Math.max(
    0,
    axes.findIndex(({ name }) => name === settings.axis),
  );
  const { name, values } = axes[axis]!;
  const { place, rest } = along(report, axis);
  const results = shown(report);
  const repeated = isRepeated(report, results, (cell) => `${place[cell]}`);
  // "25 %" lies at 25; words lie at 1, 2, 3, …
  const numbers = values.map(({ label }) => Number.parseFloat(label));
  const ascending = numbers.every((x, i) => Number.isFinite(x) && (i === 0 || x > numbers[i - 1]!));
  const xs = ascending ? numbers : values.map((_, i) => i + 1);
  const xLabel = ascending ? name : `${name}: ${values.map(({ label }, i) => `${i + 1} = ${label}`).join(', ')}`;
  return tasksOf(results)
    .map((taskId) => {
      const lines = new Map<string, SeriesResult[]>();
      for (const result of results) {
        if (result.taskId !== taskId || repeated(result)) continue;
        const where = result.system === 'Baseline' ? '' : rest[result.cell]!;
        const line = [where, systemName(report, result)].filter((text) => text !== '').join(' · ');
        lines.set(line, [...(lines.get(line) ?? []), result]);
      }
      const at = (line: readonly SeriesResult[], v: number): SeriesResult | undefined =>
        line.find((result) => place[result.cell] === v);
      const chart = lineChart({
        title: `${taskId}: accuracy %, mean and standard deviation over seeds`,
        xLabel,
        xTicks: xs,
        yLimits: [0, 100],
        series: [...lines].map(([lineName, line]) => ({
          name: lineName,
          points: xs.map((x, v) => [x, 100 * (at(line, v)?.mean ?? NaN)] as const),
          ranges: xs.map((_, v) => spread(at(line, v))),
        })),
      });
      const n = commonSize([...lines.values()].flat());
      const cells = table(
        `${taskId}: accuracy %, mean ± sd over seeds${sizeText(n)}`,
        [{ title: name }, ...values.map(({ label }) => ({ title: label, numeric: true }))],
        [...lines].map(([lineName, line]) => [
          escapeHtml(lineName),
          ...values.map((_, v) => accuracy(at(line, v), report.seeds.length, n)),
        ]),
      );
      return chart + cells;
    })
    .join('\n');
}

/** Table 1: cells and systems × the tasks that they were tested on. */
function grid(report: SeriesReport): string {
  const results = shown(report);
  const repeated = isRepeated(report, results, () => '');
  const tasks = tasksOf(results);
  const rows = new Map<string, Map<string, SeriesResult>>();
  for (const result of results) {
    if (repeated(result)) continue;
    const where = result.system === 'Baseline' ? [] : report.cells[result.cell]!.labels;
    // Baselines that differ between cells (other prompts or test questions) keep their cells' names.
    const name = systemName(report, result);
    let row = JSON.stringify([...where, name]);
    if (rows.get(row)?.has(result.taskId) === true) row = JSON.stringify([...report.cells[result.cell]!.labels, name]);
    rows.set(row, (rows.get(row) ?? new Map<string, SeriesResult>()).set(result.taskId, result));
  }
  const n = commonSize(results);
  return table(
    `Accuracy %, mean ± sd over seeds, by the task that was tested${sizeText(n)}`,
    [
      { title: [...report.series.axes.map(({ name }) => name), 'system'].join(' · '), className: 'name' },
      ...tasks.map((title) => ({ title, numeric: true })),
    ],
    [...rows].map(([name, row]) => [
      escapeHtml((JSON.parse(name) as string[]).join(' · ')),
      ...tasks.map((taskId) => accuracy(row.get(taskId), report.seeds.length, n)),
    ]),
  );
}

function notices(report: SeriesReport): string {
  const finished = report.runs.filter(({ state }) => state === 'finished').length;
  const out: string[] = [];
  if (finished < report.runs.length) {
    const others = (['failed', 'stopped', 'waiting'] as const).flatMap((state) => {
      const count = report.runs.filter((run) => run.state === state).length;
      return count === 0 ? [] : [`${count} ${state}`];
    });
    out.push(
      `${finished} of ${report.runs.length} runs are finished (${others.join(', ')}). What follows is of the finished ones; it will change.`,
    );
  }
  if (report.seeds.length === 1) out.push('One seed: nothing is known of the spread over seeds.');
  if (report.environments.length > 1) {
    out.push(`The runs were made on ${report.environments.length} different devices or versions.`);
  }
  return out.map((text) => `<p class="notice">${escapeHtml(text)}</p>`).join('\n');
}

const HOW_TO_READ =
  '<p class="soft">± is the sample standard deviation of the accuracy over seeds, n the questions of one run. Runs of several seeds answer the same questions, so their answers are not pooled as if they were independent: the 95 % interval resamples whole questions with all their seeds (questions of one content together), 2,000 times; it says how much the choice of questions matters, not the choice of seeds. With one seed and questions all different it is Wilson’s. Every seed of a cell is in its row.</p>';

/**
 * For readers who have not seen Pupil. What was done is told by the systems of all cells, since an axis may leave a phase out;
 * the rest by the first finished run.
 */
function about(report: SeriesReport): string {
  const { student, experiment, results } = report;
  if (student === undefined || experiment === undefined) return '';
  const has = (system: SeriesResult['system'], cell?: number): boolean =>
    results.some((result) => result.system === system && (cell === undefined || result.cell === cell));
  const refined = report.cells.flatMap((_, cell) =>
    has('Self-refined', cell) ? [has('Instruction-tuned', cell)] : [],
  );
  const [from] = refined;
  return introduction({
    parameters: student.parameters,
    training: {
      instructed: has('Instruction-tuned'),
      ...(from === undefined
        ? {}
        : { refinedFrom: refined.some((one) => one !== from) ? 'either' : from ? 'instructed' : 'untouched' }),
      prefers: /direction/.test(JSON.stringify(report.series.axes)) ? 'either' : trainingOf(experiment).prefers,
    },
    systems: SYSTEM_NAMES.filter((system) => has(system)),
    scorers: [
      ...new Set([
        ...results.map(({ scorer }) => scorer),
        ...(report.scorers ?? []).flatMap(({ means }) => Object.keys(means)),
      ]),
    ],
    lesson: experiment.tasks.some(({ id }) => id.startsWith('lesson')),
    overSeeds: true,
  });
}

/** The page of a series. Deterministic in its argument. */
export function renderSeries(report: SeriesReport): string {
  const { series } = report;
  const layouts = { list: () => resultTable(report, 'Results', shown(report)), curve, grid };
  const some = report.results.length > 0;
  const seeds = report.seeds.length === 1 ? `seed ${report.seeds[0]}` : `seeds ${report.seeds.join(', ')}`;
  const student = report.student;
  const lenient = scorerTable(report);
  return page(
    series.name,
    report.environments[0]?.pupilVersion ?? '',
    [
      `<header><h1>${escapeHtml(series.name)}</h1>`,
      `<p class="soft">${report.cells.length} ${report.cells.length === 1 ? 'cell' : 'cells'} × ${escapeHtml(seeds)}</p>`,
      series.notes === undefined ? '' : `<p>${escapeHtml(series.notes)}</p>`,
      '</header>',
      notices(report),
      section('What this page is about', about(report)),
      section(
        'Results',
        some ? layouts[series.table.layout](report) : '<p>No run is finished yet.</p>',
        some ? HOW_TO_READ : '',
      ),
      section('Comparisons', comparisonTable(report)),
      section('Strict against lenient', lenient === '' ? '' : `<p>${LENIENT}</p>${lenient}`),
      section(
        'Everything measured',
        some && series.table.layout !== 'list'
          ? `<details><summary>Every system, prompt and scorer, with intervals</summary>${resultTable(report, 'All results', report.results)}</details>`
          : some && report.results.length > shown(report).length
            ? `<details><summary>Other prompts and scorers</summary>${resultTable(
                report,
                'All results',
                report.results.filter((result) => !shown(report).includes(result)),
              )}</details>`
            : '',
      ),
      section('Runs', runTable(report)),
      section(
        'Student and machine',
        student === undefined
          ? ''
          : definitions([
              ['Student', student.source],
              ['Parameters', number(student.parameters)],
              ['Fingerprint', student.fingerprint],
              ...report.environments.map(
                (e) =>
                  [
                    'Adapter',
                    [
                      e.vendor,
                      e.architecture,
                      e.device,
                      e.description,
                      `tier ${e.tier}`,
                      e.software ? 'software' : '',
                      e.host,
                    ]
                      .filter((text) => text !== '')
                      .join(' · '),
                  ] as const,
              ),
            ]),
      ),
      section(
        'Settings',
        `<details><summary>The series</summary><pre>${escapeHtml(JSON.stringify(series, null, 2))}</pre></details>`,
        report.experiment === undefined
          ? ''
          : `<details><summary>The experiment of its first finished run, defaults filled in</summary><pre>${escapeHtml(
              JSON.stringify(report.experiment, null, 2),
            )}</pre></details>`,
      ),
    ]
      .filter((part) => part !== '')
      .join('\n'),
  );
}
