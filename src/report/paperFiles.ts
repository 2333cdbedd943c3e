// paperFiles.ts: everything that `pupil report` writes, as texts by path: paper.html, paper.json, LaTeX, CSV, and an SVG for each
// figure. It writes nothing.
import { writeCsv } from '../formats/csvWrite';
import { svgFile } from './drawing';
import { paperFigures } from './paperFigures';
import { renderPaper } from './paperHtml';
import { paperLatex } from './paperLatex';
import type { PaperReport } from './paperReport';
import { figureRows, gridRows, missingRows, qualityRows, teacherRows } from './paperRows';

/** Paths with forward slashes. Tables without a row have no file. Deterministic in its argument. */
export function paperFiles(report: PaperReport): Map<string, string> {
  const files = new Map<string, string>([
    ['paper.html', renderPaper(report)],
    ['paper.json', `${JSON.stringify(report, null, 2)}\n`],
    ...paperLatex(report),
  ]);
  const csv = (name: string, rows: readonly unknown[]): void => {
    if (rows.length > 0) files.set(`${name}.csv`, writeCsv(rows));
  };
  for (const section of report.sections) csv(section.fileName, gridRows(section));
  csv('figures', report.sections.flatMap(figureRows));
  csv('table-5-teachers', teacherRows(report));
  csv('tables-13-14-quality', qualityRows(report));
  csv('missing', missingRows(report));
  for (const section of report.sections) {
    for (const { fileName, drawing } of paperFigures(section)) files.set(`figures/${fileName}.svg`, svgFile(drawing));
  }
  return files;
}
