// paperLatex.ts: the paper's tables as LaTeX: Tables 1, 10 and 11 for each student, 5, 13 and 14, each a file to \input, and one
// document that has them all with what is missing. Escaping and the table environment are latex.ts.
import { percent } from './escape';
import { latex, latexDocument, latexTable } from './latex';
import type { PaperReport, PaperSection } from './paperReport';
import { accuracyText, intervalText, missingRows, ratingText, sizesText } from './paperRows';
import type { GridCell } from './paperTables';

const small = (text: string): string => `{\\scriptsize ${text}}`;
const bracket = (interval: { low: number; high: number } | undefined): string => {
  const text = intervalText(interval);
  return text === '' ? '' : small(`[${latex(text.replace(' – ', ', '))}]`);
};

/** Where a cell was trained on the same task bold, out of domain in italics. */
function accuracyCell(cell: GridCell | null, seeds: number): string {
  if (cell === null) return '--';
  const { result, place } = cell;
  const fewer = result.runs.length < seeds ? `$^{${result.runs.length}}$` : '';
  const text = latex(accuracyText(result));
  if (place === 'trained') return `\\textbf{${percent(result.mean)}}${text.slice(percent(result.mean).length)}${fewer}`;
  return `${place === 'out-domain' ? `\\textit{${text}}` : text}${fewer}`;
}

/** Table 1, 10 or 11 of one student: below each row its intervals, and what the paper prints. */
export function gridLatex({ student, paperTable, results, published, fileName }: PaperSection): string {
  const { tasks, blocks } = results.grid;
  const { view, series } = results;
  const seeds = Math.max(
    1,
    ...blocks.flatMap(({ rows }) => rows.flatMap(({ cells }) => cells.map((cell) => cell?.result.runs.length ?? 0))),
  );
  const sizes = tasks.map((_, c) =>
    sizesText(blocks.flatMap(({ rows }) => rows.flatMap(({ cells }) => cells[c]?.result.runs ?? []))),
  );
  const groups = blocks.map(({ trainedOn, detail, rows }, b) =>
    rows.flatMap(({ label, cells }, r) => {
      const name = [trainedOn, detail].filter((text) => text !== '').join(', ');
      const paper = published.find(({ block, row }) => block === b && row === r);
      return [
        [r === 0 ? latex(name) : '', latex(label), ...cells.map((cell) => accuracyCell(cell, seeds))],
        ...(cells.some((cell) => bracket(cell?.result.interval) !== '')
          ? [['', small('95\\,\\% interval'), ...cells.map((cell) => bracket(cell?.result.interval))]]
          : []),
        ...(paper === undefined
          ? []
          : [
              ['', small('the paper'), ...paper.values.map((value) => (value === null ? '' : small(value.toFixed(1))))],
            ]),
      ];
    }),
  );
  const which = paperTable === undefined ? 'in the layout of Table 1' : `as in Table ${paperTable}`;
  const of = `${seeds} seed${seeds === 1 ? '' : 's'} (${series.seeds.join(', ')})`;
  return latexTable({
    caption:
      `${latex(student)} ${which} of arXiv 2405.00402: accuracy \\%, ` +
      `${seeds === 1 ? '' : 'mean $\\pm$ standard deviation over seeds, '}${latex(of)}; scorer ${latex(view.scorer)}, ` +
      `${view.prompt === 'cot' ? 'CoT' : 'plain'} prompt of trained students. Bold: the task that was trained on; italics: out of domain. ` +
      'A raised number: so many seeds only. Intervals resample whole questions with all their seeds, or are Wilson’s for one seed.'.replace(
        '’',
        "'",
      ),
    label: `tab:${fileName}`,
    columns: `p{4.2cm}l${'r'.repeat(tasks.length)}`,
    heads: [
      ['Trained on', '', ...tasks.map(latex)],
      ['', '', ...sizes.map((n) => small(`$n$ = ${latex(n)}`))],
    ],
    groups,
  });
}

/** Table 5. */
export function teacherLatex({ teachers }: PaperReport): string {
  const tasks = [...new Set(teachers.map(({ taskId }) => taskId))];
  return latexTable({
    caption:
      "Teachers' own accuracy \\% on the training questions that they answered, with the CoT prompt (Table 5 of arXiv 2405.00402).",
    label: 'tab:table-5',
    columns: 'lllrrrr',
    heads: [['Task', 'Teacher', 'Family', 'Accuracy', '95\\,\\% interval', '$n$', 'The paper']],
    groups: tasks.map((task) =>
      teachers
        .filter(({ taskId }) => taskId === task)
        .map((row) => [
          latex(task),
          latex(row.label),
          row.family,
          latex(accuracyText(row)),
          bracket(row.interval),
          latex(sizesText(row.runs)),
          row.published === undefined ? '' : row.published.toFixed(1),
        ]),
    ),
  });
}

/** Tables 13 and 14. */
export function qualityLatex({ quality: { tasks, rows } }: PaperReport): string {
  const students = [...new Set(rows.map(({ student }) => student))];
  return latexTable({
    caption: `Average ratings from 1 to 3 by ${latex([...new Set(rows.map(({ judge }) => judge))].join(', '))} (Tables 13 and 14 of arXiv 2405.00402).`,
    label: 'tab:table-14',
    columns: `lll${'r'.repeat(tasks.length + 3)}`,
    heads: [['Run of', 'Experiment', 'Answers of', ...tasks.map(latex), 'All', '95\\,\\% interval', 'The paper']],
    groups: students.map((student) =>
      rows
        .filter((row) => row.student === student)
        .map(({ detail, system, cells, all, published }) => [
          latex(student),
          latex(detail),
          latex(system),
          ...tasks.map((task) => (cells[task] === undefined ? '--' : latex(ratingText(cells[task])))),
          all === null ? '--' : latex(ratingText(all)),
          all?.interval === undefined ? '' : small(`[${all.interval.low.toFixed(2)}, ${all.interval.high.toFixed(2)}]`),
          published === undefined ? '' : published.toFixed(2),
        ]),
    ),
  });
}

/** What is missing as a list; '' where nothing is. */
export function missingLatex(report: PaperReport): string {
  const rows = missingRows(report);
  if (rows.length === 0) return '';
  const items = rows.map(({ kind, what, why }) => `\\item ${latex(`${kind} ${what}: ${why}`)}`);
  return `\\section*{Not in these tables}\n\\begin{itemize}\n\\sloppy\n${items.join('\n')}\n\\end{itemize}\n`;
}

/** Every LaTeX file by its path; `paper.tex` has the others in it. */
export function paperLatex(report: PaperReport): Map<string, string> {
  const tables = new Map<string, string>(
    report.sections
      .filter(({ results }) => results.grid.blocks.some(({ rows }) => rows.length > 0))
      .map((section) => [`${section.fileName}.tex`, gridLatex(section)]),
  );
  if (report.teachers.length > 0) tables.set('table-5-teachers.tex', teacherLatex(report));
  if (report.quality.rows.length > 0) tables.set('tables-13-14-quality.tex', qualityLatex(report));
  const parts = [...tables.keys()].map((path) => `\\input{${path}}`);
  return new Map([...tables, ['paper.tex', latexDocument("The paper's tables", [...parts, missingLatex(report)])]]);
}
