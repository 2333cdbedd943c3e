// seriesHtml.ts: the report of a series as one self-contained HTML page, in the layout that the series asks for: a list, a
// curve over one axis (the paper's Figure 4), or a grid over tasks (Table 1). It draws what SeriesReport says.
import { lineChart } from './chart';
import { duration, escapeHtml, number, percent, pValue } from './escape';
import { definitions, page, section } from './page';
import type { SeriesComparison, SeriesReport, SeriesResult } from './series';
import { systemLabel, table, type Column } from './tables';

/** Names of one row of a table: its cell, and the system as this cell calls it. */
function systemName(report: SeriesReport, result: SeriesResult): string {
  return report.cells[result.cell]!.systems[result.system] ?? systemLabel(result);
}

/** `96.3 ± 1.2`, with how many runs it is of, and n unless the table has said it; a single run has no ±. */
function accuracy(result: SeriesResult | undefined, seeds: number, n?: number): string {
  if (result === undefined || result.runs.length === 0) return '<span class="soft">–</span>';
  const spread = result.sd === undefined ? '' : ` ± ${percent(result.sd)}`;
  const notes = [
    ...(n === undefined ? [`n = ${sizes([result]).join(', ')}`] : []),
    ...(result.runs.length < seeds ? [`${result.runs.length} of ${seeds} seeds`] : []),
  ];
  const note = notes.length === 0 ? '' : ` <span class="soft">(${notes.join(', ')})</span>`;
  return `<b>${percent(result.mean)}</b>${spread}${note}`;
}

/** Numbers of questions that occur. */
const sizes = (results: readonly SeriesResult[]): number[] => [
  ...new Set(results.flatMap(({ runs }) => runs.map(({ n }) => n))),
];

/** The one number of questions, to be said once for a whole table; undefined where each cell must say its own. */
function commonSize(results: readonly SeriesResult[]): number | undefined {
  const [n, ...others] = sizes(results);
  return others.length === 0 ? n : undefined;
}

const sizeText = (n: number | undefined): string => (n === undefined ? '' : `, n = ${n} questions in each run`);

const interval = ({ interval: { low, high } }: Pick<SeriesResult, 'interval'>): string =>
  Number.isFinite(low) ? `${percent(low)} – ${percent(high)}` : '–';

/** What the table shows: its prompt and, of the untouched student, the other one too; no probing. */
function shown(report: SeriesReport): SeriesResult[] {
  const { prompt } = report.series.table;
  return report.results.filter(
    (result) => result.scorer !== 'probing' && (result.prompt === prompt || result.system === 'Baseline'),
  );
}

/**
 * Which results of the untouched student say nothing that another of the same group does not say: the same counts, or some of
 * the same seeds while a series is under way.
 */
function isRepeated(
  report: SeriesReport,
  results: readonly SeriesResult[],
  group: (cell: number) => string,
): (result: SeriesResult) => boolean {
  const key = ({ cell, taskId, prompt, scorer }: SeriesResult): string =>
    JSON.stringify([group(cell), taskId, prompt, scorer]);
  const counts = ({ runs }: SeriesResult): string[] => runs.map((run) => JSON.stringify(run));
  const baselines = results.filter(
    ({ system, cell }) => system === 'Baseline' && report.cells[cell]!.systems.Baseline === undefined,
  );
  return (result) =>
    baselines.includes(result) &&
    baselines.some((other, i) => {
      if (other === result || key(other) !== key(result)) return false;
      if (!counts(result).every((run) => counts(other).includes(run))) return false;
      return other.runs.length > result.runs.length || i < baselines.indexOf(result);
    });
}

const tasksOf = (results: readonly SeriesResult[]): string[] => [...new Set(results.map(({ taskId }) => taskId))];

