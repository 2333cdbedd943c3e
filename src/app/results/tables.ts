// tables.ts: the paper's tables as plain rows of texts, for the page, CSV and the clipboard: Table 1/10/11, Table 5, Tables
// 13/14. Every number with its spread, n and seeds; it computes nothing. What figures have behind them is figures.ts.
import type { JudgeCell, JudgeRow, PaperGrid, TeacherRow } from '../../session/protocol';
import type { FigureTable } from '../figure';
import { accuracyText, intervalText, ratingText, seedsText, sizesText } from './cells';

/** A row for every cell, so that a program can read it; the page shows the grid itself. */
export const gridTable = ({ tasks, blocks }: PaperGrid): FigureTable => ({
  columns: [
    { title: 'trained on' },
    { title: 'experiment' },
    { title: 'student' },
    { title: 'tested on' },
    { title: 'kind of place' },
    { title: 'accuracy %, mean ± sd', numeric: true },
    { title: '95 % interval', numeric: true },
    { title: 'interval by' },
    { title: 'n', numeric: true },
    { title: 'seed: right/n' },
  ],
  rows: blocks.flatMap(({ trainedOn, detail, rows }) =>
    rows.flatMap(({ label, cells }) =>
      cells.flatMap((cell, c) =>
        cell === null
          ? []
          : [
              [
                trainedOn || '–',
                detail || '–',
                label,
                tasks[c]!,
                cell.place ?? '–',
                accuracyText(cell.result),
                intervalText(cell.result.interval),
                cell.result.interval.method,
                sizesText(cell.result),
                seedsText(cell.result),
              ],
            ],
      ),
    ),
  ),
});

export const teacherTable = (rows: readonly TeacherRow[]): FigureTable => ({
  columns: [
    { title: 'task' },
    { title: 'teacher' },
    { title: 'family' },
    { title: 'accuracy %, mean ± sd', numeric: true },
    { title: '95 % interval', numeric: true },
    { title: 'n', numeric: true },
    { title: 'seed: right/n' },
  ],
  rows: rows.map((row) => [
    row.taskId,
    row.label,
    row.family,
    accuracyText(row),
    intervalText(row.interval),
    sizesText(row),
    seedsText(row),
  ]),
});

/** `2.10 – 2.70`; over several seeds there is a spread instead. */
const ratingInterval = (cell: JudgeCell | null): string =>
  cell?.interval === undefined ? '–' : `${cell.interval.low.toFixed(2)} – ${cell.interval.high.toFixed(2)}`;

export const judgeTable = ({ tasks, rows }: { tasks: readonly string[]; rows: readonly JudgeRow[] }): FigureTable => ({
  columns: [
    { title: 'student or teacher' },
    { title: 'experiment' },
    ...tasks.map((title) => ({ title, numeric: true })),
    { title: 'all', numeric: true },
    { title: '95 % interval', numeric: true },
    { title: 'seed: n rated' },
    { title: 'no rating', numeric: true },
    { title: 'judge' },
  ],
  rows: rows.map(({ judge, detail, system, cells, all }) => [
    system,
    detail || '–',
    ...tasks.map((task) => ratingText(cells[task])),
    ratingText(all),
    ratingInterval(all),
    all === null ? '–' : all.runs.map(({ seed, n }) => `${seed}: ${n}`).join(', '),
    all === null ? '–' : String(all.unparsable + all.missing),
    judge,
  ]),
});