function resultTable(report: SeriesReport, caption: string, results: readonly SeriesResult[]): string {
  const columns: Column[] = [
    ...report.series.axes.map(({ name }) => ({ title: name })),
    { title: 'System', className: 'name' },
    { title: 'Task' },
    { title: 'Prompt' },
    { title: 'Scorer' },
    { title: 'Accuracy %, mean ± sd over seeds', numeric: true },
    { title: '95 % interval', numeric: true },
    { title: 'from' },
    { title: 'Correct, by seed', numeric: true },
  ];
  return table(
    caption,
    columns,
    results.map((result) => [
      ...report.cells[result.cell]!.labels.map(escapeHtml),
      escapeHtml(systemName(report, result)),
      escapeHtml(result.taskId),
      result.prompt === 'cot' ? 'CoT' : 'plain',
      escapeHtml(result.scorer),
      accuracy(result, report.seeds.length),
      interval(result),
      result.interval.method === 'Wilson' ? 'Wilson' : `${number(result.interval.clusters)} clusters`,
      result.runs.map((run) => `${run.correct}`).join(', '),
    ]),
  );
}

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
          spread: xs.map((_, v) => 100 * (at(line, v)?.sd ?? NaN)),
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

function comparisons(report: SeriesReport): string {
  if (report.comparisons.length === 0) return '';
  const name = ({ cell, prompt }: SeriesComparison, system: SeriesResult['system']): string =>
    escapeHtml(report.cells[cell]!.systems[system] ?? systemLabel({ system, prompt }));
  const rows = table(
    'Same questions, two systems',
    [
      ...report.series.axes.map(({ name: title }) => ({ title })),
      { title: 'Task' },
      { title: 'First → second', className: 'name' },
      { title: 'Points', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: 'First : second', numeric: true },
      { title: 'p (Holm)', numeric: true },
    ],
    report.comparisons.map((row) => [
      ...report.cells[row.cell]!.labels.map(escapeHtml),
      escapeHtml(row.taskId),
      `${name(row, row.first)} → ${name(row, row.second)}`,
      `<b>${percent(row.difference)}</b>`,
      interval(row),
      row.runs.map(({ onlyFirst, onlySecond }) => `${onlyFirst} : ${onlySecond}`).join(', '),
      row.runs.map(({ holm }) => pValue(holm)).join(', '),
    ]),
  );
  return (
    rows +
    `<p class="soft">Points: accuracy of the second less that of the first, with its interval. First : second are the questions that only the first and only the second answered correctly, one pair a seed; p is McNemar’s exact test of that seed, by Holm among all ${report.tests} tests of this table.</p>`
  );
}

function runTable(report: SeriesReport): string {
  return table(
    'All runs of the series, each in the folder of its name',
    [
      { title: 'Run' },
      { title: 'Cell' },
      { title: 'Seed', numeric: true },
      { title: 'State' },
      { title: 'Work', numeric: true },
    ],
    report.runs.map((run) => [
      escapeHtml(run.id),
      escapeHtml(report.cells[run.cell]!.labels.join(', ')),
      number(run.seed),
      `<span class="${run.state}">${run.state}</span>`,
      run.seconds === undefined ? '' : duration(run.seconds),
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

/** The page of a series. Deterministic in its argument. */
export function renderSeries(report: SeriesReport): string {
  const { series } = report;
  const layouts = { list: () => resultTable(report, 'Results', shown(report)), curve, grid };
  const some = report.results.length > 0;
  const seeds = report.seeds.length === 1 ? `seed ${report.seeds[0]}` : `seeds ${report.seeds.join(', ')}`;
  const student = report.student;
  return page(
    series.name,
    report.environments[0]?.pupilVersion ?? '',
    [
      `<header><h1>${escapeHtml(series.name)}</h1>`,
      `<p class="soft">${report.cells.length} ${report.cells.length === 1 ? 'cell' : 'cells'} × ${escapeHtml(seeds)}</p>`,
      series.notes === undefined ? '' : `<p>${escapeHtml(series.notes)}</p>`,
      '</header>',
      notices(report),
      section(
        'Results',
        some ? layouts[series.table.layout](report) : '<p>No run is finished yet.</p>',
        some ? HOW_TO_READ : '',
      ),
      section('Comparisons', comparisons(report)),
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
